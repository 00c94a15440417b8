//! One encrypted file may be its owner's wish; many within minutes are not.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use model::Moment;

use super::names::is_ransom_note;

/// So long a run of changes is looked at together.
const WINDOW: Duration = Duration::from_mins(5);
/// Of so many changes in a row.
const RUN: usize = 10;
/// So many look encrypted.
const FLAGGED_OF_RUN: usize = 5;
/// So many files got the same new extension.
const SAME_EXTENSION: usize = 20;
/// Beside a letter with demands so many are enough.
const FLAGGED_WITH_NOTE: usize = 3;
/// Of one actor no more changes are remembered, and of no more actors any: the oldest go.
const CHANGES_MAX: usize = 4096;
const ACTORS_MAX: usize = 1024;

/// One file that was changed or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed<'a> {
    /// When; never before the one told before.
    pub at: Moment,
    /// Who changed it, or where it lies when nobody knows.
    pub whose: &'a str,
    /// Its name now.
    pub name: &'a str,
    /// Whether it looks encrypted; false for a new file.
    pub flagged: bool,
    /// The extension that it has now and had not before.
    pub new_extension: Option<&'a str>,
}

/// What makes a run of changes an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmCause {
    /// Half of the last changes or more look encrypted.
    Many,
    /// Many files got the same new extension.
    Extension(String),
    /// A letter with demands lies beside files that look encrypted.
    Note(String),
}

/// An attack that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Whose it is.
    pub whose: String,
    /// What makes it one.
    pub cause: AlarmCause,
    /// How many files look encrypted within the last minutes.
    pub flagged: usize,
    /// When the first of these was changed.
    pub since: Moment,
}

/// Looks at runs of changes of each actor.
#[derive(Debug, Default)]
pub struct Campaign {
    actors: BTreeMap<String, Run>,
}

#[derive(Debug, Default)]
struct Run {
    changes: VecDeque<Past>,
    note: Option<(Moment, String)>,
}

#[derive(Debug)]
struct Past {
    at: Moment,
    flagged: bool,
    extension: Option<String>,
}

impl Campaign {
    /// Begins with nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one change; returns the attack that it belongs to, if it is one, each time anew.
    pub fn take(&mut self, change: Changed<'_>) -> Option<Alarm> {
        if !self.actors.contains_key(change.whose) && self.actors.len() >= ACTORS_MAX {
            self.forget_the_quietest();
        }
        let run = self.actors.entry(change.whose.to_owned()).or_default();
        run.forget_before(change.at);
        run.changes.push_back(Past {
            at: change.at,
            flagged: change.flagged,
            extension: change.new_extension.map(str::to_owned),
        });
        if is_ransom_note(change.name) {
            run.note = Some((change.at, change.name.to_owned()));
        }
        let cause = run.cause()?;
        let flagged = run.changes.iter().filter(|past| past.flagged);
        let since = flagged.clone().map(|past| past.at).next().unwrap_or(change.at);
        Some(Alarm { whose: change.whose.to_owned(), cause, flagged: flagged.count(), since })
    }

    fn forget_the_quietest(&mut self) {
        let last = |run: &Run| run.changes.back().map(|past| past.at);
        let quietest = self.actors.iter().min_by_key(|(_, run)| last(run)).map(|(whose, _)| whose.clone());
        if let Some(whose) = quietest {
            self.actors.remove(&whose);
        }
    }
}

impl Run {
    fn forget_before(&mut self, now: Moment) {
        let is_old = |at: Moment| now.micros_since(at) > WINDOW.as_micros() as i64;
        while self.changes.len() >= CHANGES_MAX || self.changes.front().is_some_and(|past| is_old(past.at)) {
            self.changes.pop_front();
        }
        self.note.take_if(|(at, _)| is_old(*at));
    }

    fn cause(&self) -> Option<AlarmCause> {
        let flagged = self.changes.iter().filter(|past| past.flagged).count();
        if let Some((_, name)) = self.note.as_ref().filter(|_| flagged >= FLAGGED_WITH_NOTE) {
            return Some(AlarmCause::Note(name.clone()));
        }
        if self.changes.iter().rev().take(RUN).filter(|past| past.flagged).count() >= FLAGGED_OF_RUN {
            return Some(AlarmCause::Many);
        }
        self.extension().map(AlarmCause::Extension)
    }

    /// Only what looks encrypted with it counts: whoever renames many files has not encrypted them.
    fn extension(&self) -> Option<String> {
        let last = self.changes.back()?.extension.as_ref()?;
        let same = self.changes.iter().filter(|past| past.extension.as_ref() == Some(last));
        let flagged = same.clone().any(|past| past.flagged);
        (flagged && same.count() >= SAME_EXTENSION).then(|| last.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seconds: i64, name: &str, flagged: bool) -> Changed<'_> {
        Changed {
            at: Moment::from_micros(seconds * 1_000_000),
            whose: "anna",
            name,
            flagged,
            new_extension: None,
        }
    }

    #[test]
    fn five_of_ten_within_minutes_are_an_attack() {
        let mut campaign = Campaign::new();
        let mut seen = Vec::new();
        for second in 0..10 {
            seen.push(campaign.take(change(second, "a.doc", second % 2 == 0)));
        }
        assert!(seen[..8].iter().all(Option::is_none));
        let alarm = seen[8].clone().unwrap();
        assert_eq!((alarm.cause, alarm.flagged, alarm.since), (AlarmCause::Many, 5, Moment::from_micros(0)));
    }

    #[test]
    fn a_few_an_hour_are_none_and_each_actor_counts_alone() {
        let mut campaign = Campaign::new();
        for number in 0..50 {
            assert_eq!(campaign.take(change(number * 120, "a.doc", true)), None);
        }
        let mut campaign = Campaign::new();
        for whose in ["anna", "bert", "carl", "dora"] {
            for second in 0..4 {
                assert_eq!(campaign.take(Changed { whose, ..change(second, "a.doc", true) }), None);
            }
        }
    }

    #[test]
    fn a_letter_with_demands_needs_three_files() {
        let mut campaign = Campaign::new();
        assert_eq!(campaign.take(change(0, "HOW_TO_DECRYPT.txt", false)), None);
        assert_eq!(campaign.take(change(1, "a", true)), None);
        assert_eq!(campaign.take(change(2, "b", true)), None);
        let alarm = campaign.take(change(3, "c", true)).unwrap();
        assert_eq!(alarm.cause, AlarmCause::Note("HOW_TO_DECRYPT.txt".to_owned()));
    }

    #[test]
    fn twenty_with_one_new_extension_are_one_even_among_many_others() {
        let mut campaign = Campaign::new();
        let mut first = None;
        for number in 0..120 {
            let locked = number % 5 == 0;
            let extension = locked.then_some("locked");
            let alarm = campaign.take(Changed { new_extension: extension, ..change(number, "a", locked) });
            if alarm.is_some() && first.is_none() {
                first = Some((number, alarm));
            }
        }
        let (number, alarm) = first.unwrap();
        assert_eq!((number, alarm.unwrap().cause), (95, AlarmCause::Extension("locked".to_owned())));
        let mut renamed = Campaign::new();
        for number in 0..100 {
            let change = Changed { new_extension: Some("bak"), ..change(number, "a.bak", false) };
            assert_eq!(renamed.take(change), None, "whoever only renames has not encrypted");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut campaign = Campaign::new();
        for number in 0..5000 {
            campaign.take(Changed { whose: &format!("actor {number}"), ..change(number / 100, "a", false) });
            campaign.take(change(number / 100, "a", false));
        }
        assert!(campaign.actors.len() <= ACTORS_MAX);
        assert_eq!(campaign.actors["anna"].changes.len(), CHANGES_MAX);
    }
}
