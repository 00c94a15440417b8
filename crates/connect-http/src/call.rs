//! What is called, how an answer is judged, and why there is none.

use std::{fmt, time::Duration};

use ureq::http::{HeaderMap, StatusCode};

use crate::{
    quota::{Charge, QuotaError},
    token::{Access, TokenError},
    transport::{Request, TransportError},
};

/// The largest body that is read into memory unless a call says otherwise.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A request with all that is needed to make it well.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is sent, without its token.
    pub request: Request,
    /// Whether making it twice does what making it once does.
    pub idempotent: bool,
    /// What it costs.
    pub charges: Vec<Charge>,
    /// Whose token is attached; absent: none is.
    pub access: Option<Access>,
    /// How the body of a good answer is taken.
    pub taking: Taking,
    /// Statuses that are good answers besides those from 200 to 299.
    pub also_good: Vec<StatusCode>,
}

/// How the body of a good answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Read into memory as part of the call, at most so many bytes: when it breaks off, the call is made again.
    Whole(u64),
    /// Handed out while it comes. Until it is read or dropped, the call counts as running.
    Stream,
}

impl Call {
    /// Makes a call that may be made twice, costs nothing and needs no token.
    #[must_use]
    pub const fn new(request: Request) -> Self {
        Self {
            request,
            idempotent: true,
            charges: Vec::new(),
            access: None,
            taking: Taking::Whole(ANSWER_BYTES_MAX),
            also_good: Vec::new(),
        }
    }

    /// Says that making it twice is not what making it once is.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.idempotent = false;
        self
    }

    /// Adds a price.
    #[must_use]
    pub fn charged(mut self, charge: Charge) -> Self {
        self.charges.push(charge);
        self
    }

    /// Says whose token is attached.
    #[must_use]
    pub fn with(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Says how the body is taken.
    #[must_use]
    pub const fn taking(mut self, taking: Taking) -> Self {
        self.taking = taking;
        self
    }

    /// Takes a status as good that is none by itself.
    #[must_use]
    pub fn accepting(mut self, status: StatusCode) -> Self {
        self.also_good.push(status);
        self
    }

    pub(crate) fn is_good(&self, status: StatusCode) -> bool {
        status.is_success() || self.also_good.contains(&status)
    }
}

/// Knows how one vendor says no.
pub trait Vendor: Send + Sync {
    /// Judges an answer that is not a success, with the beginning of its body.
    fn verdict(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict;
}

/// What an answer that is not a success means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Too much was asked for. Nothing was done.
    Throttled {
        /// How long it asks to wait, if the vendor says so otherwise than in `Retry-After`, which is known here.
        after: Option<Duration>,
        /// The name of the pool that is exhausted, if known: nobody uses the call's bucket of it for as long.
        pool: Option<String>,
        /// The vendor's word for it.
        reason: String,
    },
    /// The server failed; it may work later.
    Transient {
        /// Whether it is certain that nothing was done, so that any call may be made again.
        undone: bool,
        /// The vendor's word for it.
        reason: String,
    },
    /// The token is not taken; a new one may be.
    Unauthorized {
        /// The vendor's word for it.
        reason: String,
        /// The vendor's explanation.
        message: String,
    },
    /// It will not be done, however often it is asked for.
    Refused {
        /// What a connector does about it.
        kind: RefusalKind,
        /// The vendor's word for it.
        reason: String,
        /// The vendor's explanation.
        message: String,
    },
}

/// What a refusal means to the one who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// There is no such thing, or none that may be seen.
    NotFound,
    /// What was asked to go on from is no longer known: begin anew.
    Expired,
    /// The token is not taken, not even a new one.
    Unauthorized,
    /// The rights do not suffice.
    Denied,
    /// It is there already, or was changed by somebody else.
    Conflict,
    /// It is larger than the service takes or gives.
    TooLarge,
    /// A quota that no waiting of minutes fills: of the day, of storage.
    Exhausted,
    /// The service does not do this with this thing.
    Unsupported,
    /// The request is wrong.
    Malformed,
    /// Anything else.
    Other,
}

/// A refusal as a vendor put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What it means.
    pub kind: RefusalKind,
    /// The vendor's word for it.
    pub reason: String,
    /// The vendor's explanation.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.reason)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Too much is asked for, after all attempts. Nothing was done.
    #[error("the service still asks to wait after {attempts} attempts ({reason}){}", allowed(*.after))]
    Throttled {
        /// How often it was tried.
        attempts: u32,
        /// After how long it may be tried again, if the service says so.
        after: Option<Duration>,
        /// The vendor's word for it.
        reason: String,
    },
    /// The service will not do it.
    #[error("the service refuses: {0}")]
    Refused(Refusal),
    /// The service failed each time. Nothing was done, or doing it again does no harm.
    #[error("the service still fails after {attempts} attempts: {} {reason}", status.as_u16())]
    Failing {
        /// How often it was tried.
        attempts: u32,
        /// The last status.
        status: StatusCode,
        /// The vendor's word for it.
        reason: String,
    },
    /// No answer came, after all attempts. Nothing was done, or doing it again does no harm.
    #[error("no answer came after {attempts} attempts")]
    Unreachable {
        /// How often it was tried.
        attempts: u32,
        /// What the last one answered.
        #[source]
        source: TransportError,
    },
    /// The call was sent and may have been done; it must not be made twice. Look before trying again.
    #[error("nobody knows whether it was done: {what}")]
    Unknown {
        /// What happened instead of an answer.
        what: String,
        /// What the connection said, if it was that.
        #[source]
        source: Option<TransportError>,
    },
    /// There is no token for it.
    #[error("the call has no token")]
    Token(#[source] TokenError),
    /// It may never be made.
    #[error("the call has no quota")]
    Quota(#[source] QuotaError),
    /// Somebody asked to end.
    #[error("the call was stopped")]
    Stopped,
    /// The request cannot be sent, or the answer not be taken, and never will.
    #[error("the call's content is not usable")]
    Body(#[source] TransportError),
}

fn allowed(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!("; it allows it in {} s", after.as_secs().max(1)))
}

impl CallError {
    /// Tells whether the same call may succeed later without anybody changing anything. What may have been done is not
    /// among these.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Failing { .. } | Self::Unreachable { .. } | Self::Stopped => true,
            Self::Token(error) => error.is_passing(),
            Self::Refused(_) | Self::Unknown { .. } | Self::Quota(_) | Self::Body(_) => false,
        }
    }

    /// Returns what the service refused with.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Tells whether the service refused with this.
    #[must_use]
    pub fn is(&self, kind: RefusalKind) -> bool {
        self.refusal().is_some_and(|refusal| refusal.kind == kind)
    }
}

impl From<QuotaError> for CallError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Stopped => Self::Stopped,
            other => Self::Quota(other),
        }
    }
}
