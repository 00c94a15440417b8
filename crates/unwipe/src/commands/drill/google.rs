//! A drill of a domain: a sample, or everything, goes into accounts of a sandbox tenant, is read again there with the
//! reader, and compared item by item under the connector's promise. Everything that it makes there carries its name, and is
//! taken away again; so is what a drill left that did not end.

mod describe;
mod found;
mod places;
mod putting;
mod sandbox;
mod things;

use std::collections::{BTreeMap, BTreeSet};

use connect::{
    SourceReader, Stop, StoredHistory,
    fidelity::{Fidelity, Way},
    plan::WriteError,
};
use drill::{
    Against, Candidate, Check, Comparison, Counts, Extent, Findings, Ground, Sample, Swept, Tally, Thing,
    draw,
};
use google_recovery::{
    promises,
    sandbox::{Mark, Swept as SweptSandbox, sweep},
};
use service::{Secrets, StoredSource, proof};
use source_google::Part;

use self::{
    found::{Collector, Found},
    places::{Place, Places, SHARED},
    putting::{Move, Put},
    sandbox::Sandbox,
    things::{Expecting, Stored},
};
use super::{
    Drilling,
    certify::not_held,
    over_budget,
    room::{self, ScratchFolder},
};
use crate::{
    connectors::{
        google::{GoogleConfig, StoredDomain},
        selector::commit_of,
    },
    context::environment,
    exit::Exit,
    failure::Failure,
};

const READ_AGAIN: &str = "the sandbox can be read again";
const NOTHING_MORE: &str = "nothing is there that was not put in";
/// How often it is looked whether the time is over while the sandbox is written or read.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Accounts of a sandbox tenant into which things of a domain are restored.
pub(super) struct DomainGround<'d> {
    domain: Domain<'d>,
    restored: Option<Restored>,
}

/// A drill of a domain, with everything that it takes.
struct Domain<'d> {
    drilling: &'d Drilling<'d>,
    stored: StoredDomain,
    sandbox: Sandbox,
    secrets: Secrets<'d>,
    mark: Mark,
}

/// What was drawn and put into the sandbox.
struct Restored {
    places: Places,
    candidates: Vec<Candidate>,
    sample: Sample,
    /// The accounts that got something.
    receivers: Vec<String>,
    put: Put,
}

impl<'d> DomainGround<'d> {
    pub(super) fn new(drilling: &'d Drilling<'d>) -> Result<Self, Failure> {
        let Drilling { context, installation, asked, .. } = drilling;
        let name = &asked.source;
        let (_, source) = installation.config().source(name.as_str())?;
        let config = GoogleConfig::of(name, source)?
            .ok_or_else(|| Failure::new(Exit::Failed, format!("{name} is no domain")))?;
        let sandbox = Sandbox::of(&drilling.settings, name, &config)?;
        let stored = context.stored(installation, name, asked.reading)?;
        let at = commit_of(&stored, name.as_str(), &asked.moment)?;
        let vault = installation.vault(&environment)?.manifest().vault.to_string();
        let domain = Domain {
            drilling,
            stored: StoredDomain { name: name.clone(), config, stored, stream: None, at },
            sandbox,
            secrets: Secrets::new(installation.home(), &environment),
            mark: Mark::new(name.as_str(), &vault, &context.random_text::<4>()),
        };
        Ok(Self { domain, restored: None })
    }
}

impl Ground for DomainGround<'_> {
    type Error = Failure;

    fn refuse_production(&mut self) -> Result<(), Failure> {
        // What the configuration itself gives away was refused when it was read.
        self.domain.sandbox.refuse_domains_of(&places::streams(&self.domain.stored)?)
    }

    fn sweep(&mut self) -> Result<Swept, Failure> {
        let Drilling { context, installation, .. } = self.domain.drilling;
        let is_first = self.restored.take().is_none();
        let mut swept = room::sweep(context, installation)?;
        let clear = |stop: &Stop| {
            let of_sandbox = self.domain.clear(stop);
            of_sandbox.map_err(|error| refused(error, "the sandbox cannot be cleared"))
        };
        let stop = Stop::default();
        // Afterwards it is cleared even when the time is over.
        let of_sandbox = if is_first && self.domain.drilling.check_time().is_ok() {
            while_time(self.domain.drilling, &stop, || clear(&stop))?
        } else {
            clear(&stop)?
        };
        swept.extend(of_sandbox.into_iter().map(|(what, count)| (what.to_owned(), count)));
        Ok(swept)
    }

    fn put(&mut self) -> Result<(), Failure> {
        let (domain, drilling) = (&self.domain, self.domain.drilling);
        let Drilling { context, installation, limits, progress, .. } = drilling;
        progress.phase("drawing what is restored", None);
        let places = Places::of(&domain.stored, &domain.sandbox)?;
        let candidates = domain.candidates(&places.all)?;
        let sample = drawn(drilling, &candidates)?;
        let bytes = sample.chosen.iter().map(|&place| candidates[place].size_bytes).sum();
        limits.budget.admit(bytes, u64::MAX).map_err(over_budget)?;
        let moves = domain.moves(&places.all, &candidates, &sample);
        let scratch = ScratchFolder::create(context, installation)?;
        let stop = Stop::default();
        let put = while_time(drilling, &stop, || domain.put_in(&moves, &scratch, &stop))?;
        let receivers = receivers(&moves);
        self.restored = Some(Restored { places, candidates, sample, receivers, put });
        Ok(())
    }

    fn compare(&mut self) -> Result<Findings, Failure> {
        let (domain, drilling) = (&self.domain, self.domain.drilling);
        let Some(restored) = &self.restored else {
            return Err(Failure::new(Exit::Failed, "nothing was put into the sandbox"));
        };
        let Restored { places, sample, put, .. } = restored;
        let stop = Stop::default();
        let found = while_time(drilling, &stop, || domain.read(restored, &stop))?;
        drilling.progress.phase("comparing", None);
        let expected = domain.expected(restored)?;
        let mut checks = vec![put.check.clone()];
        checks.push(Check::passed(READ_AGAIN, format!("{} things of this drill are there", found.len())));
        let compared = compare(&expected, found);
        checks.extend(compared.checks(&domain.sandbox.parts(), &sample.extent));
        checks.extend(put.refused.check.clone());
        checks.extend(put.foreign.clone());
        checks.extend(places.missing.iter().cloned());
        let mut tally = compared.tally;
        tally.counts.not_comparable += expected.left_out;
        Ok(Findings {
            kind: crate::connectors::google::KIND,
            simulated: domain.sandbox.is_simulated(),
            restored_commit: domain.stored.at,
            moment: None,
            position: format!("commit {}", domain.stored.at),
            extent: sample.extent.clone(),
            against: Against::Stored,
            tally,
            checks,
            probes: Vec::new(),
            serving_ms: None,
            space_bytes: expected.things.iter().map(|stored| stored.bytes).sum(),
            tables: BTreeMap::new(),
        })
    }
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

/// What has to be in the sandbox.
#[derive(Default)]
struct Expected {
    things: Vec<Stored>,
    /// The streams of the shared drives that the drill made.
    drives: BTreeSet<String>,
    /// How many of those that were drawn nothing comes of there.
    left_out: u64,
}

impl Domain<'_> {
    /// Lists what can be drawn.
    fn candidates(&self, places: &[Place]) -> Result<Vec<Candidate>, Failure> {
        let mut candidates = Vec::new();
        for place in places {
            things::list(&self.stored.stored, place, self.stored.at, &mut candidates)?;
            self.drilling.check_time()?;
        }
        if candidates.is_empty() {
            return Err(Failure::new(Exit::Nothing, "nothing is stored that a drill could restore"));
        }
        Ok(candidates)
    }

    /// Takes away what drills of this source made.
    fn clear(&self, stop: &Stop) -> Result<SweptSandbox, WriteError> {
        let Drilling { context, progress, .. } = self.drilling;
        progress.phase("clearing the sandbox", None);
        let (sandbox, settings) = (&self.sandbox, &self.sandbox.settings);
        let api = settings.writer(context, &self.secrets, &sandbox.credential, stop).map_err(|failure| {
            WriteError::Source { message: failure.to_string(), hint: None, transient: false, source: None }
        })?;
        let accounts: BTreeSet<String> = sandbox.accounts.values().cloned().collect();
        sweep(&api, &self.mark, &sandbox.admin(), &accounts, &sandbox.parts())
    }

    /// Reads the receiving accounts with the reader.
    fn read(&self, restored: &Restored, stop: &Stop) -> Result<Found, Failure> {
        let Drilling { context, progress, .. } = self.drilling;
        progress.phase("reading the sandbox", None);
        let mut settings = self.sandbox.settings.clone();
        settings.parts = self.sandbox.parts().into_iter().collect();
        settings.users.clone_from(&restored.receivers);
        if !restored.put.drives.is_empty() || settings.users.is_empty() {
            // Shared drives are read in the name of whoever made them.
            settings.users.push(self.sandbox.admin());
        }
        let mut reader = settings.reader(context, &self.secrets, true)?;
        let mut collector = Collector::new(self.mark.clone());
        let result = reader.changes(None, &mut collector, stop);
        // What was broken off because the time is over says nothing of the vault.
        self.drilling.check_time()?;
        result.map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            Failure::because(Exit::Failed, "the sandbox cannot be read", error).hint_opt(hint)
        })?;
        Ok(collector.found())
    }

    /// Describes what was drawn as it must be in the sandbox.
    fn expected(&self, restored: &Restored) -> Result<Expected, Failure> {
        let Restored { places, candidates, sample, put, .. } = restored;
        let by_stream: BTreeMap<&str, &Place> =
            places.all.iter().map(|place| (place.of.stream.as_str(), place)).collect();
        let sandbox = self.sandbox_of(&self.sandbox.admin(), None);
        let expecting = Expecting {
            stored: &self.stored.stored,
            at: self.stored.at,
            sandbox: &sandbox,
            drives: &put.drives,
        };
        let drives = put.drives.values().map(|id| format!("{SHARED}{id}")).collect();
        let mut expected = Expected { drives, ..Expected::default() };
        for candidate in sample.chosen.iter().map(|&place| &candidates[place]) {
            let Some(place) = by_stream.get(candidate.stream.as_str()) else { continue };
            let thing = expecting.thing(place, candidate);
            match thing.map_err(|error| not_held(&self.stored.name, error))? {
                Some(mut stored) => {
                    put.refused.excuse(&mut stored);
                    expected.things.push(stored);
                }
                None => expected.left_out += 1,
            }
            self.drilling.check_time()?;
        }
        Ok(expected)
    }

    /// Returns where things go that this account gets.
    fn sandbox_of(&self, receiver: &str, drive: Option<String>) -> google_recovery::Sandbox {
        google_recovery::Sandbox {
            email: receiver.to_owned(),
            mark: self.mark.clone(),
            accounts: self.sandbox.accounts.clone(),
            drive,
        }
    }
}

/// Lists the accounts that get something of their own.
fn receivers(moves: &[Move<'_>]) -> Vec<String> {
    let of_accounts = |to_move: &&Move<'_>| to_move.place.of.account.contains('@');
    let accounts: BTreeSet<String> =
        moves.iter().filter(of_accounts).map(|to_move| to_move.place.receiver.clone()).collect();
    accounts.into_iter().collect()
}

/// Says that no drill is held because of what the sandbox answered.
fn refused(error: WriteError, what: &str) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, what.to_owned(), error).hint_opt(hint)
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

/// What comparing came to, in all and by kind.
#[derive(Default)]
struct Compared {
    tally: Tally,
    kinds: BTreeMap<String, Counts>,
    /// What is there and was not put in.
    more: Vec<Thing>,
}

/// Compares each stored thing with the one in the sandbox that answers to it.
fn compare(expected: &Expected, mut found: Found) -> Compared {
    let promises: Vec<Fidelity> =
        promises().into_iter().filter(|promise| promise.way == Way::MadeAnew).collect();
    let nothing = Fidelity::new("", Way::MadeAnew);
    let mut compared = Compared::default();
    for stored in &expected.things {
        let promise = promises.iter().find(|promise| promise.kind == stored.thing.kind).unwrap_or(&nothing);
        let (mut one, subject) = (Tally::default(), stored.thing.subject());
        if let Some(damage) = &stored.damage {
            one.differs(&subject, damage);
            compared.tally.differs(&subject, damage);
        } else {
            let comparison = if stored.readable {
                let twin = found.take(&stored.identity, &stored.thing);
                drill::compare(&stored.thing, twin.as_ref(), promise)
            } else {
                Comparison::NotComparable
            };
            one.add(&subject, &comparison);
            compared.tally.add(&subject, &comparison);
        }
        compared.kinds.entry(stored.thing.kind.clone()).or_default().add(one.counts);
    }
    // The sandbox's own shared drives are read as well.
    let is_foreign =
        |thing: &Thing| thing.stream.starts_with(SHARED) && !expected.drives.contains(&thing.stream);
    let is_more = |thing: &Thing| describe::ALONE.contains(&thing.kind.as_str()) && !is_foreign(thing);
    compared.more = found.rest().filter(is_more).collect();
    compared
}

impl Compared {
    /// Says of each kind how many there were.
    fn checks(&self, parts: &BTreeSet<Part>, extent: &Extent) -> Vec<Check> {
        let mut checks = Vec::new();
        for (kind, part, words) in describe::KINDS {
            let subject = format!("{words} are as they were");
            match self.kinds.get(kind) {
                Some(counts) if counts.different > 0 => checks.push(Check::failed(
                    subject,
                    format!("{} of {} are otherwise", counts.different, counts.compared),
                )),
                Some(counts) if counts.compared > 0 => {
                    checks.push(Check::passed(subject, format!("{} compared", counts.compared)));
                }
                Some(_) => checks.push(Check::not_checked(subject, "nothing of them can be compared")),
                None if parts.contains(&part) => checks.push(Check::not_checked(subject, "none was drawn")),
                None => {}
            }
        }
        checks.push(match self.more.first() {
            // What belongs to something that was drawn comes with it.
            _ if *extent != Extent::Whole => Check::not_checked(NOTHING_MORE, "only a sample was put in"),
            None => Check::passed(NOTHING_MORE, ""),
            Some(first) => {
                let text = format!("{}, {}, and {} more", first.subject(), first.kind, self.more.len() - 1);
                Check::failed(NOTHING_MORE, text)
            }
        });
        checks
    }
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
