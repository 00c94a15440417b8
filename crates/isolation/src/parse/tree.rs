//! Formats of trees: JSON and TOML.

use serde_json::Value;

use super::{PAIRS_MAX, Pair};

/// Reads the pairs of a JSON document; `None` when it is none.
pub(super) fn json(text: &str) -> Option<Vec<Pair>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut pairs = Vec::new();
    walk("", &value, &mut pairs);
    Some(pairs)
}

/// Reads the pairs of a TOML document; `None` when it is none.
pub(super) fn toml(text: &str) -> Option<Vec<Pair>> {
    let value: toml::Table = text.parse().ok()?;
    let mut pairs = Vec::new();
    walk("", &serde_json::to_value(value).ok()?, &mut pairs);
    Some(pairs)
}

/// The parsers bound the depth, so this may go down as far as there is something.
fn walk(group: &str, value: &Value, pairs: &mut Vec<Pair>) {
    if pairs.len() > PAIRS_MAX {
        return;
    }
    match value {
        Value::Object(members) => {
            // An object that is a key file as a whole is one value, too.
            let kind = members.get("type").or_else(|| members.get("format")).and_then(Value::as_str);
            if matches!(kind, Some("service_account" | "unwipe-enrolment")) {
                pairs.push(pair(group, "", &value.to_string()));
                return;
            }
            for (key, member) in members {
                match member {
                    Value::Object(_) | Value::Array(_) => walk(&join(group, key), member, pairs),
                    Value::String(text) => pairs.push(pair(group, key, text)),
                    Value::Number(number) => pairs.push(pair(group, key, &number.to_string())),
                    Value::Null | Value::Bool(_) => {}
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                match element {
                    Value::String(text) => pairs.push(pair(group, "", text)),
                    other => walk(&join(group, &index.to_string()), other, pairs),
                }
            }
        }
        _ => {}
    }
}

fn join(group: &str, key: &str) -> String {
    if group.is_empty() { key.to_owned() } else { format!("{group}.{key}") }
}

fn pair(group: &str, key: &str, value: &str) -> Pair {
    Pair { group: group.to_owned(), key: key.to_owned(), value: value.to_owned(), line: None }
}
