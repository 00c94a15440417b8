//! Calls that read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use connect::{QuotaMeter, QuotaUse, Stop};
use connect_http::{
    ANSWER_BYTES_MAX, Access, Batched, Call, CallError, Charge, Client, ClientParts, PoolSettings, Pools,
    Quota, RefusalKind, Request, RetrySettings, Taking, TokenCache, Transport, http::Method as Verb,
};
use ports::{Clock, Random};
use serde::de::DeserializeOwned;

use crate::{ApiError, Google, Method, Service};

/// The largest single answer that is taken: a message of 150 MB as base64, and some more.
const LARGE_BYTES_MAX: u64 = 256 << 20;

/// A call that reads something.
#[derive(Debug, Clone)]
pub struct Get {
    /// What is called.
    pub method: &'static Method,
    path: String,
    query: Vec<(&'static str, String)>,
    /// Whether the path is a whole address.
    is_link: bool,
}

impl Get {
    /// Makes a call of a method; `path` is what comes after the host, its parts escaped.
    pub fn new(method: &'static Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), is_link: false }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// What can be chosen about Google's APIs.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where all services are in place of Google's own addresses: a simulator, a proxy.
    pub address: Option<String>,
    /// Prices that differ from the published ones, by the method's name.
    pub units: BTreeMap<String, u64>,
    /// The pools of quota: `SERVICE/project` and `SERVICE/user`. A pool that is not named is not limited.
    pub pools: Pools,
    /// The units of a day that a service gives a project before it costs, by the service's name. One that is not named is
    /// not limited.
    pub daily: BTreeMap<String, u64>,
    /// How many calls travel in one batch.
    pub batch_calls: usize,
    /// How often calls are tried.
    pub retry: RetrySettings,
}

/// Published quotas, in units a minute: of the project, of a user in it.
const QUOTAS: [(Service, u64, u64); 5] = [
    (Service::Gmail, 1_200_000, 6000),
    (Service::Drive, 1_000_000, 325_000),
    (Service::Calendar, 10_000, 600),
    (Service::People, 3000, 90),
    (Service::Admin, 2400, 2400),
];

/// Published thresholds, in units a day of the project.
const DAILY: [(Service, u64); 2] = [(Service::Gmail, 80_000_000), (Service::Drive, 400_000_000)];

impl Default for ApiSettings {
    fn default() -> Self {
        let pool =
            |units| PoolSettings { units, per: Duration::from_mins(1), burst: units / 6, concurrent: None };
        let pools = QUOTAS.iter().flat_map(|&(service, project, user)| {
            [(project_pool(service), pool(project)), (user_pool(service), pool(user))]
        });
        Self {
            address: None,
            units: BTreeMap::new(),
            pools: pools.collect(),
            daily: DAILY.iter().map(|(service, units)| (service.name().to_owned(), *units)).collect(),
            batch_calls: 25,
            retry: RetrySettings::default(),
        }
    }
}

fn project_pool(service: Service) -> String {
    format!("{}/project", service.name())
}

fn user_pool(service: Service) -> String {
    format!("{}/user", service.name())
}

fn share(limit: u64, given: u64) -> Option<u64> {
    limit.saturating_mul(100).checked_div(given)
}

impl ApiSettings {
    /// Puts other units in the place of the published ones: `SERVICE/project` and `SERVICE/user` have units a minute,
    /// `SERVICE/day` units a day; 0 takes the limit away. A name that is none of these changes nothing.
    pub fn limit(&mut self, pool: &str, units: u64) {
        if let Some(service) = pool.strip_suffix("/day") {
            if units == 0 {
                self.daily.remove(service);
            } else if let Some(known) = self.daily.get_mut(service) {
                *known = units;
            }
        } else if units == 0 {
            self.pools.remove(pool);
        } else if let Some(known) = self.pools.get_mut(pool) {
            (known.units, known.burst) = (units, (units / 6).max(1));
        }
    }

    /// Says of each pool which share of what Google publishes it is, and adds what was taken of the days' thresholds.
    fn describe(&self, mut uses: Vec<QuotaUse>) -> Vec<QuotaUse> {
        let published = Self::default();
        for known in &mut uses {
            let given = published.pools.get(&known.name).map(|pool| pool.units);
            known.share_percent = given.and_then(|given| share(known.limit, given));
        }
        let days: Vec<QuotaUse> = self
            .daily
            .iter()
            .filter_map(|(service, limit)| {
                let project = format!("{service}/project");
                let its = uses.iter().find(|known| known.name == project)?;
                Some(QuotaUse {
                    name: format!("{service}/day"),
                    used: its.of_late?.day,
                    limit: *limit,
                    per_s: Some(86_400),
                    share_percent: published.daily.get(service).and_then(|given| share(*limit, *given)),
                    of_late: None,
                    ..its.clone()
                })
            })
            .collect();
        uses.extend(days);
        uses.sort_by(|one, other| one.name.cmp(&other.name));
        uses
    }

    /// Returns how much time must lie between the beginnings of two rounds of so many calls of a method, so that all
    /// rounds of a day take so many percent of the day's units at most.
    pub fn pause(&self, method: &Method, calls: u64, percent: u64) -> Duration {
        const DAY_MICROS: u128 = 86_400_000_000;
        let Some(daily) = self.daily.get(method.service.name()) else { return Duration::ZERO };
        let given = (u128::from(*daily) * u128::from(percent) / 100).max(1);
        let micros = u128::from(self.price(method)) * u128::from(calls) * DAY_MICROS;
        Duration::from_micros(u64::try_from(micros.div_ceil(given)).unwrap_or(u64::MAX))
    }

    fn price(&self, method: &Method) -> u64 {
        self.units.get(method.name).copied().unwrap_or(method.units)
    }

    /// Returns what a call in the name of a user is charged, pool by pool.
    pub fn charges(&self, subject: &str, method: &Method) -> Vec<Charge> {
        let units = self.price(method);
        let (project, user) = (project_pool(method.service), user_pool(method.service));
        let limited = |pool: &String| self.pools.contains_key(pool);
        let mut charges = Vec::new();
        if limited(&project) {
            charges.push(Charge::shared(project, units));
        }
        if limited(&user) {
            charges.push(Charge::of(user, subject, units));
        }
        charges
    }
}

/// What a reading client is made of.
pub struct ApiParts {
    /// What carries its calls.
    pub transport: Arc<dyn Transport>,
    /// Where its tokens come from.
    pub tokens: Arc<TokenCache>,
    /// The number under which an administrator grants it scopes.
    pub client_id: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// What ends every wait.
    pub stop: Stop,
}

/// Reads in the name of users. There is no call in it that changes anything.
pub struct ReadApi {
    pub(crate) client: Client,
    pub(crate) settings: ApiSettings,
    client_id: String,
}

impl ReadApi {
    /// Puts a client together.
    pub fn new(parts: ApiParts, settings: ApiSettings) -> Self {
        let client = Client::new(ClientParts {
            transport: parts.transport,
            vendor: Arc::new(Google),
            quota: Quota::new(settings.pools.clone(), Arc::clone(&parts.clock)),
            tokens: Some(parts.tokens),
            retry: settings.retry,
            clock: parts.clock,
            random: parts.random,
            stop: parts.stop,
        });
        Self { client, settings, client_id: parts.client_id }
    }

    /// Returns how many calls travel in one batch.
    pub const fn batch_calls(&self) -> usize {
        self.settings.batch_calls
    }

    /// Makes a call in the name of a user and reads its answer.
    pub fn get<T: DeserializeOwned>(&self, subject: &str, get: &Get) -> Result<T, ApiError> {
        self.client.json(&self.call(subject, get)).map_err(|error| self.error(error, get.method))
    }

    /// Makes calls to one service in the name of a user, in one batch. Each has an answer of its own, in the order of the
    /// calls; the error is the batch's.
    pub fn get_many(&self, subject: &str, gets: &[Get]) -> Result<Vec<Result<Vec<u8>, ApiError>>, ApiError> {
        let Some(first) = gets.first() else { return Ok(Vec::new()) };
        let service = first.method.service;
        let calls: Vec<Call> = gets.iter().map(|get| self.call(subject, get)).collect();
        let url = format!("{}/{}", self.address(service), service.batch_path());
        let envelope = Call::new(Request::post(url)).with(Access::new(subject, [first.method.scope]));
        let Batched { answers, broke } = self.client.batch(&envelope, &calls);
        match broke {
            // Together they are too large for one answer.
            Some(CallError::Body(_)) => return self.get_apart(subject, gets),
            Some(error) => return Err(self.error(error, first.method)),
            None => {}
        }
        let mut taken = Vec::with_capacity(gets.len());
        for (get, answer) in gets.iter().zip(answers) {
            taken.push(match answer {
                Some(Ok(response)) => response
                    .body
                    .bytes(ANSWER_BYTES_MAX)
                    .map_err(|error| self.error(CallError::Body(error), get.method)),
                // The token ended while the batch was under way; by itself a call gets a new one.
                Some(Err(error)) if error.is(RefusalKind::Unauthorized) => self.get_bytes(subject, get),
                Some(Err(error)) => Err(self.error(error, get.method)),
                None => self.get_bytes(subject, get),
            });
        }
        Ok(taken)
    }

    /// Makes calls in two smaller batches, or one of them by itself.
    fn get_apart(&self, subject: &str, gets: &[Get]) -> Result<Vec<Result<Vec<u8>, ApiError>>, ApiError> {
        if let [one] = gets {
            return match self.get_bytes(subject, one) {
                Err(ApiError::Stopped) => Err(ApiError::Stopped),
                answer => Ok(vec![answer]),
            };
        }
        let (left, right) = gets.split_at(gets.len() / 2);
        let mut answers = self.get_many(subject, left)?;
        answers.extend(self.get_many(subject, right)?);
        Ok(answers)
    }

    /// Makes a call in the name of a user and returns its answer, which may be large.
    pub fn get_bytes(&self, subject: &str, get: &Get) -> Result<Vec<u8>, ApiError> {
        let call = self.call(subject, get).taking(Taking::Whole(LARGE_BYTES_MAX));
        self.client
            .call(&call)
            .and_then(|response| response.body.bytes(LARGE_BYTES_MAX).map_err(CallError::Body))
            .map_err(|error| self.error(error, get.method))
    }

    /// Makes any number of calls to one service in the name of a user, in as many batches as it takes.
    pub fn get_all(&self, subject: &str, gets: &[Get]) -> Result<Vec<Result<Vec<u8>, ApiError>>, ApiError> {
        let mut answers = Vec::with_capacity(gets.len());
        for gets in gets.chunks(self.batch_calls().max(1)) {
            answers.extend(self.get_many(subject, gets)?);
        }
        Ok(answers)
    }

    /// Fetches what is open to whoever knows its address, as far as it has so many bytes at most; no token is sent there.
    /// `None` when the address, which an answer told, is none of Google's own: nothing is asked elsewhere.
    pub fn get_open(
        &self,
        method: &'static Method,
        url: &str,
        bytes_max: u64,
    ) -> Option<Result<Vec<u8>, ApiError>> {
        let get = self.link(method, url)?;
        let call = Call::new(self.request(&get)).taking(Taking::Whole(bytes_max));
        let answer = self
            .client
            .call(&call)
            .and_then(|response| response.body.bytes(bytes_max).map_err(CallError::Body))
            .map_err(|error| self.error(error, method));
        Some(answer)
    }

    /// Asks for something to be made ready. It is a `POST` with the reading scope: nothing of the user's is changed, and
    /// asking twice makes it ready twice.
    pub fn prepare<T: DeserializeOwned>(&self, subject: &str, get: &Get) -> Result<T, ApiError> {
        let mut call = self.call(subject, get);
        call.request.method = Verb::POST;
        self.client.json(&call).map_err(|error| self.error(error, get.method))
    }

    /// Makes a call of an address that an answer told; `None` when it is none of Google's own, to which no token may be
    /// shown.
    pub fn link(&self, method: &'static Method, url: &str) -> Option<Get> {
        let get = || Get { is_link: true, ..Get::new(method, url) };
        match &self.settings.address {
            Some(address) => url.strip_prefix(address)?.starts_with('/').then(get),
            None => is_googles(url).then(get),
        }
    }

    pub(crate) fn call(&self, subject: &str, get: &Get) -> Call {
        let method = get.method;
        let mut call = Call::new(self.request(get)).with(Access::new(subject, [method.scope]));
        for charge in self.settings.charges(subject, method) {
            call = call.charged(charge);
        }
        call
    }

    fn request(&self, get: &Get) -> Request {
        let url = if get.is_link { get.path.clone() } else { self.url(get.method.service, &get.path) };
        get.query.iter().fold(Request::get(url), |request, (name, value)| request.query(name, value))
    }

    pub(crate) fn url(&self, service: Service, path: &str) -> String {
        format!("{}/{path}", self.address(service))
    }

    fn address(&self, service: Service) -> &str {
        self.settings.address.as_deref().unwrap_or_else(|| service.address())
    }

    pub(crate) fn error(&self, error: CallError, method: &'static Method) -> ApiError {
        ApiError::of(error, method.name, &self.client_id, method.scope)
    }
}

impl QuotaMeter for ReadApi {
    fn quota_use(&self) -> Vec<QuotaUse> {
        self.settings.describe(self.client.parts().quota.uses())
    }
}

/// Tells whether an address is at a host of Google's that answers with users' content.
fn is_googles(url: &str) -> bool {
    const HOSTS: [&str; 4] = [".googleapis.com", ".google.com", ".googleusercontent.com", ".ggpht.com"];
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    plain && HOSTS.iter().any(|known| host.ends_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method;

    #[test]
    fn rounds_take_no_more_of_a_day_than_they_may() {
        let settings = ApiSettings::default();
        let pause = |drives, percent| settings.pause(&method::DRIVE_CHANGES_LIST, drives, percent);
        // 400,000,000 units a day are 4,000,000 calls.
        assert_eq!(pause(1, 100), Duration::from_micros(21_600));
        assert_eq!(pause(230, 100), Duration::from_millis(4968));
        assert_eq!(pause(10_000, 50), Duration::from_secs(432));
        assert_eq!(pause(0, 50), Duration::ZERO);
        assert_eq!(settings.pause(&method::EVENTS_LIST, 10_000, 50), Duration::ZERO, "not limited");
        let mut cheap = settings.clone();
        cheap.units.insert("drive.changes.list".to_owned(), 1);
        assert_eq!(cheap.pause(&method::DRIVE_CHANGES_LIST, 100, 100), Duration::from_micros(21_600));
        cheap.daily.insert("drive".to_owned(), 0);
        assert!(
            cheap.pause(&method::DRIVE_CHANGES_LIST, 1, 50) > Duration::from_hours(23),
            "none is almost none"
        );
    }

    #[test]
    fn what_was_said_counts_in_the_place_of_what_is_published() {
        let mut settings = ApiSettings::default();
        settings.limit("drive/day", 1000);
        settings.limit("gmail/day", 0);
        settings.limit("gmail/user", 15_000);
        settings.limit("people/user", 0);
        settings.limit("what/ever", 7);
        assert_eq!(settings.daily, BTreeMap::from([("drive".to_owned(), 1000)]));
        assert_eq!((settings.pools["gmail/user"].units, settings.pools["gmail/user"].burst), (15_000, 2500));
        assert!(!settings.pools.contains_key("people/user") && !settings.pools.contains_key("what/ever"));
    }

    #[test]
    fn a_token_is_shown_to_googles_own_hosts_alone() {
        for good in [
            "https://www.googleapis.com/download/x",
            "https://docs.google.com?x",
            "https://a.googleusercontent.com",
        ] {
            assert!(is_googles(good), "{good}");
        }
        for bad in [
            "http://www.googleapis.com/x",
            "https://www.googleapis.com@evil.example/x",
            "https://www.googleapis.com:8443/x",
            "https://evilgoogle.com/x",
            "https://evil.example/.google.com",
            "https://evil.example?.google.com",
            "https://evil.example\\.google.com",
            "//www.googleapis.com/x",
        ] {
            assert!(!is_googles(bad), "{bad}");
        }
    }
}
