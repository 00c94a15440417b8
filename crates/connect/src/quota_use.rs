use serde::{Deserialize, Serialize};

/// What the numbers of a pool count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaUnit {
    /// The vendor's own units.
    Units,
    /// Bytes that production keeps for us.
    Bytes,
}

/// What a capture took of one pool of quota, or keeps of production's room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUse {
    /// The pool, in the connector's words: `gmail/user`, `retained WAL`.
    pub name: String,
    /// Whose bucket of the pool was used most, where each subject has its own.
    pub subject: Option<String>,
    /// What the numbers count.
    pub unit: QuotaUnit,
    /// How much of the limit is used: within the last span of the limit, or now where it has none. Of a pool in which each
    /// subject has a bucket this is the fullest one's.
    pub used: u64,
    /// How much unwipe allows itself.
    pub limit: u64,
    /// The span of the limit in seconds; absent where it bounds an amount and not a rate.
    pub per_s: Option<u64>,
    /// The limit in percent of what the service gives, where that is known.
    pub share_percent: Option<u64>,
    /// What was taken and refused of late, of all subjects; absent where nothing is taken call by call.
    pub of_late: Option<QuotaOfLate>,
}

/// What was taken of a pool within hours, of all its subjects together, since counting began at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaOfLate {
    /// Units of the last hour.
    pub hour: u64,
    /// Units of the last 24 hours.
    pub day: u64,
    /// Calls of the last 24 hours that the service refused as too many.
    pub refused: u64,
    /// For how many milliseconds calls of the last 24 hours waited, all together: for this pool, or because of a refusal.
    pub waited_ms: u64,
}

impl QuotaUse {
    /// Returns how much of the limit is used, in percent; more than 100 where a burst or a slow reader went beyond it.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// Returns whether the service refused calls of late, or little of the limit is left: worth a look.
    pub fn is_tight(&self) -> bool {
        self.percent() >= 80 || self.of_late.is_some_and(|of_late| of_late.refused > 0)
    }
}

/// Tells what a capture takes of its source's quota, while it runs; asked every few seconds, from another thread.
pub trait QuotaMeter: Send + Sync {
    /// Returns what was taken, pool by pool in the order of their names; nothing while that is not known yet.
    fn quota_use(&self) -> Vec<QuotaUse>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(used: u64, limit: u64, refused: u64) -> QuotaUse {
        QuotaUse {
            name: "mail/user".to_owned(),
            subject: None,
            unit: QuotaUnit::Units,
            used,
            limit,
            per_s: Some(60),
            share_percent: None,
            of_late: Some(QuotaOfLate { refused, ..QuotaOfLate::default() }),
        }
    }

    #[test]
    fn a_share_is_told_for_any_numbers() {
        assert_eq!(of(33, 100, 0).percent(), 33);
        assert_eq!(of(0, 0, 0).percent(), 0);
        assert_eq!(of(u64::MAX, u64::MAX, 0).percent(), 100);
        assert_eq!(of(u64::MAX, 1, 0).percent(), u64::MAX);
    }

    #[test]
    fn what_is_nearly_used_up_or_was_refused_is_worth_a_look() {
        assert!(!of(79, 100, 0).is_tight());
        assert!(of(80, 100, 0).is_tight());
        assert!(of(0, 100, 1).is_tight());
    }
}
