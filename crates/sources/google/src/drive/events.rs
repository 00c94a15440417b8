//! What went away between two looks, for people to find.

use connect::units::UnitError;
use model::{Attribution, Effect, Event, Severity, Verb};

use super::{FileAttributes, Pass, Place};

/// People rarely trash or delete so many files between two looks.
const DESTRUCTIVE_MIN: u64 = 20;

/// How many files went away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) trashed: u64,
    pub(super) deleted: u64,
}

impl Sums {
    /// Counts a file that is in the trash and was not.
    pub(super) const fn count(&mut self, held: Option<&FileAttributes>, now: &FileAttributes) {
        if let Some(held) = held
            && now.trashed
            && !held.trashed
        {
            self.trashed += 1;
        }
    }

    const fn severity(self) -> Option<Severity> {
        Some(match self.trashed + self.deleted {
            0 => return None,
            DESTRUCTIVE_MIN.. => Severity::Destructive,
            _ if self.deleted > 0 => Severity::Notable,
            _ => Severity::Routine,
        })
    }
}

impl Pass<'_, '_> {
    /// Tells of what went away. The feed has the latest change of each file alone, and no actors: the time is that of the
    /// look, and who did it is for the audit log to say.
    pub(super) fn tell(&mut self, since: &str, newest: &str) -> Result<(), UnitError> {
        let sums = std::mem::take(&mut self.sums);
        let Some(severity) = sums.severity() else { return Ok(()) };
        let scope = match &self.files.place {
            Place::Owned => self.files.subject.clone(),
            Place::Shared { .. } => self.files.stream.as_str().to_owned(),
        };
        let effects = [(Verb::Delete, sums.deleted), (Verb::Trash, sums.trashed)];
        let effects = effects.into_iter().filter(|(_, count)| *count > 0);
        self.sink.event(Event {
            at: self.files.tools.rounds.now(),
            position: format!("drive/{newest:0>20}"),
            transaction: format!("changes {since} to {newest}"),
            severity,
            effects: effects.map(|(verb, count)| Effect { verb, target: scope.clone(), count }).collect(),
            scope,
            actor: None,
            attribution: Attribution::Unknown,
            statement: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_outside_of_the_trash_went_into_it() {
        let file = |trashed| FileAttributes { trashed, ..FileAttributes::default() };
        let mut sums = Sums::default();
        for (held, now) in [(None, true), (Some(true), true), (Some(false), false), (Some(true), false)] {
            sums.count(held.map(file).as_ref(), &file(now));
        }
        assert_eq!((sums, sums.severity()), (Sums::default(), None));
        sums.count(Some(&file(false)), &file(true));
        assert_eq!((sums.trashed, sums.severity()), (1, Some(Severity::Routine)));
        sums.deleted = 1;
        assert_eq!(sums.severity(), Some(Severity::Notable));
        sums.deleted = 30;
        assert_eq!(sums.severity(), Some(Severity::Destructive));
    }
}
