//! `unwipe incidents`

use model::Moment;
use service::{
    incidents::{happened, headline},
    watching::{Request, WatchStore},
    words,
};
use watch::{ActionStatus, Incident, IncidentSeverity, IncidentState, SuspectNote};

use super::contain::ask;
use crate::{
    arguments::{IncidentAction, Incidents},
    commands::timeline::who_text,
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{Output, Style, count, printable, table},
};

/// How many deeds of an incident are shown.
const DEEDS_SHOWN: usize = 12;

pub(crate) fn run(context: &Context, options: Incidents) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let store = WatchStore::of(installation.home());
    match (options.action, options.incident) {
        (Some(IncidentAction::Close { incident, reason }), _) => {
            let by = context.person();
            ask(context, &installation, &Request::Close { incident, by, reason })
        }
        (None, Some(id)) => {
            let incident = store.incident(id)?;
            context.output.result(&incident, || incident_text(context.output, &incident))?;
            Ok(Exit::Done)
        }
        (None, None) => {
            let mut incidents = store.incidents()?;
            incidents.reverse();
            if incidents.is_empty() {
                let none = Failure::new(Exit::Nothing, "nothing was found that looks like a wipe");
                return Err(none.hint("unwipe serve watches; unwipe timeline SOURCE shows what happened"));
            }
            context.output.result(&incidents, || list_text(context.output, &incidents))?;
            Ok(Exit::Done)
        }
    }
}

fn list_text(output: Output, incidents: &[Incident]) -> String {
    let mut rows = vec![["incident", "opened", "state", "who", "what"].map(str::to_owned).to_vec()];
    for incident in incidents {
        let who = incident.suspects.iter().filter(|suspect| suspect.fired).map(short_name);
        rows.push(vec![
            incident.id.to_string(),
            incident.opened_at.to_string(),
            state_text(output, incident.state),
            who.collect::<Vec<_>>().join(", "),
            printable(&happened(incident)),
        ]);
    }
    table(&rows)
}

fn state_text(output: Output, state: IncidentState) -> String {
    let style = match state {
        IncidentState::Open => Style::Bad,
        IncidentState::Contained => Style::Warning,
        IncidentState::Undone => Style::Good,
        IncidentState::Closed => Style::Faint,
    };
    output.paint(style, &state.to_string())
}

fn short_name(suspect: &SuspectNote) -> String {
    match suspect.who().0 {
        None => "unknown".to_owned(),
        Some(actor) => {
            printable(actor.agent.as_ref().or(actor.application.as_ref()).unwrap_or(&actor.identity))
        }
    }
}

/// Renders one incident: what, who, where, and what was done about it.
pub(crate) fn incident_text(output: Output, incident: &Incident) -> String {
    let severity = match incident.severity {
        IncidentSeverity::High => "high",
        IncidentSeverity::Critical => "critical",
    };
    let grows = if incident.growing { ", still going on" } else { "" };
    let mut text = format!(
        "{}  {}, {severity}{grows}\n{}\n",
        output.paint(Style::Strong, &format!("incident {}", incident.id)),
        state_text(output, incident.state),
        printable(&headline(incident)),
    );
    if let Some(other) = incident.merged_into {
        text.push_str(&format!("part of incident {other}\n"));
    }
    text.push_str(&format!(
        "first seen    {}\nalarm         {}, {} later\n",
        incident.first_seen_at,
        incident.opened_at,
        milliseconds(incident.delay_ms)
    ));
    heading(output, &mut text, "why");
    for firing in &incident.firings {
        text.push_str(&format!("  {}\n", printable(&firing.explanation)));
    }
    heading(output, &mut text, "who");
    for suspect in &incident.suspects {
        text.push_str(&suspect_text(output, suspect));
    }
    heading(output, &mut text, "where");
    for (source, touched) in &incident.touched {
        let scopes: Vec<String> = touched.scopes.iter().map(|scope| printable(scope)).collect();
        text.push_str(&format!(
            "  {source}: {} in {}\n",
            span(touched.from, touched.until),
            scopes.join(", ")
        ));
    }
    for deed in incident.deeds.iter().take(DEEDS_SHOWN) {
        let what: Vec<String> = deed.effects.iter().map(|effect| words::deed(effect, &deed.scope)).collect();
        let fate = if deed.given_up { " (never took effect)" } else { "" };
        let what = printable(&what.join(", "));
        text.push_str(&format!("    {}  {}  {what}{fate}\n", deed.at, printable(&deed.transaction)));
    }
    if incident.deeds.len() > DEEDS_SHOWN {
        let more = incident.deeds.len() - DEEDS_SHOWN;
        let capped = if incident.deeds_capped { " that are kept; the sums hold all" } else { "" };
        text.push_str(&format!("    and {} more{capped}\n", count(more as u64)));
    }
    heading(output, &mut text, "what was done about it");
    text.push_str(&answer_text(output, incident));
    text
}

fn suspect_text(output: Output, suspect: &SuspectNote) -> String {
    let (actor, attribution) = suspect.who();
    let who = who_text(actor, attribution);
    let kind = suspect.identified.as_ref().map_or(suspect.kind, |identified| identified.kind);
    let fired = if suspect.fired { "" } else { "  (was there; no rule fired on them)" };
    let effects: Vec<String> = suspect
        .effects
        .iter()
        .take(4)
        .map(|effect| printable(&words::deed(effect, &suspect.scope)))
        .collect();
    let mut text = format!("  {}  [{}]{fired}\n", output.paint(Style::Strong, &who), kind);
    if !effects.is_empty() {
        text.push_str(&format!("    {}\n", effects.join(", ")));
    }
    if !suspect.underway.is_empty() {
        text.push_str("    and more that has not taken effect\n");
    }
    if !suspect.assumed.is_empty() {
        text.push_str("    some of it is theirs only because nobody else is known to have been there\n");
    }
    text
}

fn answer_text(output: Output, incident: &Incident) -> String {
    let mut text = String::new();
    for note in &incident.actions {
        let (style, word) = match note.status {
            ActionStatus::Proposed => (Style::Warning, "proposed"),
            ActionStatus::Taken => (Style::Good, "done"),
            ActionStatus::Refused => (Style::Faint, "not done"),
            ActionStatus::TakenBack => (Style::Faint, "taken back"),
        };
        let word = output.paint(style, &format!("{word:<10}"));
        text.push_str(&format!(
            "  {}  {word}  {}: {}\n",
            note.at,
            printable(&note.action.title),
            printable(&note.why)
        ));
    }
    for hold in &incident.holds {
        text.push_str(&format!("  {}  nothing of {} is released any more\n", hold.at, hold.source));
    }
    for note in incident.captured.iter().chain(&incident.notices) {
        text.push_str(&format!("  {}  {}\n", note.at, printable(&note.text)));
    }
    for plan in &incident.plans {
        let applied = plan.applied_at.map_or("not applied yet".to_owned(), |at| format!("applied {at}"));
        text.push_str(&format!("  {}  plan {}: {applied}\n", plan.made_at, plan.hash));
    }
    let id = incident.id;
    let next = match incident.state {
        IncidentState::Open => {
            format!("unwipe contain {id} stops whoever it is; unwipe rewind incident:{id} plans the undo")
        }
        IncidentState::Contained => format!("unwipe rewind incident:{id} plans the undo"),
        IncidentState::Undone => format!("unwipe incidents close {id} --reason TEXT"),
        IncidentState::Closed => return text,
    };
    text.push_str(&format!("next: {next}\n"));
    text
}

fn heading(output: Output, text: &mut String, title: &str) {
    text.push_str(&format!("\n{}\n", output.paint(Style::Strong, title)));
}

fn span(from: Moment, until: Moment) -> String {
    if from == until { from.to_string() } else { format!("{from} to {until}") }
}

fn milliseconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1e3) }
}
