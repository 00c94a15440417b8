use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty or too long.
    #[error("a name has 1 to {max} bytes, this one has {length}")]
    Length {
        /// Bytes in the refused name.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The name holds a character that could be mistaken for a path or for a control sequence.
    #[error("the character {character:?} is not allowed in a name")]
    Character {
        /// The first character that is not allowed.
        character: char,
    },
}

/// The name of a protected system, unique in a vault: `shop`, `acme-google`.
///
/// It becomes part of object names, so it is restricted to lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

/// The name of one kind of thing in a source: `base`, `wal/1`, `gmail/anna@x.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

const SOURCE_NAME_BYTES_MAX: usize = 63;
const STREAM_NAME_BYTES_MAX: usize = 512;

impl SourceName {
    /// Checks and wraps a name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        check_length(&name, SOURCE_NAME_BYTES_MAX)?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match name.chars().find(|&c| !allowed(c)) {
            Some(character) => Err(NameError::Character { character }),
            None if name.starts_with('-') => Err(NameError::Character { character: '-' }),
            None => Ok(Self(name)),
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamName {
    /// Checks and wraps a name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        check_length(&name, STREAM_NAME_BYTES_MAX)?;
        match name.chars().find(|c| c.is_control()) {
            Some(character) => Err(NameError::Character { character }),
            None => Ok(Self(name)),
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_length(name: &str, max: usize) -> Result<(), NameError> {
    if name.is_empty() || name.len() > max {
        return Err(NameError::Length { length: name.len(), max });
    }
    Ok(())
}

/// Gives a checked name, a tuple structure over its text with `new`, what texts have: it is shown, parsed, and converted
/// both ways.
#[macro_export]
macro_rules! text_conversions {
    ($name:ident) => {
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::NameError;

            fn try_from(name: String) -> Result<Self, $crate::NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::NameError;

            fn from_str(name: &str) -> Result<Self, $crate::NameError> {
                Self::new(name)
            }
        }
    };
}

text_conversions!(SourceName);
text_conversions!(StreamName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_name_cannot_become_a_path() {
        for bad in ["", "../x", "a/b", "Shop", "a b", "-shop", "é"] {
            assert!(SourceName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(SourceName::new("shop-2").unwrap().as_str(), "shop-2");
    }

    #[test]
    fn a_stream_name_carries_no_control_characters() {
        assert!(StreamName::new("mail/a\nb").is_err());
        assert!(StreamName::new("wal/00000001").is_ok());
    }
}
