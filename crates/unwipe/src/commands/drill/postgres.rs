//! A drill of a database: a scratch server, compared with what production held.

use std::time::Duration;

use connect::Stored;
use drill::{Check, Extent, Findings, Ground, ProbeConfig, Swept};
use model::SourceName;
use postgres_recovery::{
    DrillError, DrillRequest, Resolution, Truth,
    drill::{Programs, Restored, restore},
    fingerprint::{self, Fingerprint},
    scratch::ScratchOptions,
};
use service::Secrets;
use source_postgres::layout;

use super::{Drilling, certify::not_held, over_budget, room};
use crate::{
    arguments::Production,
    connectors::recovery::{REPLAY_TIMEOUT, StoredCluster},
    context::environment,
    exit::Exit,
    failure::Failure,
};

/// The slot of the moment when production's content is recorded; it is temporary.
const SLOT: &str = "unwipe_drill";
/// How long the recorded moment may take into the vault: a commit every 10 s, and room for a busy server.
const CAPTURE_PATIENCE: Duration = Duration::from_mins(2);
const CAPTURE_POLL: Duration = Duration::from_secs(1);
/// Where what was recorded last is kept, for the day on which production cannot be asked.
const RECORDED: &str = "recorded.json";
/// Every data folder of a server has a file of this name.
const OF_A_CLUSTER: &str = "PG_VERSION";
const RECORDS: &str = "production says what it holds";

/// A scratch server in which a moment is restored.
pub(super) struct ClusterGround<'d> {
    drilling: &'d Drilling<'d>,
    put: Option<(Prepared<'d>, Restored)>,
}

/// What a cluster is recovered from and with, and what it is compared with.
struct Prepared<'d> {
    cluster: StoredCluster<'d>,
    resolution: Resolution,
    truth: Truth,
    probes: Vec<&'d ProbeConfig>,
    programs: Programs,
    options: ScratchOptions,
    recorded_at: Option<String>,
    /// Whether production said what it holds, where it was asked.
    check: Option<Check>,
}

impl<'d> Prepared<'d> {
    fn request<'p>(&'p self, drilling: &'p Drilling<'d>) -> DrillRequest<'p> {
        DrillRequest {
            stored: self.cluster.stored(),
            history: &self.cluster.history,
            truth: &self.truth,
            probes: &self.probes,
            programs: &self.programs,
            limits: &drilling.limits,
            options: &self.options,
            progress: drilling.progress,
        }
    }
}

impl<'d> ClusterGround<'d> {
    pub(super) const fn new(drilling: &'d Drilling<'d>) -> Self {
        Self { drilling, put: None }
    }
}

impl Ground for ClusterGround<'_> {
    type Error = Failure;

    fn refuse_production(&mut self) -> Result<(), Failure> {
        let installation = self.drilling.installation;
        let place = room::place(installation);
        // Whatever lies in a server's own folder is that server's, and may be what was captured.
        let cluster = place.ancestors().find(|folder| folder.join(OF_A_CLUSTER).is_file());
        cluster.map_or(Ok(()), |cluster| Err(room::of_production(installation, cluster)))
    }

    fn sweep(&mut self) -> Result<Swept, Failure> {
        // Its server is stopped first.
        self.put = None;
        room::sweep(self.drilling.context, self.drilling.installation)
    }

    fn put(&mut self) -> Result<(), Failure> {
        let drilling = self.drilling;
        let Drilling { context, installation, asked, .. } = drilling;
        let name = &asked.source;
        let Recorded { fingerprint, is_fresh, check } = record_truth(drilling)?;
        let recorded_at = fingerprint
            .as_ref()
            .map(|taken| format!("before:{}", postgres_server::lsn::to_text(taken.lsn.unwrap_or_default())));
        let moment = recorded_at.as_deref().unwrap_or(&asked.moment);
        let patience = if is_fresh { CAPTURE_PATIENCE } else { Duration::ZERO };
        let (cluster, resolution) = reach(drilling, moment, patience)?;
        let truth = match fingerprint {
            Some(fingerprint) => Truth::Recorded(fingerprint),
            None => second_route(&cluster, &resolution.route),
        };
        let programs = Programs::find(cluster.installations(), resolution.route.base.base.major);
        let options = ScratchOptions {
            installation: cluster.programs(&resolution.route)?,
            account: cluster.account.clone(),
            folder: cluster.fresh_folder(room::PREFIX)?,
            timeout: REPLAY_TIMEOUT,
            clock: context.clock(),
        };
        let probes = installation.config().drills.probes(name);
        let prepared = Prepared { cluster, resolution, truth, probes, programs, options, recorded_at, check };
        let restored = restore(&prepared.resolution.route, &prepared.request(drilling))
            .map_err(|error| no_drill(name, error))?;
        self.put = Some((prepared, restored));
        Ok(())
    }

    fn compare(&mut self) -> Result<Findings, Failure> {
        let name = &self.drilling.asked.source;
        let Some((prepared, restored)) = self.put.take() else {
            return Err(Failure::new(Exit::Failed, "no server was recovered"));
        };
        let report =
            restored.examine(&prepared.request(self.drilling)).map_err(|error| no_drill(name, error))?;
        let Prepared { cluster, resolution, recorded_at, check, .. } = prepared;
        let restored_commit = commit_of_position(&cluster, &resolution, report.lsn)?;
        let mut checks = report.checks;
        checks.extend(check);
        let tables =
            report.fingerprint.tables.into_iter().map(|(table, taken)| (table, (taken.rows, taken.hash)));
        Ok(Findings {
            kind: crate::connectors::postgres::KIND,
            simulated: false,
            restored_commit,
            moment: recorded_at,
            position: postgres_server::lsn::to_text(report.lsn),
            extent: Extent::Whole,
            against: report.against,
            tally: report.tally,
            checks,
            probes: report.probes,
            serving_ms: Some(report.serving_ms),
            space_bytes: report.space_bytes,
            tables: tables.collect(),
        })
    }
}

fn no_drill(name: &SourceName, error: DrillError) -> Failure {
    match error {
        DrillError::Over(over) => over_budget(over),
        error => not_held(name, error),
    }
}

/// Finds the way to a moment, waiting for a capture that runs elsewhere to bring it into the vault.
fn reach<'c>(
    drilling: &Drilling<'c>,
    moment: &str,
    patience: Duration,
) -> Result<(StoredCluster<'c>, Resolution), Failure> {
    let Drilling { context, installation, asked, .. } = *drilling;
    let name = &asked.source;
    let clock = context.clock();
    let until = clock.elapsed() + patience;
    loop {
        let stored = context.stored(installation, name, asked.reading)?;
        let cluster = StoredCluster::open(context, installation, name, stored)?;
        match cluster.resolve(moment) {
            Ok(resolution) => return Ok((cluster, resolution)),
            Err(failure) if clock.elapsed() >= until => {
                let hint =
                    (!patience.is_zero()).then(|| format!("is it being captured? unwipe capture {name}"));
                return Err(Failure { hint: hint.or(failure.hint), ..failure });
            }
            Err(_) => clock.sleep(CAPTURE_POLL),
        }
        drilling.check_time()?;
    }
}

/// What production says that it holds.
struct Recorded {
    fingerprint: Option<Fingerprint>,
    /// Whether it was recorded just now: its WAL must then reach the vault first.
    is_fresh: bool,
    check: Option<Check>,
}

/// Records what production holds now, when a connection to it is given or configured. Where production cannot be asked,
/// what was recorded before is compared with.
fn record_truth(drilling: &Drilling<'_>) -> Result<Recorded, Failure> {
    let Drilling { context, installation, asked, settings, .. } = drilling;
    let none = Recorded { fingerprint: None, is_fresh: false, check: None };
    let given = !asked.production.url.is_empty();
    let configured = settings.record.as_ref().filter(|_| asked.moment == "latest").map(|record| Production {
        url: vec![record.url.clone()],
        password: record.password.iter().cloned().collect(),
    });
    let production = match &configured {
        _ if given => asked.production,
        Some(configured) => configured,
        None => return Ok(none),
    };
    let path = installation.state_folder(&asked.source).join(RECORDED);
    match record(drilling, production) {
        Ok(taken) => {
            let text = serde_json::to_vec_pretty(&taken).map_err(|error| {
                Failure::because(Exit::Failed, "what was recorded cannot be written", error)
            })?;
            ports::files::create_folder(&installation.state_folder(&asked.source))?;
            ports::files::replace(&path, &text)?;
            Ok(Recorded {
                fingerprint: Some(taken),
                is_fresh: true,
                check: Some(Check::passed(RECORDS, "just now")),
            })
        }
        Err(failure) if given => Err(failure),
        Err(failure) => {
            let reason = failure.to_string();
            context.output.say(format!("{}: {reason}", asked.source));
            let before = ports::files::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
            let check = Some(Check::not_checked(RECORDS, reason));
            Ok(Recorded { fingerprint: before, check, ..none })
        }
    }
}

fn record(drilling: &Drilling<'_>, production: &Production) -> Result<Fingerprint, Failure> {
    let Drilling { context, installation, asked, progress, .. } = drilling;
    let name = asked.source.as_str();
    let secrets = Secrets::new(installation.home(), &environment);
    let url = crate::arguments::for_source(&production.url, name).unwrap_or_default();
    let password = crate::arguments::for_source(&production.password, name);
    let settings = crate::connectors::postgres::connection(url, password, &secrets)?;
    progress.phase("recording what production holds", None);
    let taken = fingerprint::of_production(&settings, SLOT, &context.clock()).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, format!("the content of {name} cannot be recorded"), error)
            .hint_opt(hint)
    })?;
    match taken.unreadable.into_iter().next() {
        None => Ok(taken.fingerprint),
        // After it nothing could be read any more: what was recorded is no truth to compare with.
        Some(error) => {
            Err(Failure::because(Exit::Failed, format!("{name} cannot be recorded as it is"), error)
                .hint("the recording role must be able to read every table, and production must be sound"))
        }
    }
}

/// Chooses a recovery from another base to compare with, where there is one.
fn second_route(cluster: &StoredCluster<'_>, route: &postgres_recovery::RecoveryRoute) -> Truth {
    let earlier = cluster.history.bases.iter().rev().find(|known| {
        known.base.start_lsn < route.base.base.start_lsn && known.base.timeline == route.base.base.timeline
    });
    match earlier {
        Some(base) => {
            let mut second = route.clone();
            second.base = base.clone();
            Truth::SecondRecovery(Box::new(second))
        }
        None => Truth::None,
    }
}

/// Finds the commit that holds the last of the WAL that was replayed.
fn commit_of_position(
    cluster: &StoredCluster<'_>,
    resolution: &Resolution,
    lsn: u64,
) -> Result<u64, Failure> {
    let timeline = resolution.route.branch.timeline_at(lsn.saturating_sub(1));
    let named = |error: model::NameError| not_held(&cluster.name, error);
    let stream = layout::wal_stream(timeline).map_err(named)?;
    let ranges = cluster.stored.log_ranges(&stream, lsn.saturating_sub(1), lsn)?;
    let base = resolution.route.base.item.sequence;
    Ok(ranges.iter().map(|range| range.sequence).max().unwrap_or(base).max(base))
}
