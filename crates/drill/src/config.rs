//! The section `[drills]` of the configuration.

use std::collections::BTreeMap;

use model::SourceName;
use serde::{Deserialize, Serialize};

use crate::{Budget, DailyWindow, Expectation, Space, Span, Terms};

/// How long a proof counts where nothing is said.
const TERM: Span = Span(35 * 86_400);
/// How many things are drawn where nothing is said.
const SAMPLE_ITEMS: u64 = 200;

/// When drills are held, with what, and how long they count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrillsConfig {
    /// How long a proof counts: 35 days if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<Span>,
    /// In which part of each day scheduled drills may begin, in UTC; at any time if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<DailyWindow>,
    /// Keys whose certificates count besides this installation's own: 64 hexadecimal digits each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// By source; the vault's own drill is called `vault`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<SourceName, SourceDrills>,
    /// Questions of the owner to restored databases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probe: Vec<ProbeConfig>,
}

/// What is said of the drills of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceDrills {
    /// How often a drill is held; never by itself if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// How often everything is restored, where the others take a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_every: Option<Span>,
    /// How long a drill may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// How much scratch space it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// In which part of each day it may begin, in place of the common one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<DailyWindow>,
    /// How long a proof of this source counts, in place of the common term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<Span>,
    /// About how many things a sample draws; 200 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
    /// Production, to record what it holds before a drill and compare with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordConfig>,
    /// Where a sample is restored to that cannot be restored into a folder; only the connector understands it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<toml::Table>,
}

/// A connection to production that reads every table once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    /// The address, without a password: `postgresql://restorer@db.internal/shop`.
    pub url: String,
    /// The password, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A question of the owner to a restored database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// The source.
    pub source: SourceName,
    /// The database.
    pub database: String,
    /// One statement of SQL; it runs in a transaction that may only read.
    pub sql: String,
    /// What the first value of the first row must be.
    pub expect: Expectation,
    /// How long it may take; 5 minutes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

impl DrillsConfig {
    /// Returns what is said of a source, and nothing where nothing is.
    pub fn of(&self, source: &SourceName) -> SourceDrills {
        self.sources.get(source).cloned().unwrap_or_default()
    }

    /// Returns how long proofs of a source count.
    pub fn terms(&self, source: &SourceName) -> Terms {
        Terms { proof: self.of(source).term.or(self.term).unwrap_or(TERM) }
    }

    /// Returns in which part of each day a source's drills may begin.
    pub fn window(&self, source: &SourceName) -> Option<DailyWindow> {
        self.of(source).window.or(self.window)
    }

    /// Returns the questions to a source.
    pub fn probes(&self, source: &SourceName) -> Vec<&ProbeConfig> {
        self.probe.iter().filter(|probe| probe.source == *source).collect()
    }
}

impl SourceDrills {
    /// Returns what a drill may take.
    pub fn budget(&self) -> Budget {
        Budget::of(self.time, self.space)
    }

    /// Returns about how many things a sample draws.
    pub fn sample_items(&self) -> u64 {
        self.sample.unwrap_or(SAMPLE_ITEMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        term = "40d"
        window = "22:00-05:00"
        [sources.shop]
        every = "7d"
        whole_every = "30d"
        time = "2h"
        space = "50GB"
        record = { url = "postgresql://restorer@db/shop", password = "file:p" }
        [sources.acme.sandbox]
        anything = { it = "likes" }
        [[probe]]
        source = "shop"
        database = "shop"
        sql = "select count(*) from bookings"
        expect = "> 0"
    "#;

    #[test]
    fn the_section_is_read_and_written() {
        let config: DrillsConfig = toml::from_str(TEXT).unwrap();
        let (shop, other) = (SourceName::new("shop").unwrap(), SourceName::new("other").unwrap());
        assert_eq!(
            config.of(&shop).budget(),
            Budget { time_s: Some(7200), space_bytes: Some(50_000_000_000) }
        );
        assert_eq!((config.terms(&shop).proof, config.probes(&shop).len()), (Span(40 * 86_400), 1));
        assert_eq!((config.of(&other), config.probes(&other).len()), (SourceDrills::default(), 0));
        assert_eq!(toml::from_str::<DrillsConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_wrong_quantities_are_refused() {
        for text in [
            "trem = '1d'",
            "[sources.shop]\nevrey = '7d'",
            "[sources.shop]\nevery = 'weekly'",
            "[sources.shop.record]\nurl = 'x'\npasword = 'y'",
            "[[probe]]\nsource = 'shop'\ndatabase = 'd'\nsql = 's'\nexpect = '> many'",
            "[[probe]]\nsource = 'shop'\ndatabase = 'd'\nsql = 's'",
        ] {
            assert!(toml::from_str::<DrillsConfig>(text).is_err(), "{text}");
        }
    }
}
