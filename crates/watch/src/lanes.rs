//! Who did how much when, as a picture without a screen: one lane for each actor, with columns of time.

use model::{Actor, Event, Moment, Severity, Verb};

use crate::{ActorKind, ActorKinds};

/// What somebody did in one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// How many items, rows or objects.
    pub count: u64,
    /// The most destructive of what was done.
    pub worst: Option<Verb>,
    /// How serious the most serious of it is.
    pub severity: Option<Severity>,
}

/// One actor's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Who; nobody where it is not known.
    pub actor: Option<Actor>,
    /// What they are.
    pub kind: ActorKind,
    /// The columns, the earliest first.
    pub cells: Vec<Cell>,
}

impl Lane {
    /// Returns how much there is in all columns.
    pub fn total(&self) -> u64 {
        self.cells.iter().fold(0, |sum, cell| sum.saturating_add(cell.count))
    }

    fn worst(&self) -> (Option<Severity>, u64) {
        (self.cells.iter().filter_map(|cell| cell.severity).max(), self.total())
    }
}

/// Draws events from one moment to before another in so many columns; the lanes with the worst come first. Without
/// columns or without time between the moments there is none.
pub fn lanes(events: &[Event], kinds: &ActorKinds, from: Moment, until: Moment, columns: usize) -> Vec<Lane> {
    let length = until.micros_since(from);
    if columns == 0 || length <= 0 {
        return Vec::new();
    }
    let mut lanes: Vec<Lane> = Vec::new();
    for event in events.iter().filter(|event| event.at >= from && event.at < until) {
        let passed = i128::from(event.at.micros_since(from));
        let column =
            usize::try_from(passed * columns as i128 / i128::from(length)).unwrap_or(0).min(columns - 1);
        let is_theirs = |lane: &Lane| match (&lane.actor, &event.actor) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.identity == other.identity
                    && one.client == other.client
                    && kinds.program(one) == kinds.program(other)
            }
            _ => false,
        };
        let index = lanes.iter().position(is_theirs).unwrap_or_else(|| {
            lanes.push(Lane {
                actor: event.actor.clone(),
                kind: event.actor.as_ref().map_or(ActorKind::Unknown, |actor| kinds.of(actor)),
                cells: vec![Cell::default(); columns],
            });
            lanes.len() - 1
        });
        let cell = &mut lanes[index].cells[column];
        for effect in &event.effects {
            cell.count = cell.count.saturating_add(effect.count);
            cell.worst = Some(cell.worst.map_or(effect.verb, |worst| worst.min(effect.verb)));
        }
        cell.severity = cell.severity.max(Some(event.severity));
    }
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.worst()));
    lanes
}

#[cfg(test)]
mod tests {
    use model::{Attribution, Effect};

    use super::*;

    fn event(at: i64, identity: Option<&str>, verb: Verb, count: u64, severity: Severity) -> Event {
        Event {
            at: Moment::from_micros(at),
            position: at.to_string(),
            transaction: at.to_string(),
            scope: "shop".to_owned(),
            effects: vec![Effect { verb, target: "shop.public.a".to_owned(), count }],
            severity,
            actor: identity.map(|name| Actor { identity: name.to_owned(), ..Actor::default() }),
            attribution: Attribution::Sampled,
            statement: None,
        }
    }

    #[test]
    fn each_actor_has_a_lane_and_each_column_its_worst() {
        let events = [
            event(0, Some("app"), Verb::Insert, 5, Severity::Routine),
            event(99, Some("app"), Verb::Update, 1, Severity::Routine),
            event(50, Some("agent"), Verb::Delete, 7, Severity::Destructive),
            event(51, Some("agent"), Verb::Insert, 1, Severity::Routine),
            event(30, None, Verb::Update, 2, Severity::Routine),
            event(100, Some("late"), Verb::Drop, 1, Severity::Destructive),
        ];
        let (from, until) = (Moment::from_micros(0), Moment::from_micros(100));
        let lanes = lanes(&events, &ActorKinds::default(), from, until, 10);
        let names: Vec<_> =
            lanes.iter().map(|lane| lane.actor.as_ref().map(|a| a.identity.as_str())).collect();
        assert_eq!(names, [Some("agent"), Some("app"), None]);
        let cell = lanes[0].cells[5];
        assert_eq!(
            (cell.count, cell.worst, cell.severity),
            (8, Some(Verb::Delete), Some(Severity::Destructive))
        );
        assert_eq!((lanes[1].cells[0].count, lanes[1].cells[9].count), (5, 1));
    }

    #[test]
    fn without_columns_or_time_there_is_no_picture() {
        let events = [event(0, None, Verb::Insert, 5, Severity::Routine)];
        let moment = Moment::from_micros;
        assert!(lanes(&events, &ActorKinds::default(), moment(0), moment(9), 0).is_empty());
        assert!(lanes(&events, &ActorKinds::default(), moment(9), moment(0), 5).is_empty());
    }
}
