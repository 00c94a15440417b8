//! One text for one value: sorted keys, no spaces, so that equal plans have equal hashes.

use std::fmt::Write;

use serde_json::Value;

/// Returns the JSON text of a value with its keys sorted and without spaces.
///
/// The keys are sorted here and not left to the map's own order, which depends on how the library was built.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Array(values) => {
            text.push('[');
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_value(value, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by(|left, right| left.0.cmp(right.0));
            text.push('{');
            for (position, (name, value)) in fields.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_value(&Value::String(name.clone()), text);
                text.push(':');
                write_value(value, text);
            }
            text.push('}');
        }
        // A `String` takes everything that is written to it.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write!(text, "{value}").unwrap_or_default();
        }
    }
}
