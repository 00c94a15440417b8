//! `unwipe timeline`

use model::{Actor, Attribution, Event, Moment, Severity, SourceName};
use service::{
    Installation,
    acts::{self, AROUND_MICROS},
    history::{self, TimelineRequest},
    watching::WatchStore,
};

use crate::{
    arguments::Timeline,
    commands::lanes::{Picture, columns},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, count, printable},
};

/// How much of a statement is shown.
const STATEMENT_CHARACTERS: usize = 90;
/// How many effects of one event are shown.
const EFFECTS_SHOWN: usize = 6;

pub(crate) fn run(context: &Context, options: &Timeline) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let span = (moment(options.from.as_deref())?, moment(options.to.as_deref())?);
    if options.lanes {
        return draw(context, &installation, options, span);
    }
    let [source] = options.source.as_slice() else {
        return Err(Failure::new(Exit::Usage, "a timeline is of one source")
            .hint("unwipe timeline --lanes draws several"));
    };
    let (name, _) = installation.config().source(source)?;
    let (from, until) = span;
    let request =
        TimelineRequest { from, until, routine: options.all, by_time: options.by_time, limit: options.limit };
    let catalog = installation.catalog_up_to_date(&name, &environment, &*context.progress())?;
    let timeline = history::timeline(&catalog, &name, request)?;
    if timeline.events.is_empty() {
        let hint = if options.all {
            format!("unwipe capture {name}")
        } else {
            format!("unwipe timeline {name} --all")
        };
        return Err(Failure::new(Exit::Nothing, format!("nothing notable happened in {name}")).hint(hint));
    }
    let output = context.output;
    output.result(&timeline, || {
        timeline.events.iter().map(|event| event_text(output, event)).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

fn moment(text: Option<&str>) -> Result<Option<Moment>, Failure> {
    text.map(str::parse::<Moment>)
        .transpose()
        .map_err(|error| Failure::because(Exit::Usage, "the moment cannot be understood", error))
}

/// Draws what happened in some sources, or around an incident.
fn draw(
    context: &Context,
    installation: &Installation,
    options: &Timeline,
    mut span: (Option<Moment>, Option<Moment>),
) -> Result<Exit, Failure> {
    let mut names = Vec::new();
    for what in &options.source {
        let Some(number) = what.strip_prefix("incident:") else {
            names.push(installation.config().source(what)?.0);
            continue;
        };
        let unknown = || Failure::new(Exit::Usage, format!("{number:?} is no number of an incident"));
        let incident =
            WatchStore::of(installation.home()).incident(number.parse().map_err(|_| unknown())?)?;
        // A minute before and after shows what else went on.
        let touched = acts::span(&incident);
        span.0 = span.0.or_else(|| touched.map(|(first, _)| first.plus_micros(-AROUND_MICROS)));
        span.1 = span.1.or_else(|| touched.map(|(_, last)| last.plus_micros(AROUND_MICROS)));
        names.extend(incident.touched.into_keys());
    }
    if names.is_empty() {
        names.extend(installation.config().sources.keys().cloned());
    }
    let open = |name: &SourceName| installation.catalog_up_to_date(name, &environment, &*context.progress());
    let acts = acts::acts(names.iter().cloned(), span, u32::MAX, open)?;
    let events: Vec<Event> = acts.events.into_iter().map(|(_, event)| event).collect();
    let kinds = &installation.config().watch.actors;
    let picture = Picture::of(names, &events, kinds, span, columns()).filter(|_| !events.is_empty());
    let Some(picture) = picture else {
        return Err(Failure::new(Exit::Nothing, "nothing happened then").hint("unwipe timeline --lanes"));
    };
    context.output.result(&picture, || picture.text(context.output))?;
    Ok(Exit::Done)
}

/// Renders one event: what, when, who, and how to undo it.
pub(crate) fn event_text(output: Output, event: &Event) -> String {
    let (style, word) = match event.severity {
        Severity::Destructive => (Style::Bad, "DESTRUCTIVE"),
        Severity::Notable => (Style::Warning, "notable"),
        Severity::Routine => (Style::Faint, "routine"),
    };
    let mut text = format!(
        "{}  {}  transaction {}  {}\n",
        output.paint(Style::Strong, &event.at.to_string()),
        output.paint(style, word),
        event.transaction,
        output.paint(Style::Faint, &position_text(&event.position)),
    );
    for effect in event.effects.iter().take(EFFECTS_SHOWN) {
        text.push_str(&format!(
            "    {:<13} {:>12}  {}\n",
            effect.verb.to_string(),
            count(effect.count),
            printable(&effect.target)
        ));
    }
    if event.effects.len() > EFFECTS_SHOWN {
        text.push_str(&format!("    and {} more\n", event.effects.len() - EFFECTS_SHOWN));
    }
    text.push_str(&format!("    by {}\n", actor_text(event)));
    if let Some(statement) = &event.statement {
        let short: String = printable(statement).chars().take(STATEMENT_CHARACTERS).collect();
        text.push_str(&format!("    {}\n", output.paint(Style::Faint, &short)));
    }
    text
}

/// Writes a position as people type it; those of PostgreSQL are stored so that text order is log order.
fn position_text(position: &str) -> String {
    source_postgres::layout::lsn_of_key(position)
        .map_or_else(|| printable(position), postgres_server::lsn::to_text)
}

pub(crate) fn actor_text(event: &Event) -> String {
    who_text(event.actor.as_ref(), event.attribution)
}

/// Renders who somebody is and how that is known.
pub(crate) fn who_text(actor: Option<&Actor>, attribution: Attribution) -> String {
    let how = match attribution {
        Attribution::Witnessed => "named inside the transaction",
        Attribution::Recorded => "named in the source's audit log",
        Attribution::Sampled => "seen while it ran",
        Attribution::Inferred => "inferred from what ran before and after",
        Attribution::Unknown => {
            return "an unknown actor: no witness, no log and no monitor role saw one".to_owned();
        }
    };
    let Some(actor) = actor else { return format!("an unknown actor ({how})") };
    let mut text = printable(&actor.identity);
    // The log of a service tells which program it was; what a client of a database calls itself is its own word.
    let word = if actor.client.is_some() { "through" } else { "as" };
    let application = actor.application.as_ref().filter(|name| !name.is_empty());
    match (application, &actor.client) {
        (Some(application), Some(client)) => {
            text.push_str(&format!(" {word} {} ({})", printable(application), printable(client)));
        }
        (Some(name), None) => text.push_str(&format!(" {word} {}", printable(name))),
        (None, Some(client)) => text.push_str(&format!(" {word} the client {}", printable(client))),
        (None, None) => {}
    }
    if actor.impersonated {
        text.push_str(", impersonated by a service account");
    }
    if let Some(agent) = &actor.agent {
        text.push_str(&format!(", the agent {}", printable(agent)));
    }
    if let Some(address) = &actor.address {
        text.push_str(&format!(" from {}", printable(address)));
    }
    format!("{text} ({how})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(attribution: Attribution, actor: Option<Actor>) -> Event {
        Event {
            at: Moment::from_micros(0),
            position: "0".to_owned(),
            transaction: "1".to_owned(),
            scope: "drive".to_owned(),
            effects: Vec::new(),
            severity: Severity::Notable,
            actor,
            attribution,
            statement: None,
        }
    }

    fn anna() -> Actor {
        Actor { identity: "anna@acme.test".to_owned(), ..Actor::default() }
    }

    #[test]
    fn whoever_a_log_names_is_shown_with_the_program_and_how_it_acted() {
        let told = |actor| actor_text(&event(Attribution::Recorded, Some(actor)));
        let log = "(named in the source's audit log)";
        assert_eq!(told(anna()), format!("anna@acme.test {log}"));
        let client = Some("1.apps.test".to_owned());
        let claw = Actor { application: Some("Claw".to_owned()), client, ..anna() };
        assert_eq!(told(claw.clone()), format!("anna@acme.test through Claw (1.apps.test) {log}"));
        let unnamed = Actor { application: None, impersonated: true, ..claw.clone() };
        assert_eq!(
            told(unnamed),
            format!("anna@acme.test through the client 1.apps.test, impersonated by a service account {log}")
        );
        let address = Some("10.0.0.1".to_owned());
        let agent = Actor { agent: Some("Helper\u{1b}[2J".to_owned()), address, ..claw };
        let text = told(agent);
        assert!(
            text.contains(", the agent Helper") && text.ends_with(&format!("from 10.0.0.1 {log}")),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_client_of_a_database_is_what_it_calls_itself() {
        let actor = Actor { application: Some("psql".to_owned()), ..anna() };
        let told = actor_text(&event(Attribution::Sampled, Some(actor)));
        assert_eq!(told, "anna@acme.test as psql (seen while it ran)");
        let actor = Actor { application: Some("psql".to_owned()), ..anna() };
        let told = actor_text(&event(Attribution::Recorded, Some(actor)));
        assert_eq!(told, "anna@acme.test as psql (named in the source's audit log)");
        assert!(actor_text(&event(Attribution::Unknown, None)).starts_with("an unknown actor"));
    }
}
