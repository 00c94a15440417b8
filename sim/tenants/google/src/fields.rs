//! Partial answers: the `fields` parameter, `nextPageToken,files(id,owners/emailAddress)`.

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// A parsed mask: names with the masks below them; an empty mask takes everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask(Vec<(String, Mask)>);

impl Mask {
    /// Reads a mask.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut rest = text;
        let mask = list(&mut rest, 0).filter(|_| rest.is_empty());
        mask.ok_or_else(|| Self::invalid(text))
    }

    /// The refusal of a mask that cannot be read, or that names what is not there.
    pub(crate) fn invalid(what: &str) -> Refusal {
        let message = format!("Invalid field selection {what}");
        let mut refusal = Refusal::new(400, "invalidParameter", "INVALID_ARGUMENT", message);
        refusal.location = Some(&["fields", "parameter"]);
        refusal
    }

    /// Returns the names that the mask has, with what it takes below each.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().map(|(name, below)| (name.as_str(), below))
    }

    /// Returns what the mask takes of a value.
    pub(crate) fn apply(&self, value: Value) -> Value {
        if self.0.is_empty() || self.0.iter().any(|(name, below)| name == "*" && below.0.is_empty()) {
            return value;
        }
        match value {
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.apply(item)).collect()),
            Value::Object(object) => {
                let mut kept = Map::new();
                for (key, value) in object {
                    if let Some(below) = self.below(&key) {
                        kept.insert(key, below.apply(value));
                    }
                }
                Value::Object(kept)
            }
            other => other,
        }
    }

    /// Tells whether the mask takes a name, at least in part.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.down(name).is_some()
    }

    /// Returns the mask for what is below a name, as [`Mask::apply`] uses it: below what takes everything is everything.
    pub(crate) fn down(&self, name: &str) -> Option<&Self> {
        static EVERYTHING: Mask = Mask(Vec::new());
        if self.0.is_empty() || self.0.iter().any(|(name, below)| name == "*" && below.0.is_empty()) {
            return Some(&EVERYTHING);
        }
        self.below(name)
    }

    /// Returns the mask for what is below a name; `None` when the name is not taken.
    pub(crate) fn below(&self, name: &str) -> Option<&Self> {
        self.0.iter().find(|(own, _)| own == name || own == "*").map(|(_, below)| below)
    }

    fn add(&mut self, path: &[&str], below: Self) {
        let Some((name, rest)) = path.split_first() else {
            self.0.extend(below.0);
            return;
        };
        let at = self.0.iter().position(|(own, _)| own == name).unwrap_or_else(|| {
            self.0.push(((*name).to_owned(), Self::default()));
            self.0.len() - 1
        });
        self.0[at].1.add(rest, below);
    }
}

const DEPTH_MAX: usize = 32;

fn list(rest: &mut &str, depth: usize) -> Option<Mask> {
    let mut mask = Mask::default();
    if depth > DEPTH_MAX {
        return None;
    }
    loop {
        let end = rest.find(['(', ')', ',']).unwrap_or(rest.len());
        let path: Vec<&str> = rest[..end].trim().split('/').collect();
        if path.iter().any(|name| name.is_empty()) {
            return None;
        }
        *rest = &rest[end..];
        let mut below = Mask::default();
        if let Some(inside) = rest.strip_prefix('(') {
            *rest = inside;
            below = list(rest, depth + 1)?;
            *rest = rest.strip_prefix(')')?;
        }
        mask.add(&path, below);
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Some(mask),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mask_takes_what_it_names() {
        let value = json!({ "kind": "k", "next": "n", "files": [{ "id": 1, "name": "a", "owners": [{ "mail": "x", "me": true }] }] });
        let apply = |mask: &str| Mask::parse(mask).unwrap().apply(value.clone());
        assert_eq!(apply("*"), value);
        assert_eq!(apply("next,files(id)"), json!({ "next": "n", "files": [{ "id": 1 }] }));
        assert_eq!(
            apply("files/id, files/owners/mail"),
            json!({ "files": [{ "id": 1, "owners": [{ "mail": "x" }] }] })
        );
        assert_eq!(
            apply("files(id,owners(mail))"),
            json!({ "files": [{ "id": 1, "owners": [{ "mail": "x" }] }] })
        );
        assert_eq!(apply("files/*"), json!({ "files": value["files"] }));
    }

    #[test]
    fn a_broken_mask_is_refused() {
        for mask in ["files(", "files)", ",", "a//b", "a(b", ""] {
            assert!(Mask::parse(mask).is_err(), "{mask}");
        }
    }
}
