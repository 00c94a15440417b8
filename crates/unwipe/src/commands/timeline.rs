//! `unwipe timeline`

use model::{Attribution, Event, Moment, Severity};
use service::history::{self, TimelineRequest};

use crate::{
    arguments::Timeline,
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
    let (name, _) = installation.config().source(&options.source)?;
    let moment = |text: &Option<String>| {
        text.as_deref()
            .map(str::parse::<Moment>)
            .transpose()
            .map_err(|error| Failure::because(Exit::Usage, "the moment cannot be understood", error))
    };
    let request = TimelineRequest {
        from: moment(&options.from)?,
        until: moment(&options.to)?,
        routine: options.all,
        by_time: options.by_time,
        limit: options.limit,
    };
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

fn actor_text(event: &Event) -> String {
    let how = match event.attribution {
        Attribution::Witnessed => "named inside the transaction",
        Attribution::Sampled => "seen while it ran",
        Attribution::Unknown => {
            return "an unknown actor: neither a witness nor the monitor role saw one".to_owned();
        }
    };
    let Some(actor) = &event.actor else { return format!("an unknown actor ({how})") };
    let mut text = printable(&actor.identity);
    if let Some(application) = actor.application.as_ref().filter(|name| !name.is_empty()) {
        text.push_str(&format!(" as {}", printable(application)));
    }
    if let Some(address) = &actor.address {
        text.push_str(&format!(" from {}", printable(address)));
    }
    format!("{text} ({how})")
}
