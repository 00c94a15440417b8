//! When to try again: truncated exponential waits with full jitter, and what the server asks for.

use std::{fmt, time::Duration};

use model::Moment;
use ports::{Clock, Random};
use serde::{Deserialize, Serialize};
use ureq::http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

/// How often and how long something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySettings {
    /// How many times at most, the first one included.
    pub attempts: u32,
    /// The longest wait after the first attempt; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest wait between two attempts, unless the server asks for more.
    pub delay_max: Duration,
    /// For how long the attempts and the waits between them may go on altogether.
    pub patience: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts: 8,
            first_delay: Duration::from_secs(1),
            delay_max: Duration::from_secs(64),
            patience: Duration::from_mins(10),
        }
    }
}

/// The attempts of one call.
pub struct Retry<'a> {
    settings: &'a RetrySettings,
    clock: &'a dyn Clock,
    random: &'a dyn Random,
    started: Duration,
    made: u32,
}

/// What to do after an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this wait.
    Wait(Duration),
    /// Enough were made.
    Exhausted,
    /// The wait would last longer than patience does; it would have to be this long.
    TooLate(Duration),
}

impl<'a> Retry<'a> {
    /// Begins with the first attempt, now.
    pub fn begin(settings: &'a RetrySettings, clock: &'a dyn Clock, random: &'a dyn Random) -> Self {
        Self { settings, clock, random, started: clock.elapsed(), made: 1 }
    }

    /// Returns how many attempts were made.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.made
    }

    /// Counts a failed attempt and says what is next. `after` is how long the server asks to wait at least.
    pub fn failed(&mut self, after: Option<Duration>) -> Next {
        let longest = self
            .settings
            .first_delay
            .saturating_mul(1_u32.checked_shl(self.made - 1).unwrap_or(u32::MAX))
            .min(self.settings.delay_max);
        let wait = match after {
            // Everybody was asked to wait equally long; nobody should come back at the same time.
            Some(after) => after.saturating_add(self.jitter(self.settings.first_delay)),
            None => self.jitter(longest),
        };
        let spent = self.clock.elapsed().saturating_sub(self.started);
        if after.is_some_and(|after| spent.saturating_add(after) > self.settings.patience) {
            return Next::TooLate(wait);
        }
        if self.made >= self.settings.attempts || spent.saturating_add(wait) > self.settings.patience {
            return Next::Exhausted;
        }
        self.made += 1;
        Next::Wait(wait)
    }

    /// Returns a random part of the span.
    fn jitter(&self, span: Duration) -> Duration {
        let mut chance = [0; 4];
        self.random.fill(&mut chance);
        span.mul_f64(f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX))
    }
}

impl fmt::Debug for Retry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of {}", self.made, self.settings.attempts)
    }
}

/// Returns how long a server asks to wait, in seconds or until a date. A date is compared with the server's own clock
/// where it tells it, and with `now` otherwise.
pub fn retry_after(headers: &HeaderMap, now: Moment) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?;
    let server = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
    let micros = until.micros_since(server.unwrap_or(now));
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// Reads a date of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn http_date(text: &str) -> Option<Moment> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u8 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    let year: u16 = parts.next()?.parse().ok()?;
    let time = parts.next()?;
    if parts.next() != Some("GMT") || parts.next().is_some() || time.len() != 8 {
        return None;
    }
    format!("{year:04}-{month:02}-{day:02}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use ports::{ManualClock, SeededRandom};
    use ureq::http::HeaderValue;

    use super::*;

    const SETTINGS: RetrySettings = RetrySettings {
        attempts: 6,
        first_delay: Duration::from_secs(1),
        delay_max: Duration::from_secs(5),
        patience: Duration::from_mins(1),
    };

    fn clock() -> ManualClock {
        ManualClock::new("2026-04-25T14:00:00Z".parse().unwrap())
    }

    #[test]
    fn waits_double_up_to_a_limit_and_are_spread_over_the_whole_of_it() {
        let (clock, random) = (clock(), SeededRandom::new(1));
        let mut longest = [Duration::ZERO; 5];
        for _ in 0..500 {
            let mut retry = Retry::begin(&SETTINGS, &clock, &random);
            for longest in &mut longest {
                let Next::Wait(wait) = retry.failed(None) else { panic!("it gave up") };
                *longest = wait.max(*longest);
            }
            assert_eq!(retry.failed(None), Next::Exhausted);
            assert_eq!(retry.attempts(), 6);
        }
        for (longest, bound) in longest.iter().zip([1.0, 2.0, 4.0, 5.0, 5.0]) {
            let longest = longest.as_secs_f64();
            assert!(longest <= bound && longest > 0.95 * bound, "{longest} of {bound}");
        }
    }

    #[test]
    fn patience_ends_the_attempts() {
        let (clock, random) = (clock(), SeededRandom::new(1));
        let mut retry = Retry::begin(&SETTINGS, &clock, &random);
        clock.advance_micros(60_000_001);
        assert_eq!(retry.failed(None), Next::Exhausted);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_or_named() {
        let (clock, random) = (clock(), SeededRandom::new(1));
        let mut retry = Retry::begin(&SETTINGS, &clock, &random);
        let asked = Duration::from_secs(30);
        let Next::Wait(wait) = retry.failed(Some(asked)) else { panic!("it gave up") };
        assert!(wait >= asked && wait <= Duration::from_secs(31));
        let Next::TooLate(wait) = retry.failed(Some(Duration::from_secs(61))) else { panic!("it goes on") };
        assert!(wait >= Duration::from_secs(61));
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let now = "2026-04-25T14:00:00Z".parse().unwrap();
        let headers = |pairs: &[(ureq::http::HeaderName, &'static str)]| {
            pairs
                .iter()
                .map(|(name, text)| (name.clone(), HeaderValue::from_static(text)))
                .collect::<HeaderMap>()
        };
        let of = |text| retry_after(&headers(&[(RETRY_AFTER, text)]), now);
        assert_eq!(of("17"), Some(Duration::from_secs(17)));
        assert_eq!(of("Sat, 25 Apr 2026 14:01:10 GMT"), Some(Duration::from_secs(70)));
        assert_eq!(of("Sat, 25 Apr 2026 13:00:00 GMT"), Some(Duration::ZERO));
        for bad in ["soon", "-1", "Sat, 25 Foo 2026 14:01:10 GMT", "Sat, 99 Apr 2026 14:01:10 GMT", "x, é"] {
            assert_eq!(retry_after(&headers(&[]), now), None);
            let value = HeaderValue::from_bytes(bad.as_bytes()).unwrap();
            assert_eq!(retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now), None, "{bad}");
        }
        // The server's clock is an hour behind ours.
        let skewed = headers(&[
            (RETRY_AFTER, "Sat, 25 Apr 2026 13:00:30 GMT"),
            (DATE, "Sat, 25 Apr 2026 13:00:00 GMT"),
        ]);
        assert_eq!(retry_after(&skewed, now), Some(Duration::from_secs(30)));
    }
}
