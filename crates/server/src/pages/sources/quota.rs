//! What a capture takes of its source's quota, as people read it.

use connect::{QuotaUnit, QuotaUse};
use model::Moment;
use service::{quota::QuotaReport, words};

/// One pool as a line.
pub(in crate::pages) struct PoolLine {
    pub(super) name: String,
    /// Whose bucket is the fullest.
    pub(super) subject: Option<String>,
    /// How full it is, 0 to 100.
    pub(super) filled: u64,
    /// The same in words: `1,200 of 6,000 units a minute (20 %)`.
    pub(super) used: String,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) hour: String,
    pub(super) day: String,
    pub(super) refused: String,
    pub(super) waited: String,
    pub(super) share: String,
}

impl PoolLine {
    fn of(used: &QuotaUse) -> Self {
        let number = |number| match used.unit {
            QuotaUnit::Units => words::count(number),
            QuotaUnit::Bytes => words::bytes(number),
        };
        let span = match used.per_s {
            None => String::new(),
            Some(60) => " units a minute".to_owned(),
            Some(86_400) => " units a day".to_owned(),
            Some(seconds) => format!(" units in {}", words::span(seconds)),
        };
        let percent = used.percent();
        let late = |of: fn(&connect::QuotaOfLate) -> String| {
            used.of_late.as_ref().map_or_else(|| "not counted".to_owned(), of)
        };
        let (class, word) = match (percent, used.is_tight()) {
            (100.., _) => ("bad", "used up"),
            (80.., _) => ("warning", "nearly used up"),
            (_, true) => ("warning", "was refused"),
            _ => ("good", "room left"),
        };
        Self {
            name: used.name.clone(),
            subject: used.subject.clone(),
            filled: percent.min(100),
            used: format!("{} of {}{span} ({percent} %)", number(used.used), number(used.limit)),
            class,
            word,
            hour: late(|of_late| words::count(of_late.hour)),
            day: late(|of_late| words::count(of_late.day)),
            refused: late(|of_late| words::count(of_late.refused)),
            waited: late(|of_late| match of_late.waited_ms / 1000 {
                0 => "not at all".to_owned(),
                seconds => words::span(seconds),
            }),
            share: used.share_percent.map_or_else(|| "not known".to_owned(), |share| format!("{share} %")),
        }
    }
}

/// What is known of the quota of one source.
pub(in crate::pages) enum Quota {
    /// No capture has said anything yet.
    Unknown,
    /// The source has none.
    None,
    /// Pools are used.
    Known {
        /// The fullest one.
        tightest: Box<PoolLine>,
        /// All.
        pools: Vec<PoolLine>,
        /// When the capture said so.
        said: String,
        /// Since when it counts.
        since: String,
    },
}

impl Quota {
    pub(super) fn of(report: Option<&QuotaReport>, now: Moment) -> Self {
        let Some(report) = report else { return Self::Unknown };
        let Some(tightest) = report.tightest() else { return Self::None };
        Self::Known {
            tightest: Box::new(PoolLine::of(tightest)),
            pools: report.uses.iter().map(PoolLine::of).collect(),
            said: words::ago(report.at, now),
            since: words::moment(report.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use connect::QuotaOfLate;

    use super::*;

    fn used(percent: u64, refused: u64) -> QuotaUse {
        QuotaUse {
            name: "gmail/user".to_owned(),
            subject: None,
            unit: QuotaUnit::Units,
            used: percent * 60,
            limit: 6000,
            per_s: Some(60),
            share_percent: Some(100),
            of_late: Some(QuotaOfLate { refused, waited_ms: 90_000, ..QuotaOfLate::default() }),
        }
    }

    #[test]
    fn a_pool_is_told_in_words_and_never_by_its_colour_alone() {
        let line = PoolLine::of(&used(20, 0));
        assert_eq!((line.used.as_str(), line.word), ("1,200 of 6,000 units a minute (20 %)", "room left"));
        assert_eq!((line.waited.as_str(), line.refused.as_str()), ("90 seconds", "0"));
        assert_eq!(PoolLine::of(&used(20, 3)).word, "was refused");
        assert_eq!(PoolLine::of(&used(80, 0)).word, "nearly used up");
        let over = PoolLine::of(&used(117, 0));
        assert_eq!((over.word, over.filled), ("used up", 100));
    }

    #[test]
    fn what_production_keeps_is_told_in_bytes() {
        let kept = QuotaUse {
            name: "retained WAL".to_owned(),
            subject: None,
            unit: QuotaUnit::Bytes,
            used: 16_000_000,
            limit: 10_000_000_000,
            per_s: None,
            share_percent: None,
            of_late: None,
        };
        let line = PoolLine::of(&kept);
        assert_eq!(line.used, "16.0 MB of 10.0 GB (0 %)");
        assert_eq!((line.day.as_str(), line.share.as_str()), ("not counted", "not known"));
    }
}
