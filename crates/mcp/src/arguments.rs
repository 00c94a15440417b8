//! What tools are asked with. Everything is bounded, and nothing unknown is passed over.

use model::{SourceName, Verb};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Bytes of all arguments of one call.
const ARGUMENTS_BYTES_MAX: usize = 128 << 10;
/// Characters of one word or pattern.
pub(crate) const WORD_MAX: usize = 300;
/// Characters of a reason.
pub(crate) const REASON_MAX: usize = 1_000;
/// Characters of a statement of SQL.
pub(crate) const SQL_MAX: usize = 20_000;
/// Characters of a certificate.
pub(crate) const CERTIFICATE_MAX: usize = 100_000;
/// Entries of a list.
pub(crate) const ENTRIES_MAX: usize = 200;
/// Rows and entries of one answer.
pub(crate) const ROWS_MAX: u32 = 100;
/// The longest window of an intent: a day.
pub(crate) const MINUTES_MAX: u32 = 24 * 60;

/// Reads arguments; says in words what is wrong with them.
pub(crate) fn read<T: DeserializeOwned + Bounded>(arguments: Value) -> Result<T, String> {
    if arguments.to_string().len() > ARGUMENTS_BYTES_MAX {
        return Err("the arguments are too long".to_owned());
    }
    let read: T = serde_json::from_value(arguments).map_err(|error| error.to_string())?;
    read.check()?;
    Ok(read)
}

/// Arguments that know their bounds.
pub(crate) trait Bounded {
    fn check(&self) -> Result<(), String>;
}

fn bounded(name: &str, text: &str, max: usize) -> Result<(), String> {
    if text.chars().count() > max {
        return Err(format!("{name} is longer than {max} characters"));
    }
    if text.contains('\0') {
        return Err(format!("{name} contains a zero character"));
    }
    Ok(())
}

fn words<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a String>)>) -> Result<(), String> {
    for (name, text) in pairs {
        if let Some(text) = text {
            bounded(name, text, WORD_MAX)?;
        }
    }
    Ok(())
}

fn reason(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("reason is empty: say why, for the person who reads it".to_owned());
    }
    bounded("reason", text, REASON_MAX)
}

fn list(name: &str, entries: &[String], max: usize) -> Result<(), String> {
    if entries.len() > ENTRIES_MAX {
        return Err(format!("{name} has more than {ENTRIES_MAX} entries"));
    }
    entries.iter().try_for_each(|entry| bounded(name, entry, max))
}

/// Nothing is asked with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl Bounded for Nothing {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Which recovery points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MomentsWish {
    /// The source.
    pub source: SourceName,
    /// Only commits before this one: what an earlier page gave as `next`.
    #[serde(default)]
    pub before: Option<u64>,
    /// At most so many.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl MomentsWish {
    /// Returns how many are asked for.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX)
    }
}

impl Bounded for MomentsWish {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What is to be captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureWish {
    /// The source.
    pub source: SourceName,
    /// Why.
    pub reason: String,
}

impl Bounded for CaptureWish {
    fn check(&self) -> Result<(), String> {
        reason(&self.reason)
    }
}

/// What somebody is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentWish {
    /// Where.
    pub source: SourceName,
    /// Under which identity: a role, an account; `*` stands for any characters.
    pub actor: String,
    /// What.
    pub verbs: Vec<Verb>,
    /// In which database, account or table; everywhere where it is missing.
    #[serde(default)]
    pub scope: Option<String>,
    /// How many items at most.
    pub items_max: u64,
    /// For how many minutes from now on.
    pub minutes: u32,
    /// Why.
    pub reason: String,
}

impl Bounded for IntentWish {
    fn check(&self) -> Result<(), String> {
        words([("actor", Some(&self.actor)), ("scope", self.scope.as_ref())])?;
        if self.actor.trim().is_empty() || self.verbs.is_empty() || self.verbs.len() > ENTRIES_MAX {
            return Err("say who (actor) and what (verbs)".to_owned());
        }
        if !(1..=MINUTES_MAX).contains(&self.minutes) {
            return Err(format!("minutes is not between 1 and {MINUTES_MAX}"));
        }
        reason(&self.reason)
    }
}

/// A question to a moment of a source: SQL to a database, or a list of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryWish {
    /// The source.
    pub source: SourceName,
    /// `latest`, a commit, or a time.
    #[serde(default)]
    pub moment: Option<String>,
    /// The database, if the source is one.
    #[serde(default)]
    pub database: Option<String>,
    /// One SELECT, if the source is a database.
    #[serde(default)]
    pub sql: Option<String>,
    /// The stream whose items are listed; the streams themselves where none is named.
    #[serde(default)]
    pub stream: Option<String>,
    /// The folder in it; the top where none is named.
    #[serde(default)]
    pub folder: Option<String>,
    /// Where the page begins.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many rows or entries.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl QueryWish {
    /// Returns how many rows are asked for.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX)
    }
}

impl Bounded for QueryWish {
    fn check(&self) -> Result<(), String> {
        words([
            ("moment", self.moment.as_ref()),
            ("database", self.database.as_ref()),
            ("stream", self.stream.as_ref()),
        ])?;
        bounded("folder", self.folder.as_deref().unwrap_or_default(), 4096)?;
        bounded("cursor", self.cursor.as_deref().unwrap_or_default(), 16_384)?;
        let Some(sql) = &self.sql else { return Ok(()) };
        bounded("sql", sql, SQL_MAX)?;
        if self.database.is_none() {
            return Err("sql needs the name of a database".to_owned());
        }
        crate::sql::check(sql).map_err(|error| error.to_string())
    }
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindWish {
    /// Words.
    pub text: String,
    /// In which source; in all where none is named.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// Where the page begins.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl FindWish {
    /// Returns how many are asked for.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(20).clamp(1, ROWS_MAX)
    }
}

impl Bounded for FindWish {
    fn check(&self) -> Result<(), String> {
        bounded("cursor", self.cursor.as_deref().unwrap_or_default(), 16_384)?;
        bounded("text", &self.text, WORD_MAX)
    }
}

/// The name of an item as agents are given it: letters and digits, whatever its key says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(String);

impl ItemId {
    /// Names an item.
    pub fn of(stream: &str, key: &str) -> Self {
        Self(format!("{stream}\0{key}").bytes().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns stream and key.
    pub fn parts(&self) -> Option<(String, String)> {
        let digits = self.0.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let text = String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok()?;
        text.split_once('\0').map(|(stream, key)| (stream.to_owned(), key.to_owned()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn item(id: &ItemId) -> Result<(), String> {
    if id.0.len() > 16_384 || id.parts().is_none() {
        return Err("item is none that find_items or query_backup gave".to_owned());
    }
    Ok(())
}

/// Which item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemWish {
    /// The source.
    pub source: SourceName,
    /// The item.
    pub item: ItemId,
    /// `latest`, a commit, or a time.
    #[serde(default)]
    pub moment: Option<String>,
}

impl Bounded for ItemWish {
    fn check(&self) -> Result<(), String> {
        item(&self.item)?;
        words([("moment", self.moment.as_ref())])
    }
}

/// Whose reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachWish {
    /// The source; all where none is named.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// Under which identity: a role, an account.
    #[serde(default)]
    pub actor: Option<String>,
}

impl Bounded for ReachWish {
    fn check(&self) -> Result<(), String> {
        words([("actor", self.actor.as_ref())])
    }
}

/// A restore that a person is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreWish {
    /// What is to be brought back.
    pub target: Target,
    /// Why.
    pub reason: String,
}

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// What the suspects of an incident did.
    Incident {
        /// Its number.
        incident: u64,
    },
    /// What an actor did.
    Actor {
        /// A pattern.
        actor: String,
        /// The source; all where none is named.
        #[serde(default)]
        source: Option<SourceName>,
        /// Only from this time on.
        #[serde(default)]
        from: Option<String>,
    },
    /// Transactions of a database.
    Transactions {
        /// The source.
        source: SourceName,
        /// Their numbers.
        transactions: Vec<String>,
    },
    /// Tables as they were at a moment.
    Rows {
        /// The source.
        source: SourceName,
        /// The moment.
        moment: String,
        /// `database.schema.table`.
        tables: Vec<String>,
        /// Whether rows that are different now are set back as well.
        #[serde(default)]
        changed: bool,
    },
    /// Items as they were at a moment.
    Items {
        /// The source.
        source: SourceName,
        /// The moment.
        moment: String,
        /// The items, all of one stream.
        items: Vec<ItemId>,
    },
}

impl Bounded for RestoreWish {
    fn check(&self) -> Result<(), String> {
        reason(&self.reason)?;
        match &self.target {
            Target::Incident { .. } => Ok(()),
            Target::Actor { actor, from, .. } => words([("actor", Some(actor)), ("from", from.as_ref())]),
            Target::Transactions { transactions, .. } => list("transactions", transactions, 40),
            Target::Rows { moment, tables, .. } => {
                words([("moment", Some(moment))])?;
                list("tables", tables, WORD_MAX)
            }
            Target::Items { moment, items, .. } => {
                words([("moment", Some(moment))])?;
                if items.is_empty() || items.len() > ENTRIES_MAX {
                    return Err(format!("items has none, or more than {ENTRIES_MAX} entries"));
                }
                items.iter().try_for_each(item)
            }
        }
    }
}

/// Which case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseWish {
    pub(crate) case: String,
}

impl Bounded for CaseWish {
    fn check(&self) -> Result<(), String> {
        if self.case.is_empty()
            || self.case.len() > 64
            || !self.case.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err("case is none that request_restore gave".to_owned());
        }
        Ok(())
    }
}

/// Which certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofWish {
    pub(crate) certificate: String,
}

impl Bounded for ProofWish {
    fn check(&self) -> Result<(), String> {
        bounded("certificate", &self.certificate, CERTIFICATE_MAX)
    }
}
