//! Faults on demand: the nth call of a kind, or a share of them drawn from the seed.

use std::time::Duration;

use crate::{refusal::Refusal, text};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An answer of 500, 502, 503 or 504, and the call is not carried out.
    Backend(u16),
    /// 429 instead of carrying out, with `Retry-After` in seconds if there is one.
    TooMany(Option<u64>),
    /// 403 `userRateLimitExceeded` instead of carrying out.
    UserRate,
    /// 404 `notFound`, as Gmail says that a history has expired.
    HistoryExpired,
    /// 410 with this reason, as Calendar says that a token has expired: `fullSyncRequired`.
    Gone(&'static str),
    /// 401, and the token is good no longer.
    TokenExpired,
    /// The call is carried out; of its answer only so many bytes arrive.
    Truncated(usize),
    /// The call is carried out; a bit of this byte of its answer is wrong. A position behind the end counts on from the
    /// beginning.
    Spoilt(u64),
    /// The connection ends, and the call is not carried out.
    Reset,
    /// The call is carried out, and the connection ends before the answer.
    Lost,
    /// The call is carried out, and its answer comes this much later, in real time.
    Slow(Duration),
    /// The call is carried out as if its body had the second text wherever it has the first.
    Reworded(&'static str, &'static str),
}

/// Which of the calls that match meet the fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// The nth from now on, counted from 1.
    Nth(u64),
    /// The first so many from now on.
    First(u64),
    /// All.
    Always,
    /// Each with this probability between 0 and 1, drawn from the seed.
    Rate(f64),
}

/// A fault that waits for its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The method, in which a star stands for anything: `gmail.users.messages.*`.
    pub method: String,
    /// The mail address of the user, if only one user's calls are meant.
    pub user: Option<String>,
    /// Which of these calls.
    pub when: When,
    /// What happens to them.
    pub effect: Effect,
}

impl Fault {
    /// Makes a fault for calls of all users.
    pub fn new(method: &str, when: When, effect: Effect) -> Self {
        Self { method: method.to_owned(), user: None, when, effect }
    }
}

/// The faults of a domain. The first that applies to a call is served.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Waiting>,
    served: u64,
}

#[derive(Debug)]
struct Waiting {
    fault: Fault,
    seen: u64,
    served: u64,
}

impl Faults {
    /// Adds a fault and returns its number, by which [`Faults::served_by`] counts.
    pub(crate) fn add(&mut self, fault: Fault) -> usize {
        self.waiting.push(Waiting { fault, seen: 0, served: 0 });
        self.waiting.len() - 1
    }

    /// Lifts all faults; their counts stay.
    pub(crate) fn lift(&mut self) {
        for waiting in &mut self.waiting {
            waiting.fault.when = When::First(0);
        }
    }

    /// Returns how many calls met this fault.
    pub(crate) fn served_by(&self, number: usize) -> u64 {
        self.waiting.get(number).map_or(0, |waiting| waiting.served)
    }

    /// Returns how many calls met any fault.
    pub(crate) const fn served(&self) -> u64 {
        self.served
    }

    /// Returns what happens to this call.
    pub(crate) fn meet(&mut self, seed: u64, method: &str, user: &str) -> Option<Effect> {
        for (number, waiting) in self.waiting.iter_mut().enumerate() {
            let fault = &waiting.fault;
            if !text::matches(&fault.method, method) || fault.user.as_deref().is_some_and(|own| own != user) {
                continue;
            }
            waiting.seen += 1;
            let meets = match fault.when {
                When::Nth(nth) => waiting.seen == nth,
                When::First(count) => waiting.seen <= count,
                When::Always => true,
                When::Rate(rate) => {
                    let drawn = text::mixed(seed ^ text::mixed(waiting.seen ^ ((number as u64) << 40)));
                    ((drawn >> 11) as f64 / (1_u64 << 53) as f64) < rate
                }
            };
            if meets {
                waiting.served += 1;
                self.served += 1;
                return Some(waiting.fault.effect.clone());
            }
        }
        None
    }
}

impl Effect {
    /// Returns the answer that takes the call's place, if it is not carried out but answered.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Backend(code) => Some(Refusal::backend(*code)),
            Self::TooMany(seconds) => {
                let mut refusal = Refusal::too_many("Too many concurrent requests for user");
                refusal.retry_after = *seconds;
                Some(refusal)
            }
            Self::UserRate => Some(Refusal::user_rate()),
            Self::HistoryExpired => Some(Refusal::not_found()),
            Self::Gone(reason) => {
                Some(Refusal::gone(reason, "Sync token is no longer valid, a full sync is required."))
            }
            Self::TokenExpired => Some(Refusal::credentials()),
            Self::Truncated(_)
            | Self::Spoilt(_)
            | Self::Reset
            | Self::Lost
            | Self::Slow(_)
            | Self::Reworded(..) => None,
        }
    }
}

/// Puts a text in place of another wherever that stands in a body.
pub(crate) fn reworded(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (mut rest, mut all) = (body, Vec::with_capacity(body.len()));
    while let Some(at) = rest.windows(from.len().max(1)).position(|window| window == from.as_bytes()) {
        all.extend_from_slice(&rest[..at]);
        all.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    all.extend_from_slice(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_of_a_kind_meets_its_fault_and_is_counted() {
        let mut faults = Faults::default();
        let nth = faults.add(Fault::new("gmail.*.get", When::Nth(2), Effect::Backend(503)));
        let own = faults
            .add(Fault { user: Some("ben".to_owned()), ..Fault::new("*", When::First(1), Effect::Reset) });
        let mut meet = |method, user| faults.meet(1, method, user);
        assert_eq!(meet("gmail.messages.get", "anna"), None);
        assert_eq!(meet("gmail.messages.list", "anna"), None);
        assert_eq!(meet("gmail.messages.get", "ben"), Some(Effect::Backend(503)));
        assert_eq!(meet("gmail.messages.list", "ben"), Some(Effect::Reset));
        assert_eq!(meet("gmail.messages.list", "ben"), None);
        assert_eq!((faults.served_by(nth), faults.served_by(own), faults.served()), (1, 1, 2));
    }

    #[test]
    fn a_text_is_replaced_wherever_it_stands() {
        assert_eq!(reworded(b"a calm sea, calm", "calm", "rough"), b"a rough sea, rough");
        assert_eq!(reworded(b"", "calm", "rough"), b"");
    }

    #[test]
    fn a_rate_meets_its_share_of_the_calls_the_same_ones_for_a_seed() {
        let met = |seed| {
            let mut faults = Faults::default();
            faults.add(Fault::new("*", When::Rate(0.2), Effect::Backend(500)));
            (0..1000).map(|_| faults.meet(seed, "a", "b").is_some()).collect::<Vec<_>>()
        };
        let count = met(7).iter().filter(|met| **met).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(met(7), met(7));
        assert_ne!(met(7), met(8));
    }
}
