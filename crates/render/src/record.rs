//! Records in JSON: every value with its path, in a fixed order.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{
    Stored, attributes,
    document::{Document, Limits, Note},
    file, time,
    visible::visible,
};

/// What says nothing about the thing itself.
const NOISE: [&str; 2] = ["etag", "hash"];
/// What tells the members of a list apart, best first.
const IDENTITIES: [&str; 9] =
    ["email", "emailAddress", "id", "key", "value", "name", "displayName", "address", "method"];
const DEPTH_MAX: usize = 24;
/// Longer texts, and those of several lines, are shown as text.
const SHORT_CHARACTERS: usize = 200;
const PATH_BYTES: usize = 300;

/// Shows a record's content; what is no JSON is shown as a file.
pub(crate) fn fill(document: &mut Document, stored: &Stored<'_>, content: &[u8], limits: &Limits) {
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice::<Value>(content) {
        fields(document, &value, limits);
        return;
    }
    attributes::fill(document, stored.attributes, limits);
    if content.is_empty() {
        return;
    }
    let begins = content.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(begins, Some(b'{' | b'[')) {
        document.notes.push(Note::NotUnderstood { what: "JSON".to_owned() });
    }
    file::fill(document, stored, content, limits);
}

/// Adds every value of a record as a field, and long texts as lines.
pub(crate) fn fields(document: &mut Document, value: &Value, limits: &Limits) {
    let mut walk = Walk { document, limits, texts: Vec::new(), is_cut: false };
    walk.value(String::new(), value, 0);
    let Walk { texts, is_cut, .. } = walk;
    if is_cut {
        let shown = document.fields.len() as u64;
        document.notes.push(Note::FieldsCut { shown });
    }
    for (path, text) in texts {
        if document.body.len() >= limits.lines {
            return;
        }
        if !document.body.is_empty() {
            document.body.push(String::new());
        }
        document.body.push(format!("{}:", visible(&path, PATH_BYTES)));
        document.text(&text, limits);
    }
}

struct Walk<'a> {
    document: &'a mut Document,
    limits: &'a Limits,
    texts: Vec<(String, String)>,
    is_cut: bool,
}

impl Walk<'_> {
    fn value(&mut self, path: String, value: &Value, depth: usize) {
        if self.document.fields.len() + self.texts.len() >= self.limits.fields {
            self.is_cut = true;
            return;
        }
        match value {
            Value::Object(members) if depth < DEPTH_MAX && !members.is_empty() => {
                self.object(&path, members, depth);
            }
            Value::Array(list) if depth < DEPTH_MAX && !list.is_empty() => self.list(path, list, depth),
            Value::String(text) if text.contains('\n') || text.chars().nth(SHORT_CHARACTERS).is_some() => {
                self.texts.push((name(path), text.clone()));
            }
            Value::String(text) if text.is_empty() => self.document.field(&name(path), "\"\""),
            Value::String(text) => {
                let told = time::told(text);
                self.document.field(&name(path), told.as_deref().unwrap_or(text));
            }
            // Also what lies deeper than anything that a person would write.
            other => self.document.field(&name(path), &other.to_string()),
        }
    }

    fn object(&mut self, path: &str, members: &Map<String, Value>, depth: usize) {
        for (member, value) in members {
            if NOISE.contains(&member.as_str()) {
                continue;
            }
            let below = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
            self.value(below, value, depth + 1);
            if self.is_cut {
                return;
            }
        }
    }

    fn list(&mut self, path: String, list: &[Value], depth: usize) {
        if list.iter().all(|value| !value.is_array() && !value.is_object()) {
            let texts: Vec<String> = list.iter().take(self.limits.fields).map(plain).collect();
            self.document.field(&name(path), &texts.join(", "));
            return;
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (number, value) in list.iter().enumerate() {
            let identity = identity(value).unwrap_or_else(|| (number + 1).to_string());
            let times = seen.entry(identity.clone()).or_default();
            *times += 1;
            let below = match times {
                1 => format!("{path}[{identity}]"),
                times => format!("{path}[{identity} #{times}]"),
            };
            self.value(below, value, depth + 1);
            if self.is_cut {
                return;
            }
        }
    }
}

fn name(path: String) -> String {
    if path.is_empty() { "value".to_owned() } else { path }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns what tells a member of a list from the others, so that it is compared with itself when others come and go.
fn identity(value: &Value) -> Option<String> {
    let text = IDENTITIES.iter().find_map(|name| value[*name].as_str())?;
    (!text.is_empty() && text.len() <= SHORT_CHARACTERS).then(|| text.to_owned())
}
