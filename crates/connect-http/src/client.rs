//! Making calls: quota, token, attempts, judgement.

mod batched;

use std::{fmt, sync::Arc, time::Duration};

use connect::Stop;
use model::Redacted;
use ports::{Clock, Random};
use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, StatusCode};

pub use self::batched::Batched;
use crate::{
    call::{Call, CallError, Refusal, RefusalKind, Taking, Vendor, Verdict},
    quota::Quota,
    retry::{Next, Retry, RetrySettings, retry_after},
    token::{TokenCache, TokenError},
    transport::{Body, Request, Response, Transport, TransportError},
};

/// As much of an answer that is not a success as is looked at.
const REFUSAL_BYTES_MAX: u64 = 256 << 10;

/// What a client is made of.
pub struct ClientParts {
    /// What carries its requests.
    pub transport: Arc<dyn Transport>,
    /// How the vendor says no.
    pub vendor: Arc<dyn Vendor>,
    /// What calls cost.
    pub quota: Quota,
    /// Where tokens come from; absent: no call may need one.
    pub tokens: Option<Arc<TokenCache>>,
    /// How often calls are tried.
    pub retry: RetrySettings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for waits.
    pub random: Arc<dyn Random>,
    /// What ends every wait.
    pub stop: Stop,
}

/// Makes calls. Clones and threads share its quota, tokens and connections.
#[derive(Clone)]
pub struct Client {
    parts: Arc<ClientParts>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("client")
    }
}

/// Why one attempt has no good answer.
pub(crate) enum Failure {
    /// Nothing more can be tried.
    Final(CallError),
    /// No answer came.
    Silent(TransportError),
    /// The issuer of tokens cannot be asked.
    Token(TokenError),
    /// The service said no.
    Answered { status: StatusCode, verdict: Verdict },
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Silent(error)
    }
}

impl Client {
    /// Puts a client together.
    #[must_use]
    pub fn new(parts: ClientParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Returns what the client is made of.
    #[must_use]
    pub fn parts(&self) -> &ClientParts {
        &self.parts
    }

    /// Makes a call until it has a good answer, fails for good, or has been tried often and long enough.
    ///
    /// A call that may not be made twice is made again only when it is certain that nothing was done.
    pub fn call(&self, call: &Call) -> Result<Response, CallError> {
        let mut retry = self.attempts();
        loop {
            match self.attempt(call) {
                Ok(response) => return Ok(response),
                Err(failure) => self.wait_or_fail(call, failure, &mut retry)?,
            }
        }
    }

    /// Makes a call and reads its answer as JSON.
    pub fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, CallError> {
        let limit = match call.taking {
            Taking::Whole(limit) => limit,
            Taking::Stream => crate::call::ANSWER_BYTES_MAX,
        };
        let response = self.call(&Call { taking: Taking::Whole(limit), ..call.clone() })?;
        response.body.json(limit).map_err(CallError::Body)
    }

    /// Judges an answer that is part of another one: `Ok` when it is good.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), Verdict> {
        if status.is_success() {
            return Ok(());
        }
        let mut verdict = self.parts.vendor.verdict(status, headers, body);
        if let Verdict::Throttled { after, .. } = &mut verdict {
            *after = after.or_else(|| retry_after(headers, self.parts.clock.now()));
        }
        Err(verdict)
    }

    pub(crate) fn attempts(&self) -> Retry<'_> {
        Retry::begin(&self.parts.retry, &*self.parts.clock, &*self.parts.random)
    }

    fn is_stopped(&self) -> bool {
        self.parts.stop.is_requested()
    }

    /// Makes a call once; a token that is not taken is replaced once.
    pub(crate) fn attempt(&self, call: &Call) -> Result<Response, Failure> {
        let mut renewed = false;
        loop {
            let permit = self
                .parts
                .quota
                .acquire(&call.charges, &|| self.is_stopped())
                .map_err(|error| Failure::Final(error.into()))?;
            if self.is_stopped() {
                return Err(Failure::Final(CallError::Stopped));
            }
            let (request, secret) = self.authorize(call)?;
            // Asking for a token may have taken a while.
            if self.is_stopped() {
                return Err(Failure::Final(CallError::Stopped));
            }
            let mut response = self.parts.transport.send(&request).map_err(Failure::Silent)?;
            if call.is_good(response.status) {
                return match call.taking {
                    Taking::Whole(limit) => response.whole(limit).map_err(Failure::Silent),
                    Taking::Stream => {
                        response.body = response.body.guarded(permit);
                        Ok(response)
                    }
                };
            }
            let failure = self.refused(response);
            drop(permit);
            self.note_refusal(call, &failure);
            if let Failure::Answered { verdict: Verdict::Unauthorized { .. }, .. } = &failure
                && let (Some(tokens), Some(access), Some(secret)) = (&self.parts.tokens, &call.access, secret)
                && !renewed
            {
                tokens.invalidate(access, &secret);
                renewed = true;
                continue;
            }
            return Err(failure);
        }
    }

    fn authorize(&self, call: &Call) -> Result<(Request, Option<Redacted<String>>), Failure> {
        let request = call.request.clone();
        let Some(access) = &call.access else { return Ok((request, None)) };
        let Some(tokens) = &self.parts.tokens else {
            let detail = "this client was made without one".to_owned();
            return Err(Failure::Final(CallError::Token(TokenError::Credential { detail })));
        };
        let secret = tokens.get(access).map_err(|error| {
            if error.is_passing() { Failure::Token(error) } else { Failure::Final(CallError::Token(error)) }
        })?;
        let request = request.bearer(&secret).map_err(|error| Failure::Final(CallError::Body(error)))?;
        Ok((request, Some(secret)))
    }

    fn refused(&self, response: Response) -> Failure {
        let Response { status, headers, body } = response;
        // Without its explanation a refusal is still one.
        let bytes = beginning(body);
        match self.judge(status, &headers, &bytes) {
            Err(verdict) => Failure::Answered { status, verdict },
            Ok(()) => Failure::Silent(TransportError::Invalid { what: format!("{status} was not expected") }),
        }
    }

    /// Waits before the next attempt, or says why there is none.
    pub(crate) fn wait_or_fail(
        &self,
        call: &Call,
        failure: Failure,
        retry: &mut Retry<'_>,
    ) -> Result<(), CallError> {
        let asked = match &failure {
            Failure::Answered { verdict: Verdict::Throttled { after, .. }, .. } => *after,
            _ => None,
        };
        let failure = repeatable(call, failure)?;
        let wait = match retry.failed(asked) {
            Next::Wait(wait) => wait,
            Next::Exhausted => return Err(give_up(failure, retry.attempts(), asked)),
            Next::TooLate(wait) => return Err(give_up(failure, retry.attempts(), Some(wait))),
        };
        if let Failure::Answered { verdict: Verdict::Throttled { pool: Some(pool), .. }, .. } = &failure {
            self.penalise(call, pool, wait)?;
        }
        self.wait_because(call, is_throttled(&failure), wait)
    }

    /// Counts a refusal as one of too many calls, if it is that.
    fn note_refusal(&self, call: &Call, failure: &Failure) {
        if is_throttled(failure) {
            self.parts.quota.refused(&call.charges);
        }
    }

    fn wait_because(&self, call: &Call, throttled: bool, wait: Duration) -> Result<(), CallError> {
        let before = self.parts.clock.elapsed();
        let waited = self.wait(wait);
        if throttled {
            let took = self.parts.clock.elapsed().saturating_sub(before);
            self.parts.quota.waited(&call.charges, took);
        }
        waited
    }

    fn wait(&self, wait: Duration) -> Result<(), CallError> {
        if self.parts.stop.wait(&*self.parts.clock, wait) { Ok(()) } else { Err(CallError::Stopped) }
    }

    fn penalise(&self, call: &Call, pool: &str, wait: Duration) -> Result<(), CallError> {
        for charge in call.charges.iter().filter(|charge| charge.key.pool == pool) {
            self.parts.quota.penalise(&charge.key, wait)?;
        }
        Ok(())
    }
}

const fn is_throttled(failure: &Failure) -> bool {
    matches!(failure, Failure::Answered { verdict: Verdict::Throttled { .. }, .. })
}

fn beginning(body: Body) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match body.take(REFUSAL_BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) | Err(_) => bytes,
    }
}

/// Hands back a failure after which the call may be made again; any other is the call's end.
fn repeatable(call: &Call, failure: Failure) -> Result<Failure, CallError> {
    match failure {
        Failure::Final(error) => Err(error),
        Failure::Silent(source) if source.is_repeatable(call.idempotent) => Ok(Failure::Silent(source)),
        Failure::Silent(source) if source.may_be_done() && !call.idempotent => {
            Err(CallError::Unknown { what: "no usable answer came".to_owned(), source: Some(source) })
        }
        Failure::Silent(source) => Err(CallError::Body(source)),
        Failure::Answered { status, verdict: Verdict::Transient { undone: false, reason } }
            if !call.idempotent =>
        {
            let what = format!("the service answered {} {reason}", status.as_u16());
            Err(CallError::Unknown { what, source: None })
        }
        Failure::Answered { verdict: Verdict::Unauthorized { .. } | Verdict::Refused { .. }, .. } => {
            Err(give_up(failure, 1, None))
        }
        passing => Ok(passing),
    }
}

fn give_up(failure: Failure, attempts: u32, after: Option<Duration>) -> CallError {
    match failure {
        Failure::Final(error) => error,
        Failure::Silent(source) => CallError::Unreachable { attempts, source },
        Failure::Token(error) => CallError::Token(error),
        Failure::Answered { status, verdict } => match verdict {
            Verdict::Throttled { reason, .. } => CallError::Throttled { attempts, after, reason },
            Verdict::Transient { reason, .. } => CallError::Failing { attempts, status, reason },
            Verdict::Unauthorized { reason, message } => {
                CallError::Refused(Refusal { status, kind: RefusalKind::Unauthorized, reason, message })
            }
            Verdict::Refused { kind, reason, message } => {
                CallError::Refused(Refusal { status, kind, reason, message })
            }
        },
    }
}

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
