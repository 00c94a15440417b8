//! Undoing what somebody did, in one plan over several sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use catalog::EventFilter;
use connect::plan::{Bundle, BundlePart, Plan, PlanFolder, PlanHash};
use google_containment::ProgramConsents;
use model::{Actor, Event, Moment, Severity, SourceName, Verb};
use serde::Serialize;
use service::{
    Installation,
    config::SourceConfig,
    incidents::happened,
    undo::{self, Choice, Doubts, Numbers, Pattern, Span},
    watching::{self, Answer, Request, WatchStore, Watched},
};
use watch::{ActionStatus, Incident, containment::ActionKind};

use super::{joint::JointUndo, plan_folder};
use crate::{
    arguments::Rewind,
    commands::show::bundle_text,
    connectors::{google::GoogleConfig, postgres, recovery::StoredCluster},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::counted,
};

/// What stands before the number of an incident.
const INCIDENT: &str = "incident:";
/// So far the times of a feed and of an audit log may be apart.
const SLACK_MICROS: i64 = 300_000_000;
/// For so long at most small transactions are summed up before they are seen.
const TOGETHER_MICROS: i64 = 1_000_000;
/// How long the process that watches may take to write something down.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells whether what is to be undone is named by who did it.
pub(super) fn is_meant(options: &Rewind) -> bool {
    options.culprit.actor.is_some() || options.what().starts_with(INCIDENT)
}

/// Whose acts are undone, and when they were done.
struct Wanted {
    culprit: undo::Culprit,
    doubts: Doubts,
    from: Option<Moment>,
    until: Option<Moment>,
    /// One line for people.
    title: String,
    /// Where and when, source by source, when an incident says so.
    spans: Option<BTreeMap<SourceName, Span>>,
    incident: Option<u64>,
    /// What the alarm of an incident was about.
    verbs: BTreeSet<Verb>,
}

/// The bundle in the making.
pub(crate) struct Parts<'c> {
    pub(crate) context: &'c Context,
    pub(crate) installation: &'c Installation,
    pub(crate) options: &'c Rewind,
    folder: PlanFolder,
    title: String,
    planned: Vec<BundlePart>,
    pub(crate) notes: Vec<String>,
}

#[derive(Serialize)]
struct Planned<'p> {
    folder: String,
    hash: PlanHash,
    bundle: &'p Bundle,
}

/// A bundle that was planned, in its folder.
pub(crate) struct PlannedBundle {
    pub(crate) folder: PlanFolder,
    pub(crate) bundle: Bundle,
    pub(crate) hash: PlanHash,
}

pub(super) fn run(context: &Context, installation: &Installation, options: &Rewind) -> Result<Exit, Failure> {
    let PlannedBundle { folder, bundle, hash } = plan(context, installation, options)?;
    let output = context.output;
    let planned = Planned { folder: folder.path().display().to_string(), hash, bundle: &bundle };
    output.result(&planned, || {
        format!("{}\nplan      {}\n", bundle_text(output, &bundle, hash), planned.folder)
    })?;
    let sources: BTreeSet<&str> = bundle.parts.iter().map(|part| part.source.as_str()).collect();
    let with = if sources.len() == 1 { "" } else { "SOURCE=" };
    output.say(format!(
        "next: unwipe approve {0} && unwipe apply {0} --url {with}URL, or --credential {with}KEY-FILE",
        planned.folder
    ));
    Ok(Exit::Done)
}

/// Plans the undo of what somebody did, or of an incident, in one bundle.
pub(crate) fn plan(
    context: &Context,
    installation: &Installation,
    options: &Rewind,
) -> Result<PlannedBundle, Failure> {
    let wanted = match options.what().strip_prefix(INCIDENT) {
        Some(number) => wanted_by_incident(installation, number, options)?,
        None => wanted(options)?,
    };
    let sources = sources(installation, options, &wanted)?;
    let name = wanted.incident.map_or_else(|| "actor".to_owned(), |id| format!("incident-{id}"));
    let folder = plan_folder(context, options, &name)?;
    let title = wanted.title.clone();
    let mut parts =
        Parts { context, installation, options, folder, title, planned: Vec::new(), notes: Vec::new() };
    for (name, source) in &sources {
        parts.take_source(&wanted, name, source)?;
    }
    let planned = parts.finish()?;
    if let Some(incident) = wanted.incident {
        let plan = planned.hash.to_string();
        note_in_incident(context, installation, &Request::Planned { incident, plan });
    }
    Ok(planned)
}

/// Says in an incident what became of it; the plan is good without that.
pub(crate) fn note_in_incident(context: &Context, installation: &Installation, request: &Request) {
    let noted = watching::request(
        installation,
        &environment,
        Watched::default(),
        &context.random_text::<8>(),
        request,
        PATIENCE,
    );
    let id = request.incident();
    match noted {
        Ok(Answer::Done(_)) => {}
        Ok(Answer::Refused(why)) => context.output.say(format!("incident {id} does not say so: {why}")),
        Err(error) => context.output.say(format!("incident {id} does not say so: {error}")),
    }
}

/// What an incident is about: the acts of those on whom a rule fired. Where nobody is known, what happened in the places
/// and within the time of the incident and of which nobody knows who did it.
fn wanted_by_incident(
    installation: &Installation,
    number: &str,
    options: &Rewind,
) -> Result<Wanted, Failure> {
    let id: u64 = number.parse().map_err(|_| {
        Failure::new(Exit::Usage, format!("{number:?} is no number of an incident")).hint("unwipe incidents")
    })?;
    let incident = WatchStore::of(installation.home()).incident(id)?;
    if let Some(other) = incident.merged_into {
        return Err(Failure::new(
            Exit::Nothing,
            format!("incident {id} turned out to be part of incident {other}"),
        )
        .hint(format!("unwipe rewind incident:{other}")));
    }
    let fired = || incident.suspects.iter().filter(|suspect| suspect.fired);
    let mut actors: Vec<Actor> = fired().filter_map(|suspect| suspect.who().0.cloned()).collect();
    actors.extend(stopped(&incident));
    // The log may have kept no name for what was done by somebody who was found out otherwise.
    let nobody = fired()
        .any(|suspect| suspect.actor.is_none() || suspect.guessed_before || !suspect.assumed.is_empty());
    let spans = incident.touched.iter().map(|(source, touched)| {
        let span = Span {
            source: source.clone(),
            from: touched.from,
            until: touched.until,
            scopes: touched.scopes.iter().cloned().collect(),
            transactions: Vec::new(),
            actors: actors.clone(),
        };
        (source.clone(), span)
    });
    Ok(Wanted {
        spans: Some(spans.collect()),
        culprit: undo::Culprit::Listed(actors),
        // What is inferred is told in the plan, and a person approves it.
        doubts: Doubts { inferred: true, unattributed: nobody || options.culprit.unattributed },
        from: None,
        until: None,
        title: format!("incident {id}: {}", happened(&incident)),
        incident: Some(id),
        verbs: incident.verbs.clone(),
    })
}

/// Returns the programs that were stopped. Where it was a guess who it was, such as by whom a file was last changed, that is
/// what is known of it now.
fn stopped(incident: &Incident) -> Vec<Actor> {
    let taken = incident.actions.iter().filter(|note| note.status == ActionStatus::Taken);
    let consents = taken.filter(|note| note.action.kind == ActionKind::RevokeConsent);
    let programs = consents
        .filter_map(|note| serde_json::from_value::<ProgramConsents>(note.action.details.clone()).ok());
    programs
        .flat_map(|program| {
            program.consents.into_iter().map(move |consent| Actor {
                identity: consent.user,
                application: Some(program.name.clone()),
                client: Some(program.client.clone()),
                ..Actor::default()
            })
        })
        .collect()
}

fn wanted(options: &Rewind) -> Result<Wanted, Failure> {
    let culprit = &options.culprit;
    let name = culprit.actor.as_deref().unwrap_or_default();
    let moment = |text: Option<&str>| {
        text.map(str::parse::<Moment>).transpose().map_err(|error| {
            Failure::because(Exit::Usage, "the moment cannot be understood", error)
                .hint("write it as 2026-04-25T14:00:08Z")
        })
    };
    let (from, until) =
        (moment(culprit.from.as_deref())?, moment(options.to.as_ref().and_then(|to| to.to_str()))?);
    let mut title = format!("what {name} did");
    if let Some(from) = from {
        title.push_str(&format!(" from {from}"));
    }
    if let Some(until) = until {
        title.push_str(&format!(" to {until}"));
    }
    let doubts = Doubts { inferred: culprit.inferred, unattributed: culprit.unattributed };
    let culprit = undo::Culprit::Named(Pattern::new(name));
    Ok(Wanted { culprit, doubts, from, until, title, spans: None, incident: None, verbs: BTreeSet::new() })
}

/// Returns the sources that are meant: the named one, or all.
fn sources(
    installation: &Installation,
    options: &Rewind,
    wanted: &Wanted,
) -> Result<Vec<(SourceName, SourceConfig)>, Failure> {
    let config = installation.config();
    if let Some(spans) = &wanted.spans {
        return spans
            .keys()
            .map(|name| Ok(config.source(name.as_str()).map(|(name, source)| (name, source.clone()))?))
            .collect();
    }
    match options.what.as_deref() {
        Some(name) => {
            let (name, source) = config.source(name)?;
            Ok(vec![(name, source.clone())])
        }
        None => Ok(config.sources.iter().map(|(name, source)| (name.clone(), source.clone())).collect()),
    }
}

const fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// Writes who did something, for people.
fn who(actors: &[Actor]) -> String {
    let one = |actor: &Actor| match (&actor.application, &actor.client) {
        (Some(application), Some(client)) => format!("{} through {application} ({client})", actor.identity),
        (Some(name), None) | (None, Some(name)) => format!("{name} as {}", actor.identity),
        (None, None) => actor.identity.clone(),
    };
    actors.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl Parts<'_> {
    fn take_source(
        &mut self,
        wanted: &Wanted,
        name: &SourceName,
        source: &SourceConfig,
    ) -> Result<(), Failure> {
        let google = GoogleConfig::of(name, source)?;
        if google.is_none() && source.kind != postgres::KIND {
            self.notes.push(format!("{name} does not tell who did what: nothing of it is undone"));
            return Ok(());
        }
        // What a feed tells happened since the look before.
        let look = google.as_ref().map_or(0, |google| i64::try_from(google.every_s).unwrap_or(0));
        let slack = SLACK_MICROS.saturating_add(look.saturating_mul(2_000_000));
        let events = self.events(wanted, name, slack)?;
        let choice = Choice::of(&events, &wanted.culprit, wanted.doubts);
        self.tell_doubts(name, &choice);
        if choice.taken.is_empty() {
            return Ok(());
        }
        self.tell_taken(name, &choice);
        match google {
            Some(_) => crate::commands::google::undo_actor(self, name, &choice),
            None => self.take_cluster(name, &choice),
        }
    }

    fn events(&self, wanted: &Wanted, name: &SourceName, slack: i64) -> Result<Vec<Event>, Failure> {
        let catalog = self.installation.catalog_up_to_date(name, &environment, &*self.context.progress())?;
        let filter = |from, until| EventFilter { from, until, severity: Severity::Routine, limit: u32::MAX };
        let Some(span) = wanted.spans.as_ref().and_then(|spans| spans.get(name)) else {
            return Ok(catalog.events(filter(wanted.from, wanted.until))?);
        };
        // A feed tells when it was looked at, a log when it happened: whoever is named is looked for a little around.
        let (from, until) = (span.from.plus_micros(-slack), span.until.plus_micros(slack));
        let mut events = catalog.events(filter(Some(from), Some(until)))?;
        // Of what nobody is known to have done, what the alarm was about is meant, where and when it was raised.
        let is_meant = |event: &Event| event.effects.iter().any(|effect| wanted.verbs.contains(&effect.verb));
        // Small transactions are seen together, under the time of the last of them.
        let begun = span.from.plus_micros(-TOGETHER_MICROS);
        let within = |event: &Event| {
            let here = span.scopes.is_empty() || span.scopes.contains(&event.scope);
            event.actor.is_some() || (here && is_meant(event) && (begun..=span.until).contains(&event.at))
        };
        events.retain(within);
        Ok(events)
    }

    /// Says whose acts are undone.
    fn tell_taken(&mut self, name: &SourceName, choice: &Choice<'_>) {
        let nameless = choice.taken.iter().filter(|event| event.actor.is_none()).count();
        let named = choice.taken.len() - nameless;
        if named > 0 {
            let who = who(&choice.actors());
            self.notes.push(format!(
                "{name}: {} of {who} {} undone",
                counted(named as u64, "act"),
                are(named)
            ));
        }
        if nameless > 0 {
            self.notes.push(format!(
                "{name}: {} {} undone of which nobody knows who did it",
                counted(nameless as u64, "act"),
                are(nameless)
            ));
        }
    }

    /// Says what might be the actor's and is left.
    fn tell_doubts(&mut self, name: &SourceName, choice: &Choice<'_>) {
        if !choice.inferred.is_empty() {
            self.notes.push(format!(
                "{name}: {} {} only inferred to be the actor's, and left; --inferred takes what is inferred",
                counted(choice.inferred.len() as u64, "act"),
                are(choice.inferred.len())
            ));
        }
        if !choice.unattributed.is_empty() {
            let mut times: Vec<Moment> = choice.unattributed.iter().map(|event| event.at).collect();
            times.sort_unstable();
            let (first, last) = (times.first(), times.last());
            let span = first.zip(last).map(|(first, last)| format!(" from {first} to {last}"));
            self.notes.push(format!(
                "{name}: of {}{} nobody knows who did it, and that is left; --unattributed takes it",
                counted(choice.unattributed.len() as u64, "act"),
                span.unwrap_or_default()
            ));
        }
    }

    fn take_cluster(&mut self, name: &SourceName, choice: &Choice<'_>) -> Result<(), Failure> {
        let numbers = Numbers::of(choice.taken.iter().map(|event| event.transaction.as_str()));
        if !numbers.nameless.is_empty() {
            self.notes.push(format!(
                "{name}: of {} the log keeps no transaction number, and that is left: {}",
                counted(numbers.nameless.len() as u64, "act"),
                numbers.nameless.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ")
            ));
        }
        if numbers.numbers.is_empty() {
            return Ok(());
        }
        let production =
            crate::context::production(self.installation, &self.options.production, name.as_str())?;
        let stored = self.context.stored(self.installation, name, &self.options.reading)?;
        let cluster = StoredCluster::open(self.context, self.installation, name, stored)?;
        let since = choice.taken.iter().map(|event| event.at).min();
        let joint = JointUndo::read(self.context, &cluster, &numbers.numbers, since)?;
        if !joint.missing.is_empty() {
            self.notes.push(format!(
                "{name}: {} left: what it changed is not stored, or it changed nothing that is",
                counted(joint.missing.len() as u64, "transaction")
            ));
        }
        let title = format!("{}, {}", self.title, counted(numbers.numbers.len() as u64, "transaction"));
        let scopes: BTreeSet<&str> = choice.taken.iter().map(|event| event.scope.as_str()).collect();
        for database in joint.databases()? {
            if !scopes.contains(database.as_str()) {
                self.notes.push(format!("{name}: database {database} was touched, too"));
            }
            let (folder, place) = self.next_folder(name);
            let plan = joint.plan(&database, production.clone(), &folder, place.clone(), &title)?;
            self.add(&place, &folder, &plan)?;
        }
        Ok(())
    }

    /// Returns a folder for the next part.
    pub(crate) fn next_folder(&self, name: &SourceName) -> (PlanFolder, String) {
        let place = format!("{}-{name}", self.planned.len() + 1);
        let folder = self.folder.part(&place);
        (folder, place)
    }

    /// Adds a plan; one that changes nothing and lists nothing is left out.
    pub(crate) fn add(&mut self, place: &str, folder: &PlanFolder, plan: &Plan) -> Result<(), Failure> {
        if plan.is_empty() && plan.conflicts.is_empty() && plan.losses.is_empty() {
            self.notes.push(format!("{}: in {} nothing is to be undone", plan.source, plan.destination));
            return Ok(());
        }
        folder.write(plan)?;
        self.planned.push(BundlePart::of(place, plan)?);
        Ok(())
    }

    fn finish(self) -> Result<PlannedBundle, Failure> {
        let Self { context, folder, title, planned: parts, notes, .. } = self;
        if parts.is_empty() {
            for note in &notes {
                context.output.say(note);
            }
            return Err(Failure::new(Exit::Nothing, format!("{title}: nothing is to be undone"))
                .hint("unwipe timeline SOURCE --all shows who did what"));
        }
        let id = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bundle = Bundle::new(id, title, context.clock().now(), parts, notes);
        let hash = folder.write_bundle(&bundle)?;
        Ok(PlannedBundle { folder, bundle, hash })
    }
}
