//! Names of people and of service identities.

use model::NameError;
use serde::{Deserialize, Serialize};

/// The name of a person's account: `anna`, `anna.berg`. Also the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

/// The name of whoever holds an API token: `deploy-agent`. Also the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

const NAME_BYTES_MAX: usize = 63;

/// Lower-case letters, digits, and between them hyphens, dots, underscores: nothing that could be a path.
fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(NameError::Length { length: name.len(), max: NAME_BYTES_MAX });
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(character) = name.chars().find(|&c| !plain(c) && !matches!(c, '-' | '.' | '_')) {
        return Err(NameError::Character { character });
    }
    match name.chars().next() {
        Some(first) if !plain(first) => Err(NameError::Character { character: first }),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Checks and wraps a name: 1 to 63 lower-case letters, digits, hyphens, dots and underscores, of which
            /// the first is a letter or a digit.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                check(&name).map(|()| Self(name))
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        model::text_conversions!($name);
    };
}

name!(PersonName);
name!(ServiceName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_path_or_a_hidden_file() {
        for bad in ["", ".", "..", ".x", "-x", "_x", "a/b", "Anna", "a b", "a\0", "é", &"a".repeat(64)] {
            assert!(PersonName::new(bad).is_err(), "{bad:?} was accepted");
            assert!(ServiceName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(PersonName::new("anna.b-2_x").unwrap().as_str(), "anna.b-2_x");
    }
}
