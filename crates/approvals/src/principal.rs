use std::fmt;

use serde::{Deserialize, Serialize};

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Principal {
    /// A person, by the name of their account or of their key.
    Person(String),
    /// A script or an agent, by the name of its token.
    Service(String),
    /// The installation itself, or whoever runs its command line; the name is a note, and no proof.
    Host(String),
}

impl Principal {
    /// Returns the name.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) | Self::Service(name) | Self::Host(name) => name,
        }
    }

    /// Returns whether a person may be the one meant here. Whoever runs the command line counts under the name they have
    /// there; a service identity is nobody.
    pub fn may_be(&self, person: &str) -> bool {
        match self {
            Self::Person(name) | Self::Host(name) => same_person(name, person),
            Self::Service(_) => false,
        }
    }

    /// Returns whether both are the same one.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Person(one), Self::Person(two)) => same_person(one, two),
            _ => self == other,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Service(name) => write!(f, "the service {name}"),
            Self::Host(name) => write!(f, "{name} on the host"),
        }
    }
}

/// Returns whether two names are one person's. Case does not count: `Anna` and `anna` are not two people.
pub fn same_person(one: &str, two: &str) -> bool {
    one.trim().to_lowercase() == two.trim().to_lowercase()
}
