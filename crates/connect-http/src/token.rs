//! Tokens: fetched when needed, shared until shortly before their end.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use model::Redacted;
use ports::Clock;

/// A secret that a server takes for a while.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent.
    pub secret: Redacted<String>,
    /// For how long it is good, from when it was asked for.
    pub valid_for: Duration,
}

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The issuer refuses: asking again changes nothing until a person does.
    #[error("no token is given for {subject}: {reason}{}{message}", if message.is_empty() { "" } else { ": " })]
    Refused {
        /// For whom it was asked.
        subject: String,
        /// The issuer's word for it.
        reason: String,
        /// The issuer's explanation.
        message: String,
    },
    /// The issuer cannot be asked now.
    #[error("the issuer of tokens cannot be asked")]
    Unreachable {
        /// What asking answered.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The key that tokens are asked for with is none.
    #[error("the credential is unusable: {detail}")]
    Credential {
        /// What is wrong with it; never its content.
        detail: String,
    },
}

impl TokenError {
    /// Tells whether asking again may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Where tokens come from.
pub trait TokenSource: Send + Sync {
    /// Asks for a token for a subject that is good for all these scopes, which are sorted.
    fn fetch(&self, subject: &str, scopes: &[String]) -> Result<Token, TokenError>;
}

/// Whose rights a call needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    subject: String,
    scopes: Vec<String>,
}

impl Access {
    /// Names a subject and scopes; their order does not matter.
    pub fn new(subject: impl Into<String>, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        scopes.sort();
        scopes.dedup();
        Self { subject: subject.into(), scopes }
    }

    /// Returns whose rights they are.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the scopes, sorted.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

/// Entries are looked through for expired ones when there are twice as many as after the last time.
const SWEEP_MIN: usize = 64;

/// Keeps one token for each access, and fetches each but once at a time.
pub struct TokenCache {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    margin: Duration,
    slots: Mutex<Slots>,
}

struct Slots {
    by_access: HashMap<Access, Arc<Slot>>,
    sweep_at: usize,
}

#[derive(Default)]
struct Slot {
    /// How many fetches have ended: who waited for one takes its result.
    fetches: AtomicU64,
    /// Held while fetching.
    held: Mutex<Held>,
}

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Token {
        secret: Redacted<String>,
        /// When it is no longer handed out.
        ends: Duration,
    },
    Failed(TokenError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenCache {
    /// Makes an empty cache. Tokens are renewed this long before their end, and no sooner than after half their life.
    pub fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>, margin: Duration) -> Self {
        let slots = Mutex::new(Slots { by_access: HashMap::new(), sweep_at: SWEEP_MIN });
        Self { source, clock, margin, slots }
    }

    /// Returns a token that is good now, fetching one when there is none. Whoever asks meanwhile waits for it, and
    /// takes its error too.
    pub fn get(&self, access: &Access) -> Result<Redacted<String>, TokenError> {
        let slot = self.slot(access);
        let before = slot.fetches.load(Ordering::SeqCst);
        let mut held = lock(&slot.held);
        let waited = slot.fetches.load(Ordering::SeqCst) != before;
        match &*held {
            Held::Token { secret, ends } if self.clock.elapsed() < *ends => return Ok(secret.clone()),
            Held::Failed(error) if waited => return Err(error.clone()),
            _ => {}
        }
        let asked = self.clock.elapsed();
        let fetched = self.source.fetch(&access.subject, &access.scopes);
        slot.fetches.fetch_add(1, Ordering::SeqCst);
        match fetched {
            Ok(token) => {
                let margin = self.margin.min(token.valid_for / 2);
                let ends = asked.saturating_add(token.valid_for.saturating_sub(margin));
                *held = Held::Token { secret: token.secret.clone(), ends };
                Ok(token.secret)
            }
            Err(error) => {
                *held = Held::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Forgets a token that a server did not take. A newer one, which another thread fetched meanwhile, stays.
    pub fn invalidate(&self, access: &Access, secret: &Redacted<String>) {
        let slot = self.slot(access);
        let mut held = lock(&slot.held);
        if matches!(&*held, Held::Token { secret: current, .. } if current == secret) {
            *held = Held::Nothing;
        }
    }

    fn slot(&self, access: &Access) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.by_access.get(access) {
            return Arc::clone(slot);
        }
        if slots.by_access.len() >= slots.sweep_at {
            let now = self.clock.elapsed();
            slots.by_access.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_good(now));
            slots.sweep_at = (2 * slots.by_access.len()).max(SWEEP_MIN);
        }
        let slot = Arc::new(Slot::default());
        slots.by_access.insert(access.clone(), Arc::clone(&slot));
        slot
    }
}

impl Slot {
    fn is_good(&self, now: Duration) -> bool {
        matches!(&*lock(&self.held), Held::Token { ends, .. } if now < *ends)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", lock(&self.slots).by_access.len())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use model::Moment;
    use ports::ManualClock;

    use super::*;

    /// Gives `subject/n`, or fails as long as it is told to.
    #[derive(Default)]
    struct Issuer {
        asked: AtomicU64,
        failing: Mutex<Option<TokenError>>,
        slow: bool,
    }

    impl TokenSource for Issuer {
        fn fetch(&self, subject: &str, scopes: &[String]) -> Result<Token, TokenError> {
            assert!(scopes.is_sorted());
            if self.slow {
                // Long enough for others to come and wait; nothing depends on how long.
                (0..2000).for_each(|_| thread::yield_now());
            }
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            match &*lock(&self.failing) {
                Some(error) => Err(error.clone()),
                None => Ok(Token {
                    secret: Redacted::new(format!("{subject}/{number}")),
                    valid_for: Duration::from_hours(1),
                }),
            }
        }
    }

    fn cache(issuer: &Arc<Issuer>) -> (TokenCache, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        let source = Arc::clone(issuer) as Arc<dyn TokenSource>;
        (TokenCache::new(source, Arc::clone(&clock) as Arc<dyn Clock>, Duration::from_mins(5)), clock)
    }

    fn access(subject: &str) -> Access {
        Access::new(subject, ["b", "a", "b"])
    }

    #[test]
    fn a_token_is_shared_until_shortly_before_its_end() {
        let issuer = Arc::new(Issuer::default());
        let (cache, clock) = cache(&issuer);
        assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/0");
        assert_eq!(cache.get(&Access::new("anna", ["a", "b"])).unwrap().expose(), "anna/0");
        assert_eq!(cache.get(&Access::new("anna", ["a"])).unwrap().expose(), "anna/1");
        assert_eq!(cache.get(&access("berta")).unwrap().expose(), "berta/2");
        clock.advance_micros(3_299_000_000);
        assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/0");
        clock.advance_micros(1_000_000);
        assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/3");
        // A clock that is set back or forth changes nothing.
        clock.jump_micros(7_200_000_000);
        assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/3");
    }

    #[test]
    fn only_the_token_that_was_not_taken_is_forgotten() {
        let issuer = Arc::new(Issuer::default());
        let (cache, _) = cache(&issuer);
        let first = cache.get(&access("anna")).unwrap();
        cache.invalidate(&access("anna"), &first);
        let second = cache.get(&access("anna")).unwrap();
        cache.invalidate(&access("anna"), &first);
        assert_eq!(cache.get(&access("anna")).unwrap(), second);
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn many_threads_fetch_once() {
        let issuer = Arc::new(Issuer { slow: true, ..Issuer::default() });
        let (cache, _) = cache(&issuer);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/0"));
            }
        });
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_refusal_is_told_and_asked_for_again_later() {
        let issuer = Arc::new(Issuer::default());
        let (cache, _) = cache(&issuer);
        let refused = TokenError::Refused {
            subject: "anna".to_owned(),
            reason: "unauthorized_client".to_owned(),
            message: String::new(),
        };
        *lock(&issuer.failing) = Some(refused);
        let error = cache.get(&access("anna")).unwrap_err();
        assert_eq!(error.to_string(), "no token is given for anna: unauthorized_client");
        assert!(!error.is_passing());
        *lock(&issuer.failing) = None;
        assert_eq!(cache.get(&access("anna")).unwrap().expose(), "anna/1");
    }

    #[test]
    fn expired_tokens_are_forgotten() {
        let issuer = Arc::new(Issuer::default());
        let (cache, clock) = cache(&issuer);
        for number in 0..5000 {
            cache.get(&access(&number.to_string())).unwrap();
            clock.advance_micros(100_000_000);
        }
        assert!(lock(&cache.slots).by_access.len() <= 2 * SWEEP_MIN);
        let shown = format!("{cache:?} {:?}", cache.get(&access("1")));
        assert!(!shown.contains("1/"), "{shown}");
    }
}
