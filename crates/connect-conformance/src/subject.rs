//! What a connector's tests implement: a simulated source, a reader of it, and what happens in it.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use connect::{
    SourceReader, StoredHistory,
    plan::{Plan, PlanFolder, SourceWriter},
    testing::HeldItems,
};
use connect_http::{Request, Transport};
use ports::ManualClock;

/// How a simulated source is furnished. The same furnishing gives the same source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Furnishing {
    /// Accounts that can be read; there may be more that cannot.
    pub users: usize,
    /// Items of each account, about.
    pub items: usize,
    /// Decides what is in it.
    pub seed: u64,
    /// Whether it refuses calls beyond its modelled quota; otherwise nothing is limited.
    pub limited: bool,
}

/// How a reader or a writer is made for one run, as a process does that is started anew: it remembers nothing.
#[derive(Clone)]
pub struct Conditions {
    /// What carries its requests: the suite's, which counts and fails.
    pub transport: Arc<dyn Transport>,
    /// How many calls it may make at a time.
    pub threads: usize,
    /// Whether it keeps to the modelled quota; otherwise it waits for none.
    pub paced: bool,
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads, paced: {}", self.threads, self.paced)
    }
}

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The name of its stream.
    pub stream: String,
    /// Its key.
    pub key: String,
}

impl Place {
    /// Names a place.
    pub fn new(stream: impl Into<String>, key: impl Into<String>) -> Self {
        Self { stream: stream.into(), key: key.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.key, self.stream)
    }
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// The BLAKE3 hash of its content, in hexadecimal.
    pub content: String,
    /// What else is true of it, in the subject's words: labels, a folder, a version.
    pub attributes: String,
}

impl Fact {
    /// Makes a fact of a content and of what else is true.
    pub fn new(content: &[u8], attributes: impl Into<String>) -> Self {
        Self { content: blake3::hash(content).to_hex().to_string(), attributes: attributes.into() }
    }
}

/// Items with what they are.
pub type State = BTreeMap<Place, Fact>;

/// A source has no such thing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Never(pub &'static str);

/// Something that happens to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act<'a> {
    /// A new item with a content of its own comes into a stream.
    Add(&'a str),
    /// An item gets other attributes than it ever had; its content stays.
    ChangeAttributes(&'a Place),
    /// An item gets other content; its place stays.
    ChangeContent(&'a Place),
    /// An item goes elsewhere: another folder, another label. Its place and content stay.
    Move(&'a Place),
    /// An item is removed as people do it: into a trash where there is one.
    Remove(&'a Place),
    /// An item is removed so that nobody gets it back from the source.
    RemoveForGood(&'a Place),
    /// The change feed of a stream forgets its past: positions from before are refused from now on.
    ExpireFeed(&'a str),
    /// The owner of a stream is suspended: nobody may read it.
    Suspend(&'a str),
    /// The owner of a stream may be read again.
    Reinstate(&'a str),
    /// An item is listed and may not be read.
    DenyItem(&'a Place),
    /// An item is listed and cannot be had in any form.
    MakeUnsupported(&'a Place),
    /// Reading the content of an item fails until [`Act::Lift`], for a cause that may pass; other items of its stream may
    /// fail as well.
    FailItem(&'a Place),
    /// The reader's identity loses the right to read content, of all users.
    DenyScope,
    /// All that [`Act::DenyItem`], [`Act::MakeUnsupported`], [`Act::FailItem`] and [`Act::DenyScope`] did ends.
    Lift,
}

/// What a source counted of its quota, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spending {
    /// Units that were spent in the pool that runs out first.
    pub units: u64,
    /// Units that it gave at once, after a rest.
    pub burst_units: u64,
    /// Units that it gives in a second.
    pub units_per_second: f64,
    /// Calls that were refused because it was empty.
    pub refusals: u64,
}

/// A simulated source with a connector that reads it. Each rule starts its own; several threads call it.
pub trait Subject: Send + Sync {
    /// Returns the clock of the source and of the connector.
    fn clock(&self) -> Arc<ManualClock>;

    /// Returns the way to the source.
    fn transport(&self) -> Arc<dyn Transport>;

    /// Makes a reader that reads once.
    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader>;

    /// Returns what is really in the source, as far as it may be read: every item that [`Self::covers`] says yes to.
    fn real(&self) -> State;

    /// Says in the words of [`Self::real`] what stored attributes say; `held` is there to look names up.
    fn says(&self, _held: &HeldItems, _place: &Place, attributes: &str) -> String {
        attributes.to_owned()
    }

    /// Tells whether [`Self::real`] has items such as this one; the others are compared with nothing.
    fn covers(&self, _place: &Place) -> bool {
        true
    }

    /// Lets something happen.
    fn act(&self, act: Act<'_>) -> Result<(), Never>;

    /// Names the items whose content a request asks for, by their keys; none for a request that asks for none. A batch
    /// names one for each of its calls.
    fn contents(&self, request: &Request) -> Vec<String>;

    /// Says whether the source states a digest of each content, so that a wrong bit can be found.
    fn digests(&self) -> Result<(), Never>;

    /// Returns what was spent of the modelled quota since the start.
    fn spending(&self) -> Result<Spending, Never>;

    /// Returns the secrets that the connector was given: keys, passwords. Tokens are seen by the suite itself.
    fn secrets(&self) -> Vec<String>;

    /// Rules of the level SHOULD that this connector does not keep, by their ids, each with the reason.
    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// What is undone: everything that happened after one commit and no later than another.
#[derive(Clone, Copy)]
pub struct Undo<'a> {
    /// What captures saw; commits are numbered from 1.
    pub past: &'a dyn StoredHistory,
    /// What the newest capture holds, positions among it.
    pub held: &'a HeldItems,
    /// The commit before.
    pub before: u64,
    /// The newest commit.
    pub after: u64,
}

impl fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what happened after commit {} and until {}", self.before, self.after)
    }
}

/// A source that can be given back what it lost.
pub trait Restorable: Subject {
    /// Plans the undo of what happened to the first stream of [`Subject::real`], and writes the attachments into the
    /// folder. With `paced`, its stated duration is that of the modelled quota.
    fn plan(&self, undo: &Undo<'_>, folder: &PlanFolder, conditions: &Conditions) -> Plan;

    /// Makes a writer for a plan; it may keep files of its own in `beside`, the plan's folder.
    fn writer<'a>(
        &'a self,
        past: &'a dyn StoredHistory,
        conditions: &Conditions,
        beside: &Path,
    ) -> Box<dyn SourceWriter + 'a>;

    /// Lists who may see what beyond its owner, one line for each permission and link, in the subject's words.
    fn grants(&self) -> Result<Vec<String>, Never>;

    /// Opens an item to somebody else, so that it can be seen whether a restore takes that for its own.
    fn share(&self, place: &Place) -> Result<(), Never>;

    /// Closes an item to everybody but its owner.
    fn unshare(&self, place: &Place) -> Result<(), Never>;
}
