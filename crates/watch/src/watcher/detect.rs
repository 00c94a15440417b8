//! Which rules fire on what is new.

use model::{Event, Moment, Verb};

use super::{Context, Watcher, place_key, who};
use crate::{
    ActorKind, Notice, Sums,
    ledger::Entry,
    memory::{DAY, HOUR, Memory, SECOND, key},
    rules::{Drift, Facts, Per, Rate, Rule, RuleSeverity, Sequence, Share, SourceKind, Test},
    sums::is_destruction,
};

/// A rule that fired.
pub(super) struct Fired {
    pub(super) rule: usize,
    /// What it looks for began then.
    pub(super) since: i64,
    pub(super) explanation: String,
}

/// Everything that one observation set off.
#[derive(Default)]
pub(super) struct Detected {
    pub(super) alarms: Vec<Fired>,
    pub(super) notices: Vec<Notice>,
    /// The actor has not done this before.
    pub(super) new_pair: Option<Fired>,
}

/// One look at what is new.
struct Look<'a> {
    facts: Facts<'a>,
    entry: &'a Entry,
    more: &'a Sums,
    at: i64,
    /// Whether it was counted before, for somebody who was not known.
    again: bool,
}

impl Watcher {
    /// Finds the rules that fire on what is new of an entry. `again` says that it was counted before for somebody else.
    pub(super) fn detect(
        &mut self,
        entry: &Entry,
        more: &Sums,
        context: &Context<'_>,
        again: bool,
    ) -> Detected {
        let facts = Facts {
            event: &context.observation.event,
            stage: context.observation.stage,
            kind: entry.kind,
            unit: self.unit(&entry.deed.source),
        };
        let at = entry.deed.at.as_micros();
        let look = Look { facts, entry, more, at, again };
        if !again {
            look.learn_habits(&mut self.memory);
        }
        let mut detected = Detected::default();
        for (index, rule) in self.rules.rules.iter().enumerate() {
            if !rule.of.fits(&look.facts) {
                continue;
            }
            let Some((since, explanation)) = look.test(rule, &mut self.memory, context) else { continue };
            if rule.unless_usual && look.is_usual(rule, &self.memory) {
                continue;
            }
            let fired = Fired { rule: index, since, explanation };
            match (&rule.when, rule.severity) {
                (Test::Pair(_), _) => detected.new_pair = Some(fired),
                (_, RuleSeverity::Alarm) => detected.alarms.push(fired),
                (_, RuleSeverity::Notice) => {
                    detected.notices.extend(look.notice(rule, fired, &mut self.memory));
                }
            }
        }
        detected
    }
}

impl Watcher {
    /// Tells whether about as much was done to the same targets on days before.
    pub(super) fn is_habit(&self, entry: &Entry) -> bool {
        let at = entry.deed.at.as_micros();
        let mut harm = entry.deed.effects.iter().filter(|effect| is_habitual(effect.verb));
        harm.all(|effect| {
            let habit = self.memory.habits.get(habit_key(entry, effect.verb, &effect.target));
            habit.is_some_and(|habit| habit.is_usual(at))
        })
    }
}

/// Tells whether what is done with a verb can become usual.
fn is_habitual(verb: Verb) -> bool {
    is_destruction(verb) || verb == Verb::Update
}

fn habit_key(entry: &Entry, verb: Verb, target: &str) -> u64 {
    key(("habit", entry.deed.source.as_str(), &entry.deed.scope, verb, target))
}

impl Look<'_> {
    fn scope(&self) -> (&str, &str) {
        (self.entry.deed.source.as_str(), &self.entry.deed.scope)
    }

    /// Returns how much of what is new a rule looks at.
    fn count(&self, rule: &Rule) -> u64 {
        let taken = self.more.iter().filter(|effect| rule.of.takes(effect.verb, &effect.target));
        taken.fold(0, |sum, effect| sum.saturating_add(effect.count))
    }

    fn verbs(&self, rule: &Rule) -> String {
        let taken = self.more.iter().filter(|effect| rule.of.takes(effect.verb, &effect.target));
        let mut verbs: Vec<String> = taken.map(|effect| effect.verb.to_string()).collect();
        verbs.dedup();
        verbs.join(", ")
    }

    const fn things(&self) -> &'static str {
        match self.facts.unit {
            SourceKind::Rows => "rows",
            SourceKind::Items => "items",
        }
    }

    fn test(&self, rule: &Rule, memory: &mut Memory, context: &Context<'_>) -> Option<(i64, String)> {
        if let Test::Sequence(sequence) = &rule.when {
            return self.sequence(rule, sequence, memory);
        }
        let count = self.count(rule);
        if count == 0 {
            return None;
        }
        match &rule.when {
            Test::Once(once) => self.once(rule, once.items_min),
            Test::Rate(rate) => self.rate(rule, rate, count, memory),
            Test::Share(share) => self.share(rule, share, count, memory, context),
            Test::Drift(drift) => self.drift(rule, drift, count, memory),
            Test::Pair(pair) => {
                let since = memory.since.map_or(self.at, Moment::as_micros);
                let known = self.at - since >= i64::from(pair.known_after_days) * DAY;
                let verb = self.new_verb(i64::from(pair.days) * DAY, rule, memory)?;
                known.then(|| {
                    (self.at, format!("{} has not done {verb} in {} days", who(self.entry), pair.days))
                })
            }
            Test::Sequence(_) => None,
        }
    }

    /// All of the transaction counts, not only what is new of it.
    fn once(&self, rule: &Rule, least: u64) -> Option<(i64, String)> {
        let taken =
            self.entry.deed.effects.iter().filter(|effect| rule.of.takes(effect.verb, &effect.target));
        let count = taken.fold(0_u64, |sum, effect| sum.saturating_add(effect.count));
        let target = self.more.iter().find(|effect| rule.of.takes(effect.verb, &effect.target))?;
        let place = if target.target == self.entry.deed.scope {
            String::new()
        } else {
            format!(" in {}", self.entry.deed.scope)
        };
        let (who, verbs) = (who(self.entry), self.verbs(rule));
        (count >= least)
            .then(|| (self.at, format!("{who}: {verbs} of {count} at one stroke, {}{place}", target.target)))
    }

    fn rate(&self, rule: &Rule, rate: &Rate, count: u64, memory: &mut Memory) -> Option<(i64, String)> {
        let mut found = None;
        for per in &rate.per {
            let subject = match per {
                Per::Actor => self.entry.subject,
                Per::Scope if self.again => continue,
                Per::Scope => place_key(&self.entry.deed.source, &self.entry.deed.scope),
            };
            // Of one gesture different logs tell, each at its own time: they are counted each on its own.
            let log = self.entry.deed.scope.split_once('/').map_or("", |(log, _)| log);
            let window = memory.windows.at(key((&rule.id, per == &Per::Scope, subject, log)));
            let (sum, since) = window.add(self.at, count, i64::from(rate.seconds) * SECOND);
            if sum >= rate.count && found.is_none() {
                let (who, verbs) = (who(self.entry), self.verbs(rule));
                found = Some((
                    since,
                    format!(
                        "{who}: {sum} {} ({verbs}) within {} s in {}; {} are too many",
                        self.things(),
                        rate.seconds,
                        self.entry.deed.scope,
                        rate.count
                    ),
                ));
            }
        }
        found
    }

    fn share(
        &self,
        rule: &Rule,
        share: &Share,
        count: u64,
        memory: &mut Memory,
        context: &Context<'_>,
    ) -> Option<(i64, String)> {
        let day = memory.days.at(key((&rule.id, self.entry.subject, self.scope())));
        let (sum, since) = day.add(self.at, count);
        if sum < share.items_min {
            return None;
        }
        let all = context.reach.items(&self.entry.deed.source, &self.entry.deed.scope)?;
        let percent = sum as f64 * 100.0 / all.max(1) as f64;
        (percent >= share.percent).then(|| {
            let text = format!(
                "{}: {sum} of {all} {} ({}) within a day in {}, {percent:.1} %; {} % are too many",
                who(self.entry),
                self.things(),
                self.verbs(rule),
                self.entry.deed.scope,
                share.percent
            );
            (since, text)
        })
    }

    fn drift(&self, rule: &Rule, drift: &Drift, count: u64, memory: &mut Memory) -> Option<(i64, String)> {
        let slope = memory.slopes.at(key((&rule.id, self.entry.subject, self.scope())));
        let beyond = slope.add(self.at, count, drift)?;
        let (hours, per) =
            ((self.at - beyond.since) / HOUR + 1, if beyond.hourly { "an hour" } else { "a day" });
        let text = format!(
            "{}: in {hours} h {} {} ({}) more than usual in {}; {} {per} are usual",
            who(self.entry),
            beyond.excess,
            self.things(),
            self.verbs(rule),
            self.entry.deed.scope,
            beyond.usual
        );
        Some((beyond.since, text))
    }

    fn sequence(&self, rule: &Rule, sequence: &Sequence, memory: &mut Memory) -> Option<(i64, String)> {
        let mut found = None;
        for effect in self.more.iter().filter(|effect| rule.of.takes(effect.verb, &effect.target)) {
            let subject = if sequence.of_program {
                match self.program(effect.verb, &effect.target) {
                    Some(program) => key(("program", self.entry.deed.source.as_str(), program)),
                    None => continue,
                }
            } else {
                self.entry.subject
            };
            let steps = memory.steps.at(key((&rule.id, subject)));
            steps.expire(self.at, sequence);
            let Some(step) = sequence.steps.get(steps.step()) else { continue };
            if !step.of.fits(&self.facts) || !step.of.takes(effect.verb, &effect.target) {
                continue;
            }
            if let Some(since) = steps.add(self.at, effect.count, sequence) {
                let minutes = (self.at - since) / (60 * SECOND);
                let (who, count) = (who(self.entry), effect.count);
                let text = format!(
                    "{who}: {} steps in {minutes} min, at last {} {count} in {}",
                    sequence.steps.len(),
                    effect.verb,
                    self.entry.deed.scope
                );
                found = Some((since, text));
            }
        }
        found
    }

    /// Returns the program that was let in, or that acts.
    fn program<'a>(&'a self, verb: Verb, target: &'a str) -> Option<&'a str> {
        if verb == Verb::Grant {
            let id = target.strip_prefix("client/")?;
            return id.split([' ', ':', '"']).next();
        }
        self.entry.actor.as_ref()?.client.as_deref()
    }

    /// Returns a verb that is new for whoever does it; for a day it stays so.
    fn new_verb(&self, days: i64, rule: &Rule, memory: &mut Memory) -> Option<Verb> {
        if self.entry.kind == ActorKind::Unknown && self.entry.actor.is_none() {
            return None;
        }
        let mut new = None;
        for verb in self.more.verbs().filter(|verb| rule.of.takes(*verb, "")) {
            let (first, last) = memory.pairs.at(key((self.entry.subject, verb)));
            if *last == 0 || self.at - *last > days {
                *first = self.at;
            }
            *last = self.at.max(*last);
            if self.at - *first < DAY {
                new = new.or(Some(verb));
            }
        }
        new
    }

    fn learn_habits(&self, memory: &mut Memory) {
        for effect in self.more.iter().filter(|effect| is_habitual(effect.verb)) {
            memory.habits.at(habit_key(self.entry, effect.verb, &effect.target)).add(self.at, effect.count);
        }
    }

    fn is_usual(&self, rule: &Rule, memory: &Memory) -> bool {
        let mut taken = self.more.iter().filter(|effect| rule.of.takes(effect.verb, &effect.target));
        taken.all(|effect| {
            let habit = memory.habits.get(habit_key(self.entry, effect.verb, &effect.target));
            habit.is_some_and(|habit| habit.is_usual(self.at))
        })
    }

    /// Returns a notice unless the same was said within the hour.
    fn notice(&self, rule: &Rule, fired: Fired, memory: &mut Memory) -> Option<Notice> {
        let last = memory.noticed.at(key((&rule.id, self.entry.subject, self.scope())));
        if *last != 0 && self.at - *last < HOUR {
            return None;
        }
        *last = self.at;
        let event: &Event = self.facts.event;
        Some(Notice {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            source: self.entry.deed.source.clone(),
            scope: self.entry.deed.scope.clone(),
            actor: self.entry.actor.clone(),
            kind: self.entry.kind,
            at: event.at,
            explanation: fired.explanation,
        })
    }
}
