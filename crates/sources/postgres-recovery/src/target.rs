//! The moment that a person asks for, as text.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use model::Moment;
use postgres_server::lsn;

/// The moment to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Everything that was committed up to this time.
    Moment(Moment),
    /// Everything up to and with the record that starts at this position.
    Lsn(u64),
    /// Everything before the record that starts at this position.
    BeforeLsn(u64),
    /// Everything up to and with the commit of this transaction.
    Transaction(u32),
    /// Everything before the commit of this transaction.
    BeforeTransaction(u32),
    /// The newest restorable moment.
    Latest,
}

/// A text that names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no moment")]
pub struct TargetError {
    text: String,
}

impl TargetError {
    /// Says what a person can write.
    pub fn hint(&self) -> String {
        "write latest, 2026-04-25T14:00:09Z, lsn:0/5F3C9850, before:0/5F3C9850, transaction:7569 or \
         before-transaction:7569"
            .to_owned()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError { text: text.to_owned() };
        let trimmed = text.trim();
        if trimmed == "latest" {
            return Ok(Self::Latest);
        }
        let before = ["before:", "before ", "before-"].iter().find_map(|word| trimmed.strip_prefix(word));
        let rest = before.unwrap_or(trimmed).trim_start();
        if let Some(digits) = rest.strip_prefix("transaction:") {
            let transaction = digits.trim().parse().map_err(|_| error())?;
            let before = before.is_some();
            return Ok(if before {
                Self::BeforeTransaction(transaction)
            } else {
                Self::Transaction(transaction)
            });
        }
        if let Some(rest) = before {
            let position = rest.strip_prefix("lsn:").unwrap_or(rest);
            return lsn::parse(position.trim()).map(Self::BeforeLsn).ok_or_else(error);
        }
        if let Some(position) = rest.strip_prefix("lsn:") {
            return lsn::parse(position.trim()).map(Self::Lsn).ok_or_else(error);
        }
        trimmed.parse().map(Self::Moment).map_err(|_| error())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moment(moment) => write!(f, "{moment}"),
            Self::Lsn(at) => write!(f, "lsn:{}", lsn::to_text(*at)),
            Self::BeforeLsn(at) => write!(f, "before:{}", lsn::to_text(*at)),
            Self::Transaction(id) => write!(f, "transaction:{id}"),
            Self::BeforeTransaction(id) => write!(f, "before-transaction:{id}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}
