//! Where every call arrives: who asks, whether they may, how often, what they get.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use access::{Scope, ServiceIdentity, ServiceName};
use model::SourceName;
use ports::Clock;
use serde_json::{Map, Value, json};

use crate::{
    Tool,
    arguments::{self, CaptureWish, CaseWish, Nothing, ProofWish},
    calls::{Call, Calls, noted},
    clean::{NOTE, clean},
    desk::{Answer, Desk, DeskError},
    quota::{NotNow, Quotas},
};

/// Within this time a second capture of a source is the first one.
const CAPTURE_AGAIN: Duration = Duration::from_mins(1);

/// An agent: a name and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
}

impl From<ServiceIdentity> for Caller {
    fn from(identity: ServiceIdentity) -> Self {
        Self { name: identity.name, scopes: identity.scopes }
    }
}

impl Caller {
    /// Returns the tools that it may use.
    pub fn tools(&self) -> Vec<Tool> {
        Tool::ALL.into_iter().filter(|tool| self.scopes.contains(&tool.scope())).collect()
    }
}

/// Why a call was not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such tool.
    #[error("there is no such tool")]
    NoTool,
    /// The identity may not use it.
    #[error("this identity does not have the scope {}", needed.as_str())]
    Scope {
        /// What it takes.
        needed: Scope,
    },
    /// The arguments are none.
    #[error("the arguments are not as the tool's schema says")]
    Arguments {
        /// What is wrong; it quotes what was sent.
        detail: String,
    },
    /// It was used too often.
    #[error("too often: there is room again in {wait_s} s")]
    TooOften {
        /// Seconds.
        wait_s: u64,
    },
    /// The call cannot be written down, and what is not written down is not done.
    #[error("the call cannot be written down")]
    NoLog,
    /// It was not done.
    #[error("{}", .0.kind.sentence())]
    Desk(DeskError),
}

impl Refusal {
    /// Returns a word that stays the same.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoTool => "no-tool",
            Self::Scope { .. } => "scope",
            Self::Arguments { .. } => "arguments",
            Self::TooOften { .. } => "too-often",
            Self::NoLog => "no-log",
            Self::Desk(error) => error.kind.as_str(),
        }
    }

    /// Returns what an agent is sent.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("error".to_owned(), self.as_str().into());
        document.insert("sentence".to_owned(), self.to_string().into());
        let detail = match self {
            Self::Arguments { detail } => Some(detail),
            Self::Desk(error) => Some(&error.detail),
            _ => None,
        };
        if let Some(detail) = detail {
            let detail: String = detail.chars().take(2_000).collect();
            put_untrusted(&mut document, &json!({ "detail": detail }));
        }
        if let Self::TooOften { wait_s } = self {
            document.insert("wait_s".to_owned(), (*wait_s).into());
        }
        Value::Object(document)
    }
}

/// Answers every call of every agent of an installation. Cheap to share; calls may block for long.
pub struct Counter {
    desk: Arc<dyn Desk>,
    quotas: Quotas,
    calls: Calls,
    clock: Arc<dyn Clock>,
    captured: Mutex<HashMap<SourceName, (Duration, u64)>>,
}

impl Counter {
    /// Makes a counter; what is asked is noted in the folder, for all processes of the installation.
    pub fn new(desk: Arc<dyn Desk>, folder: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            desk,
            quotas: Quotas::new(folder.to_owned(), Arc::clone(&clock)),
            calls: Calls::new(folder.to_owned()),
            clock,
            captured: Mutex::default(),
        }
    }

    /// Answers a call. `name` and `arguments` may be anything.
    pub fn call(&self, caller: &Caller, name: &str, arguments: Value) -> Result<Value, Refusal> {
        let note = noted(&arguments);
        let asked = Tool::of_name(name);
        let tool_name = asked.map_or("unknown", Tool::name);
        let mut call = Call {
            at: self.clock.now(),
            who: &caller.name,
            tool: tool_name,
            arguments: note,
            outcome: "asked",
        };
        // What leaves a trace elsewhere is written down before it is done.
        if asked.is_some_and(|tool| !tool.only_reads()) {
            self.calls.add(&call).map_err(|_| Refusal::NoLog)?;
        }
        let answered = self.answer(caller, asked, arguments);
        call.outcome = answered.as_ref().map_or_else(Refusal::as_str, |_| "answered");
        self.calls.add(&call).map_err(|_| Refusal::NoLog)?;
        answered.map(document)
    }

    fn answer(&self, caller: &Caller, tool: Option<Tool>, arguments: Value) -> Result<Answer, Refusal> {
        let tool = tool.ok_or(Refusal::NoTool)?;
        if !caller.scopes.contains(&tool.scope()) {
            return Err(Refusal::Scope { needed: tool.scope() });
        }
        let read = Read { counter: self, caller, tool, arguments };
        let desk = &self.desk;
        match tool {
            Tool::ListSources => read.ask(|_: Nothing| desk.sources()),
            Tool::ListMoments => read.ask(|wish| desk.moments(&wish)),
            Tool::CaptureNow => self.capture(&read),
            Tool::DeclareIntent => read.ask(|wish| desk.declare(&caller.name, &wish)),
            Tool::QueryBackup => read.ask(|wish| desk.query(&wish)),
            Tool::FindItems => read.ask(|wish| desk.find(&wish)),
            Tool::ShowItem => read.ask(|wish| desk.show(&wish)),
            Tool::EstimateBlastRadius => read.ask(|wish| desk.reach(&wish)),
            Tool::RequestRestore => read.ask(|wish| desk.request(&caller.name, &wish)),
            Tool::RestoreStatus => read.ask(|wish: CaseWish| desk.status(&wish.case)),
            Tool::VerifyProof => read.ask(|wish: ProofWish| desk.check(&wish.certificate)),
        }
    }

    /// A capture shortly after another one is that one, and costs nothing.
    fn capture(&self, read: &Read<'_>) -> Result<Answer, Refusal> {
        let wish: CaptureWish = read.arguments()?;
        let now = self.clock.elapsed();
        let known = |captured: &HashMap<SourceName, (Duration, u64)>| {
            captured.get(&wish.source).filter(|(at, _)| now < *at + CAPTURE_AGAIN).map(|(_, commit)| *commit)
        };
        if let Some(commit) = known(&self.captured.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(captured(&wish.source, commit, true));
        }
        read.take()?;
        let commit = self.desk.capture(&read.caller.name, &wish).map_err(Refusal::Desk)?;
        let mut all = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(wish.source.clone(), (self.clock.elapsed(), commit));
        Ok(captured(&wish.source, commit, false))
    }
}

fn captured(source: &SourceName, commit: u64, repeated: bool) -> Answer {
    Answer::of(json!({ "source": source, "commit": commit, "repeated": repeated }))
}

/// A call whose arguments are still to be read.
struct Read<'a> {
    counter: &'a Counter,
    caller: &'a Caller,
    tool: Tool,
    arguments: Value,
}

impl Read<'_> {
    fn arguments<T: serde::de::DeserializeOwned + arguments::Bounded>(&self) -> Result<T, Refusal> {
        arguments::read(self.arguments.clone()).map_err(|detail| Refusal::Arguments { detail })
    }

    fn take(&self) -> Result<(), Refusal> {
        self.counter.quotas.take(&self.caller.name, self.tool).map_err(|error| match error {
            NotNow::Wait(wait_s) => Refusal::TooOften { wait_s },
            NotNow::Uncounted => Refusal::NoLog,
        })
    }

    /// Reads the arguments, counts the use, and asks.
    fn ask<T: serde::de::DeserializeOwned + arguments::Bounded>(
        &self,
        ask: impl FnOnce(T) -> Result<Answer, DeskError>,
    ) -> Result<Answer, Refusal> {
        let wish = self.arguments()?;
        self.take()?;
        ask(wish).map_err(Refusal::Desk)
    }
}

/// Puts an answer together: what is known, and apart from it what is not to be trusted.
fn document(answer: Answer) -> Value {
    let mut document = answer.facts;
    let cut =
        if answer.untrusted.is_null() { false } else { put_untrusted(&mut document, &answer.untrusted) };
    document.insert("truncated".to_owned(), (answer.truncated || cut).into());
    Value::Object(document)
}

fn put_untrusted(document: &mut Map<String, Value>, untrusted: &Value) -> bool {
    let cleaned = clean(untrusted);
    document.insert("untrusted_note".to_owned(), NOTE.into());
    document.insert("untrusted_content".to_owned(), cleaned.value);
    document.insert("masked".to_owned(), cleaned.masked.into());
    cleaned.truncated
}
