//! `unwipe serve`: captures, watch, drills, locks, mirrors, pages and API in one process.

mod collector;
mod site;

use std::time::Duration;

use connect::{Stop, Urge};
use model::SourceName;
use ports::span::Outcome;
use serde::Serialize;
use server::Server;
use service::{
    Installation, Secrets,
    mirrors::MirrorRun,
    retention::{Retention, RetentionStatus},
    telemetry::PhasedWork,
};
use source_postgres::slot;
use vault::mirror::MirrorWatch;

use self::collector::Collector;
use crate::{
    arguments::{Capture, Serve},
    commands::{
        capture,
        drill::schedule::keep_drilling,
        head::while_witnessed,
        watching::{Urges, while_watched},
    },
    connectors::postgres::{self, PostgresConfig},
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::{Failure, outcome},
    output::counted,
};

const STOP_CHECK: Duration = Duration::from_millis(200);
const MIRROR_THREADS: usize = 2;
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_hours(1);

#[derive(Serialize)]
struct Served {
    sources: Vec<SourceName>,
    restarts: u64,
    /// Where pages and API were.
    address: Option<String>,
}

/// Does everything until asked to stop. Each source is captured on a thread of its own; one that fails begins again and
/// does not disturb the others.
pub(crate) fn run(context: &Context, options: &Serve) -> Result<Exit, Failure> {
    let stop = stop_on_signals()?;
    let collector = Collector::start(context, &context.installation()?);
    let served = serve_told(&context.traced_by(collector.tracing()), options, &stop);
    collector.stop();
    let served = served?;
    context.output.result(&served, || format!("stopped; {}\n", counted(served.restarts, "restart")))?;
    Ok(Exit::Done)
}

/// Does everything until asked to stop, while a collector is told what is done.
fn serve_told(context: &Context, options: &Serve, stop: &Stop) -> Result<Served, Failure> {
    let installation = context.installation()?;
    let names: Vec<SourceName> = installation.config().sources.keys().cloned().collect();
    let retry = Duration::from_secs(options.retry_s);
    let (address, restarts) = while_watched(context, installation, |installation, urges| {
        let server = pages(context, installation, urges, options)?;
        let address = server.as_ref().map(|server| server.address().to_string());
        announce(context, installation, options, address.as_deref());
        let captured = if options.no_capture { &Urges::new() } else { urges };
        let restarts =
            while_witnessed(context, installation, || serve(context, installation, captured, retry, stop));
        if let Some(server) = server {
            server.stop().map_err(site::failed)?;
        }
        Ok((address, restarts))
    })?;
    Ok(Served { sources: names, restarts, address })
}

/// Starts answering pages. Captures are worth more than pages: where another process has the usual address, that is said,
/// and the captures go on.
fn pages(
    context: &Context,
    installation: &Installation,
    urges: &Urges,
    options: &Serve,
) -> Result<Option<Server>, Failure> {
    if options.no_pages {
        return Ok(None);
    }
    match site::start(context, installation, urges, options.listen.as_deref())? {
        Ok(server) => Ok(Some(server)),
        Err(error) if error.is_taken() && options.listen.is_none() => {
            context.output.say(format!(
                "no pages and no API: another process listens on {}; --listen 127.0.0.1:0 takes any port that is free",
                installation.config().server.listen
            ));
            Ok(None)
        }
        Err(error) => Err(site::failed(error)),
    }
}

fn announce(context: &Context, installation: &Installation, options: &Serve, address: Option<&str>) {
    let config = installation.config();
    match (options.no_capture, config.sources.len()) {
        (true, _) => context.output.say("capturing nothing; end with Ctrl-C"),
        (false, 0) => context
            .output
            .say("no source is configured yet (unwipe protect NAME postgres --url URL); end with Ctrl-C"),
        (false, sources) => {
            context.output.say(format!("capturing {}; end with Ctrl-C", counted(sources as u64, "source")));
        }
    }
    if let Some(address) = address {
        context.output.say(format!("pages and API on {address}; people open {}", config.server.origin));
    }
}

/// Does everything until asked to stop; returns how often captures had to begin again.
fn serve(context: &Context, installation: &Installation, urges: &Urges, retry: Duration, stop: &Stop) -> u64 {
    std::thread::scope(|scope| {
        let threads: Vec<_> = urges
            .iter()
            .map(|(name, urge)| {
                scope.spawn(move || keep_capturing(context, installation, (name, urge), retry, stop))
            })
            .collect();
        scope.spawn(move || keep_renewing(context, installation, stop));
        scope.spawn(move || keep_mirroring(context, installation, stop));
        scope.spawn(move || keep_drilling(context, installation, stop));
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    })
}

/// Captures one source again and again until asked to stop; returns how often it had to begin again.
fn keep_capturing(
    context: &Context,
    installation: &Installation,
    (name, urge): (&SourceName, &Urge),
    retry: Duration,
    stop: &Stop,
) -> u64 {
    let mut restarts = 0;
    while !stop.is_requested() {
        let following = Capture { source: name.to_string(), once: false, base: false };
        let mut work = context.ports.tracing.begin("capture");
        work.name("unwipe.source", name);
        let result = capture::reader(context, installation, name, &following, urge.clone())
            .and_then(|mut reader| capture::capture(context, installation, name, &mut *reader, stop));
        work.end(outcome(&result));
        let Err(failure) = result else { continue };
        for line in failure.lines() {
            context.output.say(format!("{name}: {line}"));
        }
        restarts += 1;
        spare_production(context, installation, name);
        pause(context, retry, stop);
    }
    restarts
}

/// Waits, but no longer than until somebody asks to stop.
fn pause(context: &Context, interval: Duration, stop: &Stop) {
    let until = context.clock().elapsed() + interval;
    while context.clock().elapsed() < until && !stop.is_requested() {
        context.clock().sleep(STOP_CHECK);
    }
}

/// Renews locks every hour, and says so when the floor of a source sinks or a clock is wrong.
fn keep_renewing(context: &Context, installation: &Installation, stop: &Stop) {
    while !stop.is_requested() {
        let work = PhasedWork::new(context.ports.tracing.begin("retention"));
        let renewed = Retention::open(installation, &environment)
            .and_then(|retention| retention.renew(&work))
            .map_err(Failure::from);
        work.end(outcome(&renewed), |work| {
            let Ok((report, _)) = &renewed else { return };
            work.number("unwipe.retention.objects", report.objects);
            work.number("unwipe.retention.renewed", report.renewed);
            work.number("unwipe.retention.failures", report.failures.len() as u64);
        });
        match renewed {
            Ok((_, status)) => {
                for line in alarms(&status) {
                    context.output.say(format!("retention: {line}"));
                }
            }
            Err(failure) => context.output.say(format!("retention: {failure}")),
        }
        pause(context, HOUSEKEEPING_INTERVAL, stop);
    }
}

/// Brings every mirror that can be reached up to date every hour.
fn keep_mirroring(context: &Context, installation: &Installation, stop: &Stop) {
    while !stop.is_requested() {
        for (name, mirror) in &installation.config().mirrors {
            if mirror.offline {
                continue;
            }
            let asked_to_stop = || stop.is_requested();
            let watch = MirrorWatch { progress: &|_| {}, stop: &asked_to_stop };
            let run = MirrorRun { threads: MIRROR_THREADS, thorough: false };
            let mut work = context.ports.tracing.begin("mirror");
            let result = installation.run_mirror(name, run, &environment, watch).map_err(Failure::from);
            if let Ok(name) = SourceName::new(name) {
                work.name("unwipe.mirror", &name);
            }
            if let Ok(report) = &result {
                work.number("unwipe.mirror.copied_objects", report.copied_objects);
                work.number("unwipe.mirror.copied_bytes", report.copied_bytes);
                work.number("unwipe.mirror.differences", report.differences.len() as u64);
            }
            work.end(match &result {
                Ok(report) if report.shows_loss() => Outcome::Failed("the vault lost or changed something"),
                other => outcome(other),
            });
            match result {
                Ok(report) if report.shows_loss() => context.output.say(format!(
                    "mirror {name}: the vault lost or changed something; see unwipe mirror status"
                )),
                Ok(_) => {}
                Err(failure) => context.output.say(format!("mirror {name}: {failure}")),
            }
        }
        pause(context, HOUSEKEEPING_INTERVAL, stop);
    }
}

fn alarms(status: &RetentionStatus) -> Vec<String> {
    let mut lines = status.alarms.clone();
    lines.extend(
        status.frozen.as_ref().map(|freeze| format!("frozen since {}: {}", freeze.since, freeze.reason)),
    );
    let sinking = status.floors.iter().filter(|(_, floor)| floor.standing != "good");
    lines.extend(sinking.map(|(source, floor)| {
        format!(
            "the lock floor of {source} is {}, at {}",
            counted(u64::from(floor.days_left), "day"),
            floor.object
        )
    }));
    lines
}

/// While reading is not possible, a slot must not fill production's disk: it is given back when its room runs out.
/// The next read finds no slot, makes a new one and a new base, and shows the hole.
fn spare_production(context: &Context, installation: &Installation, name: &SourceName) {
    let release = || -> Result<bool, Failure> {
        let (_, source) = installation.config().source(name.as_str())?;
        if source.kind != postgres::KIND {
            return Ok(false);
        }
        let secrets = Secrets::new(installation.home(), &environment);
        let settings = PostgresConfig::of(name, source)?.settings(name, &secrets)?;
        slot::release_if_endangering(&settings, context.clock())
            .map_err(|error| Failure::because(Exit::Failed, "the slot cannot be inspected", error))
    };
    match release() {
        Ok(true) => context.output.say(format!(
            "{name}: the replication slot was given back, because its room ran out while nothing could be read; the \
             next capture shows the hole and makes a new base"
        )),
        Ok(false) => {}
        Err(failure) => context.output.say(format!("{name}: {failure}")),
    }
}
