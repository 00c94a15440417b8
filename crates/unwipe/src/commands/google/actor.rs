//! Undoing what somebody did in a domain, account by account.

use std::collections::BTreeSet;

use model::{Event, Moment, SourceName, StreamName};
use service::{
    StoredSource,
    undo::{Choice, Touched, touched},
};
use source_google::Part;

use super::{
    STREAMS, StoredAccount,
    rewind::{Back, Span, look_again, plan_parts},
};
use crate::{
    commands::rewind::actor::Parts,
    connectors::{google::StoredDomain, selector::commit_of},
    exit::Exit,
    failure::Failure,
};

/// What a capture may be behind when it ends: what was done so shortly before is looked for in the next one.
const SETTLED_MICROS: i64 = 30_000_000;
const CONTESTED: &str = "somebody else was active, too, and the two cannot be told apart";

/// Plans the undo for every account that somebody touched.
pub(crate) fn undo_actor(
    parts: &mut Parts<'_>,
    name: &SourceName,
    choice: &Choice<'_>,
) -> Result<(), Failure> {
    let opened = crate::connectors::google::open(
        parts.context,
        parts.installation,
        name.as_str(),
        &parts.options.reading,
    )?;
    let Some(domain) = opened else { return Ok(()) };
    let streams: BTreeSet<String> =
        domain.stored.catalog().counts_at(domain.at)?.into_iter().map(|(stream, _)| stream).collect();
    let places = touched(choice, |event| stream_of(event, &streams), item_of);
    let strange = choice.taken.iter().filter(|event| stream_of(event, &streams).is_none()).count();
    if strange > 0 {
        parts.notes.push(format!(
            "{name}: {strange} acts were done where nothing is brought back (consents, settings, accounts), or where the \
             log does not say; look at them: unwipe timeline {name} --all"
        ));
    }
    for (stream, touched) in places {
        undo_in(parts, &domain, &stream, &touched)?;
    }
    Ok(())
}

/// Returns the stream in which something happened, among those that are stored.
fn stream_of(event: &Event, streams: &BTreeSet<String>) -> Option<String> {
    let known = |stream: String| streams.contains(&stream).then_some(stream);
    match event.scope.split_once('/')? {
        // Drive's log names every file; what a program called says no more.
        ("token", identity) => {
            let bucket = event.effects.first()?.target.to_lowercase();
            ["gmail", "calendar", "contacts"]
                .into_iter()
                .find(|part| bucket == *part)
                .and_then(|part| known(format!("{part}/{identity}")))
        }
        ("drive", owner) => known(event.scope.clone()).or_else(|| known(format!("shared-drive/{owner}"))),
        _ => known(event.scope.clone()),
    }
}

/// Returns the key of the item that a target names. The log's id of a message is not the mailbox's.
fn item_of(target: &str) -> Option<String> {
    let key = target.split_once(" \"").map_or(target, |(key, _)| key);
    let key = key.split_once(": ").map_or(key, |(key, _)| key);
    let named = ["file/", "event/"].iter().any(|prefix| key.starts_with(prefix) && !key.ends_with("/?"));
    named.then(|| key.to_owned())
}

fn undo_in(
    parts: &mut Parts<'_>,
    domain: &StoredDomain,
    stream: &str,
    touched: &Touched,
) -> Result<(), Failure> {
    let account = account_of(stream)?;
    look_again(parts.context, parts.installation, domain, &account)?;
    let stored = parts.context.stored(parts.installation, &domain.name, &parts.options.reading)?;
    let Some(before) = stored.catalog().commit_at(touched.first)? else {
        parts.notes.push(format!("{stream}: nothing is stored from before the first act"));
        return Ok(());
    };
    let span = Span { before, after: settled_after(&stored, domain, touched.last)? };
    let keys: Vec<String> = touched.keys.iter().cloned().collect();
    let contested: Vec<String> = touched.contested.iter().cloned().collect();
    let by_time = touched.unnamed > 0 && account.part != Part::Drive;
    if by_time {
        parts.notes.push(format!(
            "{stream}: the log names no items; {}",
            if touched.others_unnamed {
                "as others were active from the first act to the last, everything that changed then is left and listed"
            } else {
                "everything that was deleted or changed from the first act to the last is taken for the actor's, also what \
                 the owner did by hand; what came in stays"
            }
        ));
    }
    let (folder, place) = parts.next_folder(&domain.name);
    let plan = plan_parts(parts.context, domain, &stored, span, &folder, &mut |planner, window| {
        let back = |keys: Vec<String>| Back::of_deeds(account.clone(), keys).request(window);
        if !contested.is_empty() {
            planner.contest(&back(contested.clone()), &contested, CONTESTED)?;
        }
        if by_time && touched.others_unnamed {
            planner.contest(&back(Vec::new()), &[], CONTESTED)
        } else if by_time {
            super::rewind::plan_part(planner, account.part, &back(Vec::new()), domain)
        } else if keys.is_empty() {
            Ok(())
        } else {
            super::rewind::plan_part(planner, account.part, &back(keys.clone()), domain)
        }
    })?;
    parts.add(&place, &folder, &plan)
}

fn account_of(stream: &str) -> Result<StoredAccount, Failure> {
    let strange = || Failure::new(Exit::Failed, format!("{stream} names nothing that is brought back"));
    let name = StreamName::new(stream).map_err(|_| strange())?;
    STREAMS
        .iter()
        .find_map(|(prefix, part)| {
            let account = stream.strip_prefix(prefix)?.to_owned();
            Some(StoredAccount { part: *part, account, stream: name.clone() })
        })
        .ok_or_else(strange)
}

/// Returns the first commit that surely knows what had happened at a time, two looks of the capture later; the newest
/// where none does.
fn settled_after(stored: &StoredSource, domain: &StoredDomain, at: Moment) -> Result<u64, Failure> {
    let latest = commit_of(stored, domain.name.as_str(), "latest")?;
    let looks = i64::try_from(domain.config.every_s.saturating_mul(2_000_000)).unwrap_or(i64::MAX);
    let settled = at.as_micros().saturating_add(SETTLED_MICROS).saturating_add(looks);
    let commits = stored.catalog().commits(u32::MAX)?;
    let after = commits.iter().filter(|commit| commit.vault_time.as_micros() >= settled);
    Ok(after.map(|commit| commit.sequence).min().unwrap_or(latest))
}

#[cfg(test)]
mod tests {
    use model::{Attribution, Effect, Severity, Verb};

    use super::*;

    fn event(scope: &str, target: &str) -> Event {
        Event {
            at: Moment::from_micros(0),
            position: String::new(),
            transaction: String::new(),
            scope: scope.to_owned(),
            effects: vec![Effect { verb: Verb::Delete, target: target.to_owned(), count: 1 }],
            severity: Severity::Routine,
            actor: None,
            attribution: Attribution::Recorded,
            statement: None,
        }
    }

    #[test]
    fn events_lead_to_streams_and_items() {
        let streams: BTreeSet<String> =
            ["drive/anna@x", "shared-drive/0AB", "gmail/anna@x", "calendar/anna@x"].map(str::to_owned).into();
        let of = |scope, target| stream_of(&event(scope, target), &streams);
        assert_eq!(of("drive/anna@x", "file/1").as_deref(), Some("drive/anna@x"));
        assert_eq!(of("drive/0AB", "file/1").as_deref(), Some("shared-drive/0AB"));
        assert_eq!(of("token/anna@x", "GMAIL").as_deref(), Some("gmail/anna@x"));
        assert_eq!(of("token/anna@x", "DRIVE"), None);
        assert_eq!(of("admin", "x"), None);
        assert_eq!(item_of("file/1 \"Plan: new\"").as_deref(), Some("file/1"));
        assert_eq!(item_of("file/1 \"Plan\": ben@x can_edit").as_deref(), Some("file/1"));
        assert_eq!(item_of("event/anna@x/e1 \"Lunch\"").as_deref(), Some("event/anna@x/e1"));
        assert_eq!((item_of("file/?"), item_of("message/<1@x>"), item_of("GMAIL")), (None, None, None));
    }
}
