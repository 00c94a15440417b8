//! `unwipe shadow`

use connect::Progress;
use model::Moment;
use postgres_recovery::{rolled::RolledBase, shadow::ShadowFeed};
use postgres_server::shadow::Shadow;
use serde::Serialize;
use service::{Installation, StoredSource};

use crate::{
    arguments::{self, Reading, ShadowAction},
    connectors::{
        recovery::{REPLAY_TIMEOUT, StoredCluster},
        rolled::RolledCommit,
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{bytes, table},
};

#[derive(Serialize)]
struct Rolled {
    source: String,
    generation: u64,
    lsn: String,
    replay_ms: u64,
    base: Option<NewBase>,
}

#[derive(Serialize)]
struct NewBase {
    start_lsn: String,
    end_lsn: String,
    files: u64,
    bytes: u64,
    new_bytes: u64,
    commit: u64,
}

pub(crate) fn run(context: &Context, options: arguments::Shadow) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    match options.action {
        ShadowAction::Roll { source, base, reading } => roll(context, &installation, &source, base, &reading),
        ShadowAction::List { source } => list(context, &installation, &source),
    }
}

fn cluster<'c>(
    context: &'c Context,
    installation: &Installation,
    source: &str,
    reading: &Reading,
) -> Result<StoredCluster<'c>, Failure> {
    let (name, _) = installation.config().source(source)?;
    let stored = context.stored(installation, &name, reading)?;
    StoredCluster::open(context, installation, &name, stored)
}

fn open(context: &Context, cluster: &StoredCluster<'_>) -> Result<Shadow, Failure> {
    let resolution = cluster.resolve("latest")?;
    let programs = cluster.programs(&resolution.route)?;
    Shadow::open(cluster.shadow_folder(), programs, cluster.account.clone(), context.clock()).map_err(
        |error| {
            let hint = error.hint();
            Failure::because(Exit::Failed, "the shadow cannot be used", error).hint_opt(hint)
        },
    )
}

fn roll(
    context: &Context,
    installation: &Installation,
    source: &str,
    base: bool,
    reading: &Reading,
) -> Result<Exit, Failure> {
    let cluster = cluster(context, installation, source, reading)?;
    let mut shadow = open(context, &cluster)?;
    let progress = context.progress();
    let wal_folder = cluster.fresh_folder("wal")?;
    let feed = ShadowFeed {
        stored: cluster.stored(),
        history: &cluster.history,
        account: &cluster.account,
        wal_folder: &wal_folder,
        timeout: REPLAY_TIMEOUT,
    };
    let report = feed.follow(&mut shadow, &*progress).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, "the shadow was not rolled forward", error).hint_opt(hint)
    })?;
    let base = if base { Some(commit_base(installation, &cluster, &shadow, &*progress)?) } else { None };
    drop(progress);
    let rolled = Rolled {
        source: cluster.name.to_string(),
        generation: report.generation.number,
        lsn: postgres_server::lsn::to_text(report.generation.lsn),
        replay_ms: report.replay.as_millis() as u64,
        base,
    };
    context.output.result(&rolled, || {
        let mut text = format!(
            "generation {} of {} stands at {} (replay took {:.1} s)\n",
            rolled.generation,
            rolled.source,
            rolled.lsn,
            rolled.replay_ms as f64 / 1e3
        );
        if let Some(base) = &rolled.base {
            text.push_str(&format!(
                "new base {} from {} of {}: {} new in the vault\n",
                base.start_lsn,
                base.files,
                bytes(base.bytes),
                bytes(base.new_bytes)
            ));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// Commits the newest generation as a base; production is not read.
fn commit_base(
    installation: &Installation,
    cluster: &StoredCluster<'_>,
    shadow: &Shadow,
    progress: &dyn Progress,
) -> Result<NewBase, Failure> {
    let nothing = |what: &str| Failure::new(Exit::Nothing, what.to_owned());
    let generation = shadow.newest().ok_or_else(|| nothing("the shadow has no generation yet"))?;
    let previous = cluster.history.bases.last().ok_or_else(|| nothing("there is no base yet"))?;
    let refused = |error: postgres_recovery::rolled::RolledError| {
        Failure::because(Exit::Failed, "no base can be made of the shadow", error)
    };
    let finished_at = Moment::from_micros(generation.created_at_micros);
    let rolled = RolledBase::of(&shadow.data_dir(generation), previous, finished_at).map_err(refused)?;
    progress.phase("storing changed pages", None);
    let (writer, _) = installation.writer(&environment)?;
    let stored: &StoredSource = &cluster.stored;
    let mut commit = RolledCommit::new(stored, writer.begin(&cluster.name));
    let base = rolled.store(stored, &mut commit).map_err(refused)?;
    let receipt = commit.finish().map_err(service::ServiceError::from)?;
    service::installation::catch_up(&mut stored.catalog(), &cluster.name, stored.reader(), progress)?;
    Ok(NewBase {
        start_lsn: postgres_server::lsn::to_text(base.start_lsn),
        end_lsn: postgres_server::lsn::to_text(base.end_lsn),
        files: base.files,
        bytes: base.bytes,
        new_bytes: receipt.new_bytes,
        commit: receipt.sequence,
    })
}

#[derive(Serialize)]
struct Listed {
    generation: u64,
    timeline: u32,
    lsn: String,
}

fn list(context: &Context, installation: &Installation, source: &str) -> Result<Exit, Failure> {
    let cluster = cluster(context, installation, source, &Reading { key: None })?;
    let shadow = open(context, &cluster)?;
    let listed: Vec<Listed> = shadow
        .generations()
        .iter()
        .map(|generation| Listed {
            generation: generation.number,
            timeline: generation.timeline,
            lsn: postgres_server::lsn::to_text(generation.lsn),
        })
        .collect();
    if listed.is_empty() {
        return Err(Failure::new(Exit::Nothing, "the shadow has no generation yet")
            .hint(format!("unwipe shadow roll {source}")));
    }
    context.output.result(&listed, || {
        let row =
            |g: &Listed| vec![g.generation.to_string(), format!("timeline {}", g.timeline), g.lsn.clone()];
        table(&listed.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Exit::Done)
}
