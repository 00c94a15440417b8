//! Which of the things that happened are undone with an actor: chosen from events alone, the same for the same events.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use model::{Actor, Attribution, Event, Moment, SourceName};
use serde::{Deserialize, Serialize};

/// The most transactions that one plan undoes.
pub const TRANSACTIONS_MAX: usize = 1_000_000;

/// What somebody did in one source: all that a plan is made from, wherever it was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The source.
    pub source: SourceName,
    /// The time of the first act.
    pub from: Moment,
    /// The time of the last act.
    pub until: Moment,
    /// The databases, mailboxes or drives that were touched; all of the source's if empty.
    pub scopes: Vec<String>,
    /// The source's names for the acts, single ones and ranges: `7569-7600,7610`.
    pub transactions: Vec<String>,
    /// Who it was, under all names.
    pub actors: Vec<Actor>,
}

/// A pattern for names: `*` stands for any characters, `?` for one; case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().chars().collect())
    }

    /// Tells whether a name answers to the pattern as a whole.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        let (mut at, mut from) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while from < name.len() {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at, from));
                    at += 1;
                }
                Some(c) if *c == '?' || Some(c) == name.get(from) => {
                    at += 1;
                    from += 1;
                }
                _ => {
                    // The last star takes one character more.
                    let Some((position, taken)) = star else { return false };
                    star = Some((position, taken + 1));
                    at = position + 1;
                    from = taken + 1;
                }
            }
        }
        self.0.iter().skip(at).all(|c| *c == '*')
    }

    /// Tells whether one of an actor's names answers: identity, program, client id, agent.
    pub fn is_of(&self, actor: &Actor) -> bool {
        let names =
            [Some(&actor.identity), actor.application.as_ref(), actor.client.as_ref(), actor.agent.as_ref()];
        names.into_iter().flatten().any(|name| self.matches(name))
    }
}

/// Whose acts are undone.
#[derive(Debug, Clone)]
pub enum Culprit {
    /// Everybody who answers to a pattern.
    Named(Pattern),
    /// These, under exactly these names.
    Listed(Vec<Actor>),
}

impl Culprit {
    /// Tells whether an actor is meant.
    pub fn is(&self, actor: &Actor) -> bool {
        match self {
            Self::Named(pattern) => pattern.is_of(actor),
            Self::Listed(actors) => actors.iter().any(|listed| {
                listed.identity == actor.identity
                    && listed.client == actor.client
                    && (listed.client.is_some() || listed.application == actor.application)
            }),
        }
    }
}

/// What is taken beyond the acts of which it is known who did them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Acts of which it was only inferred that the actor did them.
    pub inferred: bool,
    /// Acts of which nobody knows who did them.
    pub unattributed: bool,
}

/// Events, sorted by what they mean for an undo.
#[derive(Debug, Clone, Default)]
pub struct Choice<'e> {
    /// Those that are undone.
    pub taken: Vec<&'e Event>,
    /// Those that are only inferred to be the actor's, and are left.
    pub inferred: Vec<&'e Event>,
    /// Those of which nobody knows who did them, and which are left.
    pub unattributed: Vec<&'e Event>,
    /// Those of others.
    pub others: Vec<&'e Event>,
}

impl<'e> Choice<'e> {
    /// Sorts events. What changes nothing, such as reading, is nobody's deed here.
    pub fn of(events: &'e [Event], culprit: &Culprit, doubts: Doubts) -> Self {
        let mut choice = Self::default();
        for event in events.iter().filter(|event| changes(event)) {
            let known = event.actor.as_ref().filter(|_| event.attribution != Attribution::Unknown);
            let place = match known {
                None if doubts.unattributed => &mut choice.taken,
                None => &mut choice.unattributed,
                Some(actor) if !culprit.is(actor) => &mut choice.others,
                Some(_) if event.attribution == Attribution::Inferred && !doubts.inferred => {
                    &mut choice.inferred
                }
                Some(_) => &mut choice.taken,
            };
            place.push(event);
        }
        choice
    }

    /// Returns who did what is undone, each once.
    pub fn actors(&self) -> Vec<Actor> {
        let mut actors: Vec<Actor> = Vec::new();
        for actor in self.taken.iter().filter_map(|event| event.actor.as_ref()) {
            if !actors.contains(actor) {
                actors.push(actor.clone());
            }
        }
        actors
    }

    /// Returns the span of what is undone; `None` when nothing is.
    pub fn span(&self, source: &SourceName) -> Option<Span> {
        let times = || self.taken.iter().map(|event| event.at);
        let scopes: BTreeSet<&str> = self.taken.iter().map(|event| event.scope.as_str()).collect();
        Some(Span {
            source: source.clone(),
            from: times().min()?,
            until: times().max()?,
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            transactions: self.taken.iter().map(|event| event.transaction.clone()).collect(),
            actors: self.actors(),
        })
    }
}

/// Tells whether an event changed anything.
fn changes(event: &Event) -> bool {
    event.effects.iter().any(|effect| effect.verb != model::Verb::Read)
}

/// Transaction numbers, and what named none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The numbers.
    pub numbers: BTreeSet<u32>,
    /// Names that are no numbers: sums of transactions that were told without them.
    pub nameless: Vec<String>,
}

impl Numbers {
    /// Reads names of transactions: `7569`, `7569-7600,7610`.
    ///
    /// More numbers than [`TRANSACTIONS_MAX`] are not taken in; the names are among the nameless then.
    pub fn of<'t>(names: impl IntoIterator<Item = &'t str>) -> Self {
        let mut found = Self::default();
        for name in names {
            let ranges: Option<Vec<RangeInclusive<u32>>> = name.split(',').map(range).collect();
            let count =
                |ranges: &Vec<RangeInclusive<u32>>| ranges.iter().map(ExactLen::length).sum::<usize>();
            match ranges {
                Some(ranges) if found.numbers.len() + count(&ranges) <= TRANSACTIONS_MAX => {
                    found.numbers.extend(ranges.into_iter().flatten());
                }
                _ => found.nameless.push(name.to_owned()),
            }
        }
        found
    }
}

trait ExactLen {
    fn length(&self) -> usize;
}

impl ExactLen for RangeInclusive<u32> {
    fn length(&self) -> usize {
        (self.end() - self.start()) as usize + 1
    }
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let text = text.trim();
    match text.split_once(['-', '–']) {
        None => text.parse().ok().map(|number| number..=number),
        Some((first, last)) => {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(first..=last)
        }
    }
}

/// What somebody did to the things of one account, as a log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The time of the first act.
    pub first: Moment,
    /// The time of the last act.
    pub last: Moment,
    /// The items that the log names, and nobody else touched in that time.
    pub keys: BTreeSet<String>,
    /// The items that others touched in that time, too.
    pub contested: BTreeSet<String>,
    /// Acts of which the log does not say to which items.
    pub unnamed: u64,
    /// Whether others did something there in that time, of which the log does not say to which items.
    pub others_unnamed: bool,
}

/// Sorts what was done by where it was done; `place` tells the place of an event, or that it is none of the wanted, and
/// `key` the item that an effect's target names.
pub fn touched(
    choice: &Choice<'_>,
    place: impl Fn(&Event) -> Option<String>,
    key: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, Touched> {
    let mut places: BTreeMap<String, Touched> = BTreeMap::new();
    let keys = |event: &Event| -> Vec<Option<String>> {
        event.effects.iter().map(|effect| key(&effect.target)).collect()
    };
    for event in &choice.taken {
        let Some(place) = place(event) else { continue };
        let touched = places.entry(place).or_insert_with(|| Touched {
            first: event.at,
            last: event.at,
            keys: BTreeSet::new(),
            contested: BTreeSet::new(),
            unnamed: 0,
            others_unnamed: false,
        });
        touched.first = touched.first.min(event.at);
        touched.last = touched.last.max(event.at);
        for key in keys(event) {
            match key {
                Some(key) => drop(touched.keys.insert(key)),
                None => touched.unnamed += 1,
            }
        }
    }
    let doubtful = choice.others.iter().chain(&choice.inferred).chain(&choice.unattributed);
    for event in doubtful {
        let Some(touched) = place(event).and_then(|place| places.get_mut(&place)) else { continue };
        if event.at < touched.first || event.at > touched.last {
            continue;
        }
        for key in keys(event) {
            match key {
                None => touched.others_unnamed = true,
                Some(key) if touched.keys.remove(&key) => drop(touched.contested.insert(key)),
                Some(_) => {}
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use model::{Effect, Severity, Verb};

    use super::*;

    fn actor(identity: &str, application: Option<&str>, client: Option<&str>) -> Actor {
        Actor {
            identity: identity.to_owned(),
            application: application.map(str::to_owned),
            client: client.map(str::to_owned),
            ..Actor::default()
        }
    }

    fn event(
        at: i64,
        transaction: &str,
        who: Option<Actor>,
        attribution: Attribution,
        target: &str,
    ) -> Event {
        Event {
            at: Moment::from_micros(at),
            position: at.to_string(),
            transaction: transaction.to_owned(),
            scope: "drive/anna".to_owned(),
            effects: vec![Effect { verb: Verb::Delete, target: target.to_owned(), count: 1 }],
            severity: Severity::Routine,
            actor: who,
            attribution,
            statement: None,
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).matches(name);
        assert!(matches("cursor-agent", "Cursor-Agent") && !matches("cursor", "cursor-agent"));
        assert!(matches("cursor*", "cursor-agent") && matches("*@acme.com", "anna@acme.com"));
        assert!(matches("*", "") && matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-b-b"));
        assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
        assert!(Pattern::new("77.apps").is_of(&actor("anna", Some("Claw"), Some("77.apps"))));
        assert!(Pattern::new("claw").is_of(&actor("anna", Some("Claw"), None)));
    }

    #[test]
    fn only_what_the_actor_is_known_to_have_done_is_taken() {
        use Attribution::{Inferred, Recorded, Sampled, Unknown};
        let bot = || Some(actor("app", Some("bot"), None));
        let events = [
            event(1, "1", bot(), Sampled, "t"),
            event(2, "2", bot(), Inferred, "t"),
            event(3, "3", None, Unknown, "t"),
            event(4, "4", Some(actor("anna", None, None)), Recorded, "t"),
            event(5, "5", bot(), Unknown, "t"),
        ];
        let culprit = Culprit::Named(Pattern::new("bot"));
        let numbers = |events: &[&Event]| {
            events.iter().map(|event| event.transaction.clone()).collect::<Vec<_>>().join(" ")
        };
        let careful = Choice::of(&events, &culprit, Doubts::default());
        assert_eq!(numbers(&careful.taken), "1");
        assert_eq!(numbers(&careful.inferred), "2");
        assert_eq!(numbers(&careful.unattributed), "3 5");
        assert_eq!(numbers(&careful.others), "4");
        let bold = Choice::of(&events, &culprit, Doubts { inferred: true, unattributed: true });
        assert_eq!(numbers(&bold.taken), "1 2 3 5");
        assert_eq!(numbers(&bold.others), "4");
        let span = careful.span(&SourceName::new("shop").unwrap()).unwrap();
        assert_eq!(
            (span.from, span.until, span.transactions),
            (events[0].at, events[0].at, vec!["1".to_owned()])
        );
        let listed = Culprit::Listed(vec![actor("app", Some("bot"), None)]);
        assert_eq!(numbers(&Choice::of(&events, &listed, Doubts::default()).taken), "1");
        assert!(!listed.is(&actor("app", Some("web"), None)), "another program under the same role");
    }

    #[test]
    fn numbers_come_single_and_in_ranges() {
        let numbers = Numbers::of(["7", "10-12,20", "3 transactions", "5-4"]);
        assert_eq!(numbers.numbers, BTreeSet::from([7, 10, 11, 12, 20]));
        assert_eq!(numbers.nameless, ["3 transactions", "5-4"]);
        assert_eq!(Numbers::of(["0-4294967295"]).numbers.len(), 0);
    }

    #[test]
    fn items_that_others_touched_in_that_time_are_contested() {
        use Attribution::Recorded;
        let bot = || Some(actor("anna", None, Some("bot")));
        let events = [
            event(1, "1", bot(), Recorded, "file/a"),
            event(2, "2", Some(actor("ben", None, None)), Recorded, "file/b"),
            event(3, "3", bot(), Recorded, "file/b"),
            event(4, "4", Some(actor("ben", None, None)), Recorded, "file/a"),
            event(3, "5", bot(), Recorded, "messages"),
        ];
        let choice = Choice::of(&events, &Culprit::Named(Pattern::new("bot")), Doubts::default());
        let key = |target: &str| target.starts_with("file/").then(|| target.to_owned());
        let places = touched(&choice, |event| Some(event.scope.clone()), key);
        let touched = &places["drive/anna"];
        assert_eq!(touched.keys, BTreeSet::from(["file/a".to_owned()]));
        assert_eq!(touched.contested, BTreeSet::from(["file/b".to_owned()]));
        assert_eq!((touched.unnamed, touched.others_unnamed), (1, false));
    }
}
