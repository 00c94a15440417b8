//! Things that are compared field by field: what was changed within a window goes back, what was changed again stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The fields of a thing by their paths. One that is not there is null, as one that is null.
pub(crate) type Fields = BTreeMap<String, Value>;

/// Tells whether two values of a field mean the same.
pub(crate) type Same = fn(&str, &Value, &Value) -> bool;

/// A field that is set back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldChange {
    /// What it is as far as the plan knows.
    pub(crate) expected: Value,
    /// What it was.
    pub(crate) wanted: Value,
}

/// What is to be done about the fields of one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Undo {
    /// Fields that are set back.
    pub(crate) set: BTreeMap<String, FieldChange>,
    /// Fields that were changed in the window and again after it; they stay as they are.
    pub(crate) kept: Vec<String>,
}

pub(crate) fn field<'f>(fields: &'f Fields, path: &str) -> &'f Value {
    fields.get(path).unwrap_or(&Value::Null)
}

/// Compares a thing before the window, at its end, as it became later (the newest included), and now.
pub(crate) fn undo(before: &Fields, after: &Fields, later: &[Fields], now: &Fields, same: Same) -> Undo {
    let mut undo = Undo::default();
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for path in paths {
        let (was, became, is) = (field(before, path), field(after, path), field(now, path));
        if same(path, was, became) || same(path, is, was) {
            continue;
        }
        if later.iter().any(|later| !same(path, field(later, path), became)) {
            undo.kept.push(path.clone());
        } else {
            let change = FieldChange { expected: is.clone(), wanted: was.clone() };
            undo.set.insert(path.clone(), change);
        }
    }
    undo
}

/// Returns what of some changes is still to be done, and which fields somebody changed since the plan was made.
pub(crate) fn still_to_do(
    changes: &BTreeMap<String, FieldChange>,
    present: &Fields,
    same: Same,
) -> (Fields, Vec<String>) {
    let (mut wanted, mut kept) = (Fields::new(), Vec::new());
    for (path, change) in changes {
        let is = field(present, path);
        if same(path, is, &change.wanted) {
            continue;
        }
        if same(path, is, &change.expected) {
            wanted.insert(path.clone(), change.wanted.clone());
        } else {
            kept.push(path.clone());
        }
    }
    (wanted, kept)
}

/// Returns the paths whose values differ.
pub(crate) fn differing(one: &Fields, other: &Fields, same: Same) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = |path: &&&String| !same(path, field(one, path), field(other, path));
    paths.iter().filter(differ).map(|path| (*path).clone()).collect()
}

/// Returns the patch (RFC 7396) that makes one document of another; null when they are the same.
pub(crate) fn merge_patch(present: &Value, wanted: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (present, wanted) else {
        return if present == wanted { Value::Null } else { wanted.clone() };
    };
    let mut patch = Map::new();
    for (name, value) in new {
        match old.get(name) {
            Some(own) if own == value => {}
            Some(own) if own.is_object() && value.is_object() => {
                patch.insert(name.clone(), merge_patch(own, value));
            }
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    if patch.is_empty() { Value::Null } else { Value::Object(patch) }
}

/// Tells whether two values are equal; nothing, an empty list and an empty object are the same.
pub(crate) fn plainly_same(_: &str, one: &Value, other: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || *value == json!([]) || *value == json!({});
    one == other || (empty(one) && empty(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone().into_iter().collect()
    }

    #[test]
    fn what_was_changed_in_the_window_goes_back_and_what_was_changed_again_stays() {
        let before = fields(&json!({ "a": 1, "b": 1, "c": 1, "d": 1 }));
        let after = fields(&json!({ "a": 2, "b": 2, "e": 2 }));
        let later = fields(&json!({ "a": 2, "b": 3, "c": 1, "d": 4, "e": 2 }));
        let undo = undo(&before, &after, std::slice::from_ref(&later), &later, plainly_same);
        let set: Vec<_> = undo.set.iter().map(|(path, change)| (path.as_str(), &change.wanted)).collect();
        assert_eq!(set, [("a", &json!(1)), ("e", &Value::Null)]);
        // What was put back by somebody is as it was; what was given another value stays.
        assert_eq!(undo.kept, ["b", "d"]);
    }

    #[test]
    fn what_is_changed_since_the_plan_is_left_alone() {
        let change =
            |expected: i32, wanted: i32| FieldChange { expected: expected.into(), wanted: wanted.into() };
        let changes = [("a", change(2, 1)), ("b", change(2, 1)), ("c", change(2, 1))];
        let changes = changes.map(|(path, change)| (path.to_owned(), change)).into();
        let present = fields(&json!({ "a": 2, "b": 1, "c": 7 }));
        let (wanted, kept) = still_to_do(&changes, &present, plainly_same);
        assert_eq!(wanted, fields(&json!({ "a": 1 })));
        assert_eq!(kept, ["c"]);
    }

    #[test]
    fn a_patch_takes_away_what_is_no_longer_wanted() {
        let present = json!({ "a": { "x": 1, "y": 2 }, "b": 1, "c": [1] });
        let wanted = json!({ "a": { "x": 1 }, "c": [2], "d": 3 });
        let patch = merge_patch(&present, &wanted);
        assert_eq!(patch, json!({ "a": { "y": null }, "b": null, "c": [2], "d": 3 }));
        assert_eq!(merge_patch(&wanted, &wanted), Value::Null);
    }
}
