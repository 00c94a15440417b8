//! `unwipe expect`

use model::{Moment, Verb};
use serde::de::{IntoDeserializer, value};
use service::{
    operations::{self, Kind},
    watching::{Intent, WatchStore},
};
use watch::Expectation;

use crate::{
    arguments::{Expect, ExpectAction},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{count, printable, table},
};

/// For how long something is expected when nobody says.
const HOURS_DEFAULT: i64 = 1;

pub(crate) fn run(context: &Context, options: &Expect) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let store = WatchStore::of(installation.home());
    if options.list {
        let expectations = store.expectations()?;
        context.output.result(&expectations, || {
            format!("{}{}", list_text(context, &expectations), intents_text(context, &store))
        })?;
        return Ok(Exit::Done);
    }
    let confirmed = match &options.action {
        Some(ExpectAction::Confirm { intent }) => Some(confirmed(context, &store, intent)?),
        None => None,
    };
    let expectation = match &confirmed {
        Some((_, expectation)) => expectation.clone(),
        None => expectation(context, &installation, options)?,
    };
    // In the vault first: what silences an alarm must leave a trace that nobody can remove.
    let (writer, _) = installation.writer(&environment)?;
    operations::record(&writer, Kind::Expectation, &expectation.id, &expectation)?;
    store.write_expectation(&expectation)?;
    if let Some((intent, _)) = &confirmed {
        store.write_intent(intent)?;
    }
    context.output.result(&expectation, || {
        format!("{}: {} until {}\n", expectation.id, expectation.reason, expectation.until)
    })?;
    Ok(Exit::Done)
}

/// Makes an expectation of what an agent announced.
fn confirmed(context: &Context, store: &WatchStore, id: &str) -> Result<(Intent, Expectation), Failure> {
    let intents = store.intents()?;
    let intent = intents.iter().find(|intent| intent.id == id).ok_or_else(|| {
        Failure::new(Exit::Nothing, format!("nothing was announced as {id:?}")).hint("unwipe expect --list")
    })?;
    intent
        .confirmed(&context.person(), context.clock().now())
        .ok_or_else(|| Failure::new(Exit::Usage, format!("{id} is over, or was confirmed before")))
}

/// Lists what agents announced and nobody confirmed yet.
fn intents_text(context: &Context, store: &WatchStore) -> String {
    let now = context.clock().now();
    let intents = store.intents().unwrap_or_default();
    let waiting = intents.iter().filter(|intent| intent.confirmed_by.is_none() && intent.until >= now);
    let lines = waiting.map(|intent| {
        let verbs = intent.verbs.iter().map(Verb::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "announced by {}, not confirmed: {} in {} ({verbs}, at most {}) until {}: {}\n  unwipe expect confirm {}\n",
            intent.declared_by,
            printable(&intent.actor),
            intent.source,
            count(intent.items_max),
            intent.until,
            printable(&intent.reason),
            intent.id
        )
    });
    lines.collect()
}

fn expectation(
    context: &Context,
    installation: &service::Installation,
    options: &Expect,
) -> Result<Expectation, Failure> {
    let (source, _) = installation.config().source(options.source.as_deref().unwrap_or_default())?;
    let now = context.clock().now();
    let moment = |text: &String| {
        text.parse::<Moment>()
            .map_err(|error| Failure::because(Exit::Usage, "the moment cannot be understood", error))
    };
    let from = options.from.as_ref().map(moment).transpose()?.unwrap_or(now);
    let until = match (&options.to, &options.duration) {
        (Some(to), _) => moment(to)?,
        (None, Some(text)) => from.plus_micros(micros_of(text)?),
        (None, None) => from.plus_micros(HOURS_DEFAULT * 3_600_000_000),
    };
    if until <= from {
        return Err(
            Failure::new(Exit::Usage, "it would end before it begins").hint("give --for 2h, or a later --to")
        );
    }
    let verbs = options.verbs.iter().map(|text| verb(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Expectation {
        id: format!("expectation-{}", context.random_text::<4>()),
        source,
        from,
        until,
        actor: options.actor.clone(),
        verbs,
        scope: options.scope.clone(),
        reason: options.reason.clone().unwrap_or_default(),
        registered_by: context.person(),
        registered_at: now,
        items_max: options.items,
    })
}

/// Reads a verb as events name it.
fn verb(text: &str) -> Result<Verb, Failure> {
    let deserializer: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    serde::Deserialize::deserialize(deserializer).map_err(|_| {
        Failure::new(Exit::Usage, format!("{text:?} is no verb"))
            .hint("delete, trash, update, truncate, drop, drop-database, define, rewrite, share, revoke, encrypt, weaken")
    })
}

/// Reads `30m`, `2h` or `1d`.
fn micros_of(text: &str) -> Result<i64, Failure> {
    let span: jiff::Span = text.parse().map_err(|error: jiff::Error| {
        Failure::because(Exit::Usage, format!("{text:?} is no duration such as 30m, 2h or 1d"), error)
    })?;
    // A day is one of 24 hours: a change window crosses no calendar.
    let total = span.total(jiff::SpanTotal::from(jiff::Unit::Microsecond).days_are_24_hours());
    total.map(|micros| micros as i64).map_err(|error| {
        Failure::because(Exit::Usage, format!("{text:?} is no duration such as 30m, 2h or 1d"), error)
    })
}

fn list_text(context: &Context, expectations: &[Expectation]) -> String {
    let now = context.clock().now();
    let mut rows =
        vec![["expectation", "source", "from", "until", "who", "what", "why"].map(str::to_owned).to_vec()];
    for expectation in expectations {
        let over = if expectation.until < now { " (over)" } else { "" };
        let mut what = expectation.verbs.iter().map(Verb::to_string).collect::<Vec<_>>().join(", ");
        if let Some(items) = expectation.items_max {
            what.push_str(&format!(", at most {}", count(items)));
        }
        rows.push(vec![
            expectation.id.clone(),
            expectation.source.to_string(),
            expectation.from.to_string(),
            format!("{}{over}", expectation.until),
            printable(expectation.actor.as_deref().unwrap_or("anybody")),
            what,
            printable(&expectation.reason),
        ]);
    }
    table(&rows)
}
