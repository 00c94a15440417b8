//! Which names are the same machine.

use std::{collections::BTreeSet, net::IpAddr};

/// A machine as far as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What it is to a person: `source shop`, `the vault`.
    pub label: String,
    /// The name or address in the settings.
    pub name: String,
    /// Its addresses, or why they are not known.
    pub addresses: Result<BTreeSet<IpAddr>, String>,
    /// Whether it is this machine.
    pub here: bool,
}

/// What is known of two machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sameness {
    /// They are one.
    Same(String),
    /// They have no address in common.
    Apart(String),
    /// Nobody knows.
    Unknown(String),
}

impl Machine {
    /// Describes this machine.
    pub fn here(label: impl Into<String>) -> Self {
        let name = "this machine".to_owned();
        Self { label: label.into(), name, addresses: Ok(BTreeSet::new()), here: true }
    }

    fn text(&self) -> String {
        match (&self.addresses, self.here) {
            (_, true) if self.name == "this machine" => format!("{} is on this machine", self.label),
            (Ok(addresses), here) => {
                let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let own = if here { ", this machine" } else { "" };
                format!("{} is at {} ({list}{own})", self.label, self.name)
            }
            (Err(reason), _) => {
                format!("{} is at {}, whose address is not known ({reason})", self.label, self.name)
            }
        }
    }

    /// Compares two machines.
    pub fn compare(&self, other: &Self) -> Sameness {
        let both = format!("{}; {}", self.text(), other.text());
        if self.here && other.here || !self.name.is_empty() && self.name.eq_ignore_ascii_case(&other.name) {
            return Sameness::Same(both);
        }
        match (&self.addresses, &other.addresses) {
            (Ok(mine), Ok(theirs)) if mine.intersection(theirs).next().is_some() => Sameness::Same(both),
            // Only one of them is this machine: then they are two, whatever other addresses this one has.
            (Ok(_), Ok(_)) if self.here != other.here => Sameness::Apart(both),
            (Ok(mine), Ok(theirs)) if !mine.is_empty() && !theirs.is_empty() => Sameness::Apart(both),
            _ => Sameness::Unknown(both),
        }
    }
}

/// Returns the host's name in an address such as `https://USER@HOST:PORT/PATH`.
pub fn host_of(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str, addresses: &[&str], here: bool) -> Machine {
        Machine {
            label: name.to_owned(),
            name: name.to_owned(),
            addresses: Ok(addresses.iter().map(|a| a.parse().unwrap()).collect()),
            here,
        }
    }

    #[test]
    fn machines_are_told_apart_by_addresses_and_never_by_names_alone() {
        let unknown =
            Machine { addresses: Err("no such name".to_owned()), ..machine("gone.example", &[], false) };
        let cases = [
            (machine("a", &["10.0.0.1"], false), machine("b", &["10.0.0.1", "10.0.0.2"], false), "same"),
            (machine("a", &["10.0.0.1"], false), machine("b", &["10.0.0.2"], false), "apart"),
            (machine("localhost", &["127.0.0.1"], true), Machine::here("the vault"), "same"),
            (machine("db", &["10.0.0.9"], true), machine("x", &["127.0.0.1"], true), "same"),
            (machine("db", &["10.0.0.9"], false), Machine::here("the vault"), "apart"),
            (unknown.clone(), Machine::here("the vault"), "unknown"),
            (unknown.clone(), unknown, "same"),
        ];
        for (one, other, expected) in cases {
            for answer in [one.compare(&other), other.compare(&one)] {
                let word = match answer {
                    Sameness::Same(_) => "same",
                    Sameness::Apart(_) => "apart",
                    Sameness::Unknown(_) => "unknown",
                };
                assert_eq!(word, expected, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_host_is_found_in_addresses() {
        for (url, host) in [
            ("postgresql://app:p@ss@db.internal:5432/shop", "db.internal"),
            ("https://vault.internal:8750", "vault.internal"),
            ("http://[::1]:9000/x", "::1"),
            ("https://s3.example.org", "s3.example.org"),
        ] {
            assert_eq!(host_of(url).as_deref(), Some(host), "{url}");
        }
        assert_eq!(host_of("postgresql:///shop?host=/run"), None);
    }
}
