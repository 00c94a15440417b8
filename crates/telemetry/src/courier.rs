//! The thread that sends.

use std::{io::Read as _, sync::Arc};

use connect_http::{Request, Response, Transport, http::StatusCode};
use ports::span::Spans as _;
use prost::Message as _;

use crate::{
    queue::Queue,
    wire::{Answer, Encoder},
};

/// An answer has nothing to say that is longer.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

pub(crate) struct Courier {
    pub(crate) queue: Arc<Queue>,
    pub(crate) encoder: Encoder,
    /// What is sent each time, but for its body.
    pub(crate) request: Request,
    /// Where it goes, for people.
    pub(crate) collector: String,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) tell: Box<dyn Fn(String) + Send>,
    pub(crate) failing: bool,
}

/// Why a batch did not arrive.
struct Refusal {
    reason: String,
    /// Whether the same batch may arrive later.
    transient: bool,
}

impl Courier {
    /// Carries spans until it is time to end.
    pub(crate) fn carry(&mut self) {
        while let Some(batch) = self.queue.batch() {
            self.request.body = self.encoder.encode(&batch);
            if !self.deliver(batch.len() as u64) {
                return self.queue.clear();
            }
        }
    }

    /// Sends one batch until it has arrived or is refused for good; returns whether to go on.
    fn deliver(&mut self, count: u64) -> bool {
        loop {
            match self.send() {
                Ok(rejected) => {
                    self.queue.drop_spans(rejected.min(count));
                    self.works();
                    return true;
                }
                Err(refusal) => {
                    self.fails(&refusal.reason);
                    if !refusal.transient {
                        self.queue.drop_spans(count);
                        return true;
                    }
                    if self.queue.rest() {
                        self.queue.drop_spans(count);
                        return false;
                    }
                }
            }
        }
    }

    /// Sends once; returns how many spans the collector did not want.
    fn send(&self) -> Result<u64, Refusal> {
        let sent = self.transport.send(&self.request);
        let response = sent.map_err(|error| Refusal { reason: reasons(&error), transient: true })?;
        let status = response.status;
        if status.is_success() {
            return Ok(rejected(response));
        }
        // These four may be repeated, says the protocol; other answers to the same request stay the same.
        let transient = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Refusal { reason: format!("it answers {status}"), transient })
    }

    fn fails(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            (self.tell)(format!(
                "the collector at {} takes no spans: {reason}; all else goes on, and what it misses is counted",
                self.collector
            ));
        }
    }

    fn works(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            (self.tell)(format!(
                "the collector at {} takes spans again; {} were dropped so far",
                self.collector,
                self.queue.dropped()
            ));
        }
    }
}

/// Returns how many spans an answer rejects. One that is no answer of the protocol rejects none: the status counts.
fn rejected(response: Response) -> u64 {
    let mut bytes = Vec::new();
    if response.body.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).is_err() {
        return 0;
    }
    let answer = Answer::decode(bytes.as_slice()).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).unwrap_or(0)
}

fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
