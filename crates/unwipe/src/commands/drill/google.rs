//! A drill of a domain: a sample, or everything, goes into accounts of a sandbox tenant, is read again there with the
//! reader, and compared item by item under the connector's promise.

mod sandbox;
mod things;

use std::collections::BTreeMap;

use connect::{
    SourceReader, Stop, StoredHistory,
    fidelity::{Fidelity, Way},
    plan::{ApplyMode, PlanFolder, SourceWriter},
};
use drill::{Against, Candidate, Check, Extent, Sample, Tally, draw};
use google_recovery::{Destination, GoogleWriter, Selection, promises};
use service::{Secrets, StoredSource, proof};
use source_google::Part;

use self::{
    sandbox::Sandbox,
    things::{Collector, Found, Stored},
};
use super::{Drilling, Held, certify::not_held, over_budget, room::ScratchFolder};
use crate::{
    commands::google::{
        StoredAccount,
        rewind::{Back, Span, plan_part, plan_parts},
    },
    connectors::{
        google::{GoogleConfig, StoredDomain},
        selector::commit_of,
    },
    context::environment,
    exit::Exit,
    failure::Failure,
};

const PUT_IN: &str = "the sandbox took everything that was put in";
const READ_AGAIN: &str = "the sandbox can be read again";
const EMPTY_BEFORE: &str = "nothing of it was in the sandbox before";
const OTHER_PARTS: &str = "calendars, contacts and groups";
/// How often it is looked whether the time is over while the sandbox is written or read.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// An account's things of one kind, and the account that receives them.
type Place = (StoredAccount, String);

/// One account's things of one kind that go into the sandbox.
struct Move {
    account: StoredAccount,
    receiver: String,
    keys: Vec<String>,
}

/// Restores into the sandbox and compares.
pub(super) fn hold(drilling: &Drilling<'_>) -> Result<Held, Failure> {
    let Drilling { context, installation, asked, limits, progress, .. } = drilling;
    let name = &asked.source;
    let (_, source) = installation.config().source(name.as_str())?;
    let config = GoogleConfig::of(name, source)?
        .ok_or_else(|| Failure::new(Exit::Failed, format!("{name} is no domain")))?;
    let sandbox = Sandbox::of(&drilling.settings, name, &config)?;
    let stored = context.stored(installation, name, asked.reading)?;
    let at = commit_of(&stored, name.as_str(), &asked.moment)?;
    let domain = StoredDomain { name: name.clone(), config, stored, stream: None, at };

    progress.phase("drawing what is restored", None);
    let (accounts, candidates) = candidates(drilling, &domain, &sandbox)?;
    let sample = drawn(drilling, &candidates)?;
    let bytes = sample.chosen.iter().map(|&place| candidates[place].size_bytes).sum();
    limits.budget.admit(bytes, u64::MAX).map_err(over_budget)?;
    let moves = moves(accounts, &candidates, &sample, asked.whole);
    let expected = things::expected(&domain.stored, &candidates, &sample.chosen, at)
        .map_err(|error| not_held(name, error))?;

    let mut checks = vec![Check::not_checked(OTHER_PARTS, "drills of domains restore mail and files")];
    let scratch = ScratchFolder::create(context, installation)?;
    let secrets = Secrets::new(installation.home(), &environment);
    let stop = Stop::default();
    let (before, applied, after) = while_time(drilling, &stop, || -> Result<_, Failure> {
        let before = read(drilling, &sandbox, &secrets, &moves, &stop)?;
        let applied = put_in(drilling, &domain, &sandbox, &secrets, &moves, &scratch, &stop)?;
        let after = read(drilling, &sandbox, &secrets, &moves, &stop)?;
        Ok((before, applied, after))
    })?;
    checks.push(applied);
    checks.push(Check::passed(READ_AGAIN, format!("{} messages and files there", after.len())));
    let known = expected.iter().filter(|stored| before.has(&stored.receiver_identity(&moves))).count();
    checks.push(match known {
        0 => Check::passed(EMPTY_BEFORE, ""),
        known => {
            Check::not_checked(EMPTY_BEFORE, format!("{known} were there from before; empty the sandbox"))
        }
    });
    let tally = compare(&expected, after, &moves);
    Ok(Held {
        kind: crate::connectors::google::KIND,
        simulated: sandbox.is_simulated(),
        restored_commit: at,
        moment: None,
        position: format!("commit {at}"),
        extent: sample.extent,
        against: Against::Stored,
        tally,
        checks,
        probes: Vec::new(),
        serving_ms: None,
        space_bytes: expected.iter().map(|stored| stored.bytes).sum(),
        tables: BTreeMap::new(),
    })
}

/// Lists what can be drawn of the accounts that have a place in the sandbox.
fn candidates(
    drilling: &Drilling<'_>,
    domain: &StoredDomain,
    sandbox: &Sandbox,
) -> Result<(Vec<Place>, Vec<Candidate>), Failure> {
    let (mut accounts, mut candidates) = (Vec::new(), Vec::new());
    for (account, receiver) in &sandbox.accounts {
        for (part, stream) in [
            (Part::Gmail, source_google::gmail::mailbox_stream(account)),
            (Part::Drive, source_google::drive::drive_stream(account)),
        ] {
            let stream = stream.map_err(|error| not_held(&domain.name, error))?;
            things::list(&domain.stored, &stream, domain.at, &mut candidates)?;
            accounts.push((StoredAccount { part, account: account.clone(), stream }, receiver.clone()));
        }
        drilling.check_time()?;
    }
    if candidates.is_empty() {
        return Err(Failure::new(
            Exit::Nothing,
            "nothing is stored of the accounts that have a place in the sandbox",
        )
        .hint(format!("[drills.sources.{}.sandbox.accounts]", domain.name)));
    }
    Ok((accounts, candidates))
}

/// Draws a sample, or takes everything.
fn drawn(drilling: &Drilling<'_>, candidates: &[Candidate]) -> Result<Sample, Failure> {
    let Drilling { context, installation, asked, settings, .. } = drilling;
    if asked.whole {
        return Ok(Sample { chosen: (0..candidates.len()).collect(), extent: Extent::Whole });
    }
    let mut seed = [0; 8];
    context.ports.random.fill(&mut seed);
    let before = proof::failed_before(&proof::certificates(installation, &asked.source)?);
    Ok(draw(candidates, u64::from_be_bytes(seed), settings.sample_items(), &before))
}

fn moves(accounts: Vec<Place>, candidates: &[Candidate], sample: &Sample, whole: bool) -> Vec<Move> {
    let with_keys = |(account, receiver): Place| {
        let of_account = |place: &&usize| candidates[**place].stream == account.stream.as_str();
        let keys: Vec<_> =
            sample.chosen.iter().filter(of_account).map(|&place| candidates[place].key.clone()).collect();
        // No key at all would mean everything.
        (!keys.is_empty()).then(|| Move { keys: if whole { Vec::new() } else { keys }, account, receiver })
    };
    accounts.into_iter().filter_map(with_keys).collect()
}

/// Puts everything into the sandbox, by a plan like any other.
fn put_in(
    drilling: &Drilling<'_>,
    domain: &StoredDomain,
    sandbox: &Sandbox,
    secrets: &Secrets<'_>,
    moves: &[Move],
    scratch: &ScratchFolder,
    stop: &Stop,
) -> Result<Check, Failure> {
    let Drilling { context, progress, .. } = drilling;
    let path = scratch.0.join("plan");
    ports::files::create_folder(&path)?;
    let folder = PlanFolder::new(path);
    let span = Span { before: domain.at, after: domain.at };
    progress.phase("planning", None);
    let plan = plan_parts(context, domain, &domain.stored, span, &folder, &mut |planner, window| {
        for to_move in moves {
            let account = StoredAccount {
                part: to_move.account.part,
                account: to_move.account.account.clone(),
                stream: to_move.account.stream.clone(),
            };
            let back = Back {
                account,
                span,
                destination: Destination::OtherUser { email: to_move.receiver.clone() },
                selection: Selection { keys: to_move.keys.clone(), ..Selection::default() },
            };
            plan_part(planner, to_move.account.part, &back.request(window), domain)?;
        }
        Ok(())
    })?;
    progress.phase("putting things into the sandbox", None);
    let api = sandbox.settings.writer(context, secrets, &sandbox.credential, stop)?;
    let mut writer =
        GoogleWriter::new(&api, &domain.stored, folder.path().join("applied.jsonl"), domain.config.threads);
    let applied = writer.apply(&plan, &folder, ApplyMode::Lasting, *progress);
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) => {
            drilling.check_time()?;
            return Ok(Check::failed(PUT_IN, vault::error_text(&error)));
        }
    };
    let put = applied.counts.inserted + applied.counts.objects;
    Ok(if applied.counts.conflicts == 0 {
        Check::passed(PUT_IN, format!("{put} things"))
    } else {
        Check::failed(PUT_IN, format!("{put} things; {} were left aside", applied.counts.conflicts))
    })
}

/// Reads the receiving accounts with the reader.
fn read(
    drilling: &Drilling<'_>,
    sandbox: &Sandbox,
    secrets: &Secrets<'_>,
    moves: &[Move],
    stop: &Stop,
) -> Result<Found, Failure> {
    let Drilling { context, progress, .. } = drilling;
    progress.phase("reading the sandbox", None);
    let mut settings = sandbox.settings.clone();
    settings.parts = vec![Part::Gmail, Part::Drive];
    settings.users = moves.iter().map(|to_move| to_move.receiver.clone()).collect();
    let mut reader = settings.reader(context, secrets, true)?;
    let mut collector = Collector::default();
    let result = reader.changes(None, &mut collector, stop);
    // What was broken off because the time is over says nothing of the vault.
    drilling.check_time()?;
    result.map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Failure::because(Exit::Failed, "the sandbox cannot be read", error).hint_opt(hint)
    })?;
    Ok(collector.found())
}

/// Works, and asks it to stop when the time is over.
fn while_time<T>(
    drilling: &Drilling<'_>,
    stop: &Stop,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let ended = std::sync::atomic::AtomicBool::new(false);
    let limits = &drilling.limits;
    std::thread::scope(|scope| {
        let ended = &ended;
        scope.spawn(move || {
            while !ended.load(std::sync::atomic::Ordering::SeqCst) {
                if limits.left().is_err() {
                    stop.request();
                    return;
                }
                limits.clock.sleep(LOOK_EVERY);
            }
        });
        let result = work();
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        if result.is_err() {
            drilling.check_time()?;
        }
        result
    })
}

/// Compares each stored thing with the one in the sandbox that answers to it.
fn compare(expected: &[Stored], mut found: Found, moves: &[Move]) -> Tally {
    let promises: Vec<Fidelity> =
        promises().into_iter().filter(|promise| promise.way == Way::MadeAnew).collect();
    let nothing = Fidelity::new("", Way::MadeAnew);
    let mut tally = Tally::default();
    for stored in expected {
        let promise = promises.iter().find(|promise| promise.kind == stored.thing.kind).unwrap_or(&nothing);
        if let Some(damage) = &stored.damage {
            tally.differs(&stored.thing.subject(), damage);
            continue;
        }
        let comparison = if stored.readable {
            let twin = found.take(&stored.receiver_identity(moves), &stored.thing);
            drill::compare(&stored.thing, twin.as_ref(), promise)
        } else {
            drill::Comparison::NotComparable
        };
        tally.add(&stored.thing.subject(), &comparison);
    }
    tally
}

/// Reads content only to know its digest.
fn digest_of(
    past: &StoredSource,
    stream: &model::StreamName,
    key: &str,
    at: u64,
) -> Result<String, connect::StoredError> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut body = past.open(stream, key, at)?;
    while let Some(portion) = body.next_portion()? {
        context.update(portion);
    }
    Ok(vault::hex(context.finish().as_ref()))
}

#[cfg(test)]
mod tests;
