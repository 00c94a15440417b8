//! What is to be done about one event, and about one right to a calendar: pure comparisons.

use serde_json::Value;

use super::event::{fields_of, is_cancelled, same};
use crate::{
    fields::{Fields, Undo, undo},
    planner::TAKEN_AGAIN,
};

/// What is to be done about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: it is as it was.
    Unchanged,
    /// It is gone, or an occurrence does not take place: it comes back as it was.
    Return,
    /// It is there, and some of its fields go back.
    Set(Undo),
    /// It is left alone.
    Conflict(String),
}

/// What is known of an event at three times, and of what became of it after the window.
#[derive(Debug, Clone, Default)]
pub(super) struct EventStates {
    /// Before the window. Of an occurrence that did not differ then: what its series said of it.
    pub(super) before: Option<Value>,
    /// At the window's end.
    pub(super) after: Option<Value>,
    /// What it became after the window, oldest first, the newest included.
    pub(super) later: Vec<Value>,
    /// Whether it became anything after the window, readable or not.
    pub(super) was_back: bool,
    /// Now.
    pub(super) now: Option<Value>,
}

/// Decides about an event that was there before the window; one that came within it stays.
pub(super) fn decide(states: &EventStates) -> Option<Decision> {
    let before = states.before.as_ref()?;
    Some(match (&states.after, &states.now) {
        (None, None) if states.was_back => Decision::Conflict(TAKEN_AGAIN.to_owned()),
        (None, None) => Decision::Return,
        (None, Some(_)) => Decision::Unchanged,
        (Some(_), None) => Decision::Conflict("it was deleted after the window".to_owned()),
        (Some(after), Some(now)) => compare(before, after, &states.later, now),
    })
}

fn compare(before: &Value, after: &Value, later: &[Value], now: &Value) -> Decision {
    if is_cancelled(after) && !is_cancelled(before) {
        // Of what is cancelled little more than its id is told.
        return match (is_cancelled(now), later.iter().all(is_cancelled)) {
            (true, true) => Decision::Return,
            (false, _) => Decision::Unchanged,
            (true, false) => Decision::Conflict("it was cancelled again after the window".to_owned()),
        };
    }
    let fields = |event: &Value| -> Fields {
        let mut fields = fields_of(event);
        if is_cancelled(before) {
            fields.retain(|path, _| path == "status");
        }
        fields
    };
    if is_cancelled(now) && !is_cancelled(before) {
        return Decision::Conflict("it was cancelled after the window".to_owned());
    }
    let later: Vec<Fields> = later.iter().map(fields).collect();
    let undo = undo(&fields(before), &fields(after), &later, &fields(now), same);
    match (undo.set.is_empty(), undo.kept.is_empty()) {
        (true, true) => Decision::Unchanged,
        (true, false) => Decision::Conflict(again(&undo.kept)),
        (false, _) => Decision::Set(undo),
    }
}

/// Says what was changed again.
pub(super) fn again(kept: &[String]) -> String {
    format!("this was changed again after the window: {}", kept.join(", "))
}

/// What is to be done about somebody's right to a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RightDecision {
    Unchanged,
    /// It becomes what it was.
    Set(String),
    Conflict(String),
    /// It was given within the window, and stays.
    Came(String),
}

/// The roles that somebody got after the window.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaterRoles<'l> {
    pub(super) roles: &'l [String],
    /// Whether somebody took the right away and gave it again, even the same.
    pub(super) came_anew: bool,
}

/// Compares somebody's role before the window, at its end, as it became later, and now; none is no role.
pub(super) fn decide_right(
    before: Option<&str>,
    after: Option<&str>,
    later: LaterRoles<'_>,
    now: Option<&str>,
) -> RightDecision {
    match (before, now) {
        (before, now) if before == now || before == after => RightDecision::Unchanged,
        (None, Some(now)) => RightDecision::Came(now.to_owned()),
        (None, None) => RightDecision::Unchanged,
        (Some(before), now)
            if now == after
                && !later.came_anew
                && later.roles.iter().all(|later| Some(later.as_str()) == after) =>
        {
            RightDecision::Set(before.to_owned())
        }
        (Some(_), _) => RightDecision::Conflict("it was changed again after the window".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn states(before: Value, after: Value, later: Vec<Value>, now: Value) -> EventStates {
        let some = |value: Value| Some(value).filter(|value| !value.is_null());
        let was_back = !later.is_empty();
        EventStates { before: some(before), after: some(after), later, was_back, now: some(now) }
    }

    #[test]
    fn what_was_deleted_in_the_window_returns_and_what_was_deleted_later_does_not() {
        let event = json!({ "summary": "a" });
        assert_eq!(decide(&states(event.clone(), Value::Null, vec![], Value::Null)), Some(Decision::Return));
        let later = decide(&states(event.clone(), event.clone(), vec![], Value::Null));
        assert!(matches!(later, Some(Decision::Conflict(_))));
        let back = decide(&states(event.clone(), Value::Null, vec![event.clone()], event.clone()));
        assert_eq!(back, Some(Decision::Unchanged));
        let again = decide(&states(event.clone(), Value::Null, vec![event.clone()], Value::Null));
        assert!(matches!(again, Some(Decision::Conflict(_))), "{again:?}");
        assert_eq!(decide(&states(Value::Null, event.clone(), vec![], event)), None);
    }

    #[test]
    fn a_cancelled_occurrence_returns_unless_somebody_cancelled_it_again() {
        let (plain, gone) = (json!({ "summary": "a" }), json!({ "status": "cancelled" }));
        let decide = |later: Vec<Value>, now: &Value| {
            decide(&states(plain.clone(), gone.clone(), later, now.clone())).unwrap()
        };
        assert_eq!(decide(vec![], &gone), Decision::Return);
        assert_eq!(decide(vec![plain.clone()], &plain), Decision::Unchanged);
        assert!(matches!(decide(vec![plain.clone(), gone.clone()], &gone), Decision::Conflict(_)));
    }

    #[test]
    fn fields_go_back_one_by_one() {
        let before = json!({ "summary": "a", "location": "x" });
        let after = json!({ "summary": "b", "location": "y" });
        let now = json!({ "summary": "b", "location": "z" });
        let Some(Decision::Set(undo)) = decide(&states(before, after, vec![now.clone()], now)) else {
            panic!()
        };
        assert_eq!(undo.set.keys().collect::<Vec<_>>(), ["summary"]);
        assert_eq!(undo.kept, ["location"]);
    }

    #[test]
    fn a_right_is_never_wider_than_it_was_nor_than_somebody_narrowed_it() {
        let decide = |before, after, later: &[&str], now| {
            let later: Vec<String> = later.iter().map(|role| (*role).to_owned()).collect();
            decide_right(before, after, LaterRoles { roles: &later, came_anew: false }, now)
        };
        // Taken away, and given back.
        assert_eq!(decide(Some("reader"), None, &[], None), RightDecision::Set("reader".to_owned()));
        // Widened by the agent.
        assert_eq!(
            decide(Some("reader"), Some("owner"), &[], Some("owner")),
            RightDecision::Set("reader".to_owned())
        );
        // Narrowed by a person after the window.
        let narrowed = decide(Some("writer"), Some("owner"), &["reader"], Some("reader"));
        assert!(matches!(narrowed, RightDecision::Conflict(_)));
        let taken = decide(Some("writer"), Some("reader"), &[], None);
        assert!(matches!(taken, RightDecision::Conflict(_)));
        // Taken away by a person, and given again as little.
        let roles = ["reader".to_owned()];
        let anew = LaterRoles { roles: &roles, came_anew: true };
        let given = decide_right(Some("writer"), Some("reader"), anew, Some("reader"));
        assert!(matches!(given, RightDecision::Conflict(_)));
        // Given within the window: it stays, and is told.
        assert_eq!(
            decide(None, Some("reader"), &[], Some("reader")),
            RightDecision::Came("reader".to_owned())
        );
        assert_eq!(decide(None, Some("reader"), &[], None), RightDecision::Unchanged);
        assert_eq!(decide(Some("reader"), None, &["reader"], Some("reader")), RightDecision::Unchanged);
    }
}
