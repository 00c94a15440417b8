//! What a monitoring system is told, in the text form of OpenMetrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use access::Permission;
use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use model::Moment;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use service::overview::{Overview, SourceOverview};

use crate::{problem::Problem, site::Site, visitor::Caller};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    source: String,
    pool: String,
}

type PoolGauge = Family<PoolLabels, Gauge<i64, AtomicI64>>;
type SourceGauge = Family<SourceLabels, Gauge<i64, AtomicI64>>;

/// The counters and gauges of a site.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    newest_moment_age: SourceGauge,
    lock_floor_days: SourceGauge,
    unreadable: SourceGauge,
    quota_used: PoolGauge,
    quota_limit: PoolGauge,
    quota_refused: PoolGauge,
    quota_waited: PoolGauge,
    open_incidents: Gauge,
    protection_tier: Gauge,
    pub(crate) overview_failures: Counter<u64, AtomicU64>,
    telemetry_dropped: Counter<u64, AtomicU64>,
}

/// From a page out of memory to a search that takes too long.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("unwipe");
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Histogram::new(SECONDS),
            newest_moment_age: Family::default(),
            lock_floor_days: Family::default(),
            unreadable: Family::default(),
            quota_used: Family::default(),
            quota_limit: Family::default(),
            quota_refused: Family::default(),
            quota_waited: Family::default(),
            open_incidents: Gauge::default(),
            protection_tier: Gauge::default(),
            overview_failures: Counter::default(),
            telemetry_dropped: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests that were answered", metrics.requests.clone());
        let seconds = metrics.request_seconds.clone();
        registry.register("request_seconds", "How long answering took", seconds);
        let age = metrics.newest_moment_age.clone();
        registry.register("newest_moment_age_seconds", "Age of the newest restorable moment", age);
        let floor = metrics.lock_floor_days.clone();
        registry.register("lock_floor_days", "Least remaining lock over all that a source needs", floor);
        let unreadable = metrics.unreadable.clone();
        registry.register(
            "unreadable_items",
            "Items of the newest commits that could not be read",
            unreadable,
        );
        metrics.register_quota(&mut registry);
        let incidents = metrics.open_incidents.clone();
        registry.register("open_incidents", "Incidents that wait for somebody", incidents);
        let tier = metrics.protection_tier.clone();
        registry.register("protection_tier", "What the vault's place enforces, 0 to 4", tier);
        let failures = metrics.overview_failures.clone();
        registry.register("overview_failures", "Looks at the installation that failed", failures);
        let dropped = metrics.telemetry_dropped.clone();
        registry.register("telemetry_dropped", "Spans that never reached the collector", dropped);
        Self { registry, ..metrics }
    }

    fn register_quota(&self, registry: &mut Registry) {
        let gauges = [
            ("quota_used", "Units or bytes used of a pool's limit, of its fullest bucket", &self.quota_used),
            ("quota_limit", "Units or bytes of a pool that unwipe allows itself", &self.quota_limit),
            ("quota_refused", "Calls of the last 24 hours that the service refused", &self.quota_refused),
            ("quota_waited_seconds", "Waits for quota in the last 24 hours, summed", &self.quota_waited),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn observe_quota(&self, source: &SourceOverview) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for used in source.quota.iter().flat_map(|report| &report.uses) {
            let labels = PoolLabels { source: source.name.to_string(), pool: used.name.clone() };
            self.quota_used.get_or_create(&labels).set(number(used.used));
            self.quota_limit.get_or_create(&labels).set(number(used.limit));
            if let Some(of_late) = used.of_late {
                self.quota_refused.get_or_create(&labels).set(number(of_late.refused));
                self.quota_waited.get_or_create(&labels).set(number(of_late.waited_ms / 1000));
            }
        }
    }

    pub(crate) fn request(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = known_method(method).unwrap_or("other").to_owned();
        self.requests.get_or_create(&RequestLabels { method, status: status.as_u16() }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn observe(&self, overview: &Overview, now: Moment) {
        self.open_incidents.set(i64::try_from(overview.open_incidents).unwrap_or(i64::MAX));
        self.protection_tier.set(i64::from(overview.vault.tier));
        for source in &overview.sources {
            let labels = SourceLabels { source: source.name.to_string() };
            if let Some(at) = source.newest_moment {
                self.newest_moment_age.get_or_create(&labels).set(now.micros_since(at) / 1_000_000);
            }
            if let Some(floor) = &source.floor {
                self.lock_floor_days.get_or_create(&labels).set(i64::from(floor.days_left));
            }
            let unreadable = i64::try_from(source.unreadable).unwrap_or(i64::MAX);
            self.unreadable.get_or_create(&labels).set(unreadable);
            self.observe_quota(source);
        }
    }
}

/// Returns a method's name. One that nobody knows is somebody's text: it is no label, and is told to no collector.
pub(crate) fn known_method(method: &Method) -> Option<&'static str> {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    known.into_iter().find(|name| method.as_str() == *name)
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(site): State<Arc<Site>>, Caller(caller): Caller) -> Result<Response, Problem> {
    caller.require(Permission::See)?;
    site.metrics.telemetry_dropped.inner().store(site.ports.tracing.dropped(), Ordering::Relaxed);
    let mut text = String::new();
    encode(&mut text, &site.metrics.registry)
        .map_err(|error| Problem::of(StatusCode::INTERNAL_SERVER_ERROR, &error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
