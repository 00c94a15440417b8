//! What went away between two looks, for people to find.

use model::{Attribution, Effect, Event, Moment, Severity, Verb};

/// People rarely trash or delete so many things between two looks.
const DESTRUCTIVE_MIN: u64 = 20;

/// So many of the things are named.
pub(crate) const NAMED_MAX: usize = 20;

/// How many things went away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Went into the trash.
    pub(crate) trashed: u64,
    /// Were deleted for good.
    pub(crate) deleted: u64,
    /// The keys of some of them.
    pub(crate) named: Vec<String>,
}

/// Where something went away.
pub(crate) struct Place {
    /// A position of the source that was reached when it was seen.
    pub(crate) position: String,
    /// What happened, as the source counts it.
    pub(crate) transaction: String,
    /// Whose things they are.
    pub(crate) scope: String,
}

impl Place {
    /// Makes the place between two positions of a feed, `gmail`, which calls what it tells a `history`.
    pub(crate) fn between(feed: &str, called: &str, since: &str, newest: &str, scope: String) -> Self {
        let position = format!("{feed}/{newest:0>20}");
        Self { position, transaction: format!("{called} {since} to {newest}"), scope }
    }
}

impl Place {
    /// Makes the place of a look at something whose feed has no order of its own.
    pub(crate) fn look(part: &str, at: Moment, scope: &str) -> Self {
        let position = format!("{part}/{:0>20}", at.as_micros());
        Self { position, transaction: format!("look of {at}"), scope: scope.to_owned() }
    }
}

impl Losses {
    const fn severity(&self) -> Option<Severity> {
        Some(match self.trashed + self.deleted {
            0 => return None,
            DESTRUCTIVE_MIN.. => Severity::Destructive,
            _ if self.deleted > 0 => Severity::Notable,
            _ => Severity::Routine,
        })
    }

    /// Names some of them, and says how many more there are.
    fn statement(&self) -> Option<String> {
        let named = self.named.get(..NAMED_MAX).unwrap_or(&self.named);
        let more = (self.trashed + self.deleted).saturating_sub(named.len() as u64);
        match (named.join(", "), more) {
            (named, _) if named.is_empty() => None,
            (named, 0) => Some(named),
            (named, more) => Some(format!("{named} and {more} more")),
        }
    }

    /// Tells of what went away. Feeds know no times and no actors: the time is that of the look, and who did it is for the
    /// audit log to say.
    pub(crate) fn event(self, at: Moment, place: Place) -> Option<Event> {
        let (severity, statement) = (self.severity()?, self.statement());
        let Place { position, transaction, scope } = place;
        let effects = [(Verb::Delete, self.deleted), (Verb::Trash, self.trashed)];
        let effects = effects.into_iter().filter(|(_, count)| *count > 0);
        Some(Event {
            at,
            position,
            transaction,
            severity,
            effects: effects.map(|(verb, count)| Effect { verb, target: scope.clone(), count }).collect(),
            scope,
            actor: None,
            attribution: Attribution::Unknown,
            statement,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(trashed: u64, deleted: u64) -> Option<Event> {
        let place = Place::between("gmail", "history", "8", "19", "anna@acme.test".to_owned());
        Losses { trashed, deleted, ..Losses::default() }.event(Moment::from_micros(5), place)
    }

    #[test]
    fn many_losses_are_destructive_and_none_are_no_event() {
        let severity = |trashed, deleted| told(trashed, deleted).map(|event| event.severity);
        assert_eq!(severity(0, 0), None);
        assert_eq!(severity(1, 0), Some(Severity::Routine));
        assert_eq!(severity(1, 1), Some(Severity::Notable));
        assert_eq!(severity(19, 0), Some(Severity::Routine));
        assert_eq!(severity(1, 30), Some(Severity::Destructive));
        assert_eq!(severity(20, 0), Some(Severity::Destructive));
    }

    #[test]
    fn an_event_says_what_went_away_and_between_which_looks() {
        let event = told(2, 0).unwrap();
        assert_eq!(event.position, "gmail/00000000000000000019");
        assert_eq!(event.transaction, "history 8 to 19");
        let target = "anna@acme.test".to_owned();
        assert_eq!(event.scope, target);
        assert_eq!(event.effects, [Effect { verb: Verb::Trash, target, count: 2 }]);
    }

    #[test]
    fn some_of_what_went_away_is_named() {
        let statement = |deleted: u64, names: usize| {
            let named = (0..names).map(|number| format!("file/{number}")).collect();
            Losses { trashed: 0, deleted, named }.statement()
        };
        assert_eq!(statement(2, 0), None);
        assert_eq!(statement(2, 2).unwrap(), "file/0, file/1");
        assert_eq!(statement(5, 2).unwrap(), "file/0, file/1 and 3 more");
        assert!(statement(300, 300).unwrap().ends_with("file/19 and 280 more"));
    }
}
