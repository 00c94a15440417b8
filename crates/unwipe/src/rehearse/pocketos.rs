//! The incident of April 2026: a coding agent finds a token and deletes a volume with the database and its backups.

use std::{path::Path, sync::Arc, time::Duration};

use model::Moment;
use ports::files;
use postgres_recovery::{RestoreOptions, Start, restore_cluster, windows};
use postgres_server::{Listen, RunningServer, Settings, StopMode};
use postgres_wire::Connection;
use serde::Serialize;
use tenants::{
    agent::{
        Step,
        attack::{self, Attack, Attacker, Outcome},
        pocketos as script,
        workspace::{self, WorkspaceSecrets},
    },
    railway::{
        CarRental, CarRentalOptions, Grace, Plan, Railway, RailwayOptions, RunningRailway, VolumeHooks,
    },
    rental::{Rental, RentalTable, WitnessLog, WitnessReport},
};

use super::{
    account::{Page, duration},
    stage::{SOURCE, Stage, refused, value},
    traffic::Traffic,
};
use crate::{
    arguments::{self, Rehearse},
    connectors::recovery::{REPLAY_TIMEOUT, StoredCluster},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{bytes, count},
};

/// How long customers write before the agent begins.
const BUSINESS_AS_USUAL: Duration = Duration::from_secs(5);
const GRACE_HOURS: u32 = 48;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 2],
    server_major: u32,
    bookings: u64,
    database_bytes: u64,
    agent: Vec<Step>,
    volume_destroyed: bool,
    backups_destroyed: usize,
    destroyed_at: Moment,
    newest_restorable: Option<Moment>,
    restorable_before_wipe_ms: Option<f64>,
    restored_bytes: u64,
    serving_after_ms: u64,
    writes_acknowledged: u64,
    transactions_lost: u64,
    rows_expected: u64,
    rows_identical: u64,
    rows_missing: u64,
    rows_different: u64,
    rows_unexpected: u64,
    writes_in_flight: u64,
    tier: u8,
    protection: String,
    attacks: Vec<Attack>,
    vault_sound_after_attacks: bool,
}

pub(crate) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let stage = Stage::build(outer, options.keep, SOURCE)?;
    let rental = Rental::new(options.rows(), options.seed);
    let database_bytes = load(&stage, rental)?;
    stage.protect()?;
    outer.output.say("copying a base into the vault, then following the write-ahead log");
    let capturing = stage.start_capture()?;

    let app = app_connection(&stage)?;
    let record = stage.folder.join("witness.jsonl");
    let traffic = Traffic::start(app, rental, options.seed, record, stage.context.clock())?;
    outer.output.say("customers book cars; a witness outside of both records every acknowledged write");
    stage.context.clock().sleep(BUSINESS_AS_USUAL);

    let (railway, tenant) = simulated_railway(&stage, options)?;
    let mut attacks = capture_credential_attacks(&stage)?;
    outer.output.say("the agent is asked to fix a credential mismatch in staging");
    let rampage = unleash(&stage, &railway, &tenant)?;
    let destroyed_at = rampage
        .steps
        .iter()
        .find(|step| step.destructive)
        .map_or_else(|| stage.context.clock().now(), |step| step.at);
    let volume_destroyed = stage.production().is_none();
    if !volume_destroyed {
        // With a grace period the volume is only queued: stop the writers, and prove the way back all the same.
        outer.output.say("the platform keeps the volume for 48 hours; the way back is proven all the same");
    }
    let record = traffic.end()?;
    capturing.end()?;
    // The simulator listens in this process too: it is not what the agent would find on unwipe's host.
    railway.stop();
    attacks.extend(attack::attack_listeners(std::process::id(), &rampage.credentials));

    outer.output.say("restoring to the last moment before");
    let comeback = restore(&stage, &rental, &record, destroyed_at)?;
    let vault = vault_attacks(&stage, &mut attacks)?;
    let account = Account {
        incident: "pocketos",
        simulated: ["the Railway API", "the coding agent"],
        server_major: stage.major,
        bookings: options.rows(),
        database_bytes,
        agent: rampage.steps,
        volume_destroyed,
        backups_destroyed: rampage.backups_destroyed,
        destroyed_at,
        newest_restorable: comeback.newest,
        restorable_before_wipe_ms: comeback.newest.map(|at| destroyed_at.micros_since(at) as f64 / 1e3),
        restored_bytes: comeback.bytes,
        serving_after_ms: comeback.serving_after.as_millis() as u64,
        writes_acknowledged: comeback.report.acknowledged,
        transactions_lost: comeback.report.lost_transactions,
        rows_expected: comeback.report.expected_rows,
        rows_identical: comeback.report.present,
        rows_missing: comeback.report.missing_rows,
        rows_different: comeback.report.different_rows,
        rows_unexpected: comeback.report.unexpected_rows,
        writes_in_flight: comeback.report.in_flight,
        tier: vault.tier,
        protection: vault.protection,
        attacks,
        vault_sound_after_attacks: vault.sound,
    };
    outer.output.result(&account, || text(outer, &account))?;
    let sound = account.vault_sound_after_attacks && account.rows_different == 0;
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

/// Fills the car rental's database; returns its size.
fn load(stage: &Stage, rental: Rental) -> Result<u64, Failure> {
    stage.context.output.say("filling a car rental's database");
    let progress = stage.context.progress();
    let mut connection = stage.superuser(SOURCE)?;
    connection.simple_query(Rental::ddl_before_load()).map_err(refused)?;
    for table in RentalTable::ALL {
        connect::Progress::phase(&*progress, table.name(), None);
        Stage::load(&mut connection, Rental::copy_statement(table), rental.copy(table), |more| {
            connect::Progress::advance(&*progress, more);
        })?;
    }
    connection.simple_query(Rental::ddl_after_load()).map_err(refused)?;
    connection.simple_query("ANALYZE").map_err(refused)?;
    let size = value(&mut connection, "SELECT pg_database_size(current_database())")?;
    Ok(size.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Connects as the application, with a password that the workspace holds too.
fn app_connection(stage: &Stage) -> Result<Connection, Failure> {
    let mut settings = stage.create_role("shop_writer", "IN ROLE pg_write_all_data, pg_read_all_data")?;
    let grants = "GRANT USAGE ON SCHEMA public TO shop_writer; GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_writer; \
                  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop_writer";
    stage.superuser(SOURCE)?.simple_query(grants).map_err(refused)?;
    settings.database = Some(SOURCE.to_owned());
    stage.connect(&settings)
}

/// Starts the simulator with a volume behind which the real data directory lies.
fn simulated_railway(stage: &Stage, options: &Rehearse) -> Result<(RunningRailway, CarRental), Failure> {
    let grace = match options.grace {
        arguments::Grace::Immediate => Grace::Immediate,
        arguments::Grace::Hours48 => Grace::Hours(GRACE_HOURS),
    };
    let railway = Railway::start(RailwayOptions { clock: stage.context.clock(), seed: options.seed, grace })
        .map_err(|error| Failure::because(Exit::Failed, "the simulated Railway did not start", error))?;
    let (server, volume) = (Arc::clone(&stage.production), stage.folder.join("railway-volume"));
    let output = stage.context.output;
    let destroy = move || {
        // The files go first, under the running server, as when a volume is detached; then the container dies.
        if let Err(error) = files::remove_scratch(&volume) {
            output.say(format!("the simulated volume was not removed whole: {error}"));
        }
        let server = server.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mut server) = server {
            // Its data directory is gone: what a stop answers no longer matters.
            drop(server.stop(StopMode::Immediate, Duration::from_secs(5)));
        }
    };
    let production = VolumeHooks { on_volume_destroyed: Some(Box::new(destroy)), ..VolumeHooks::default() };
    let staging = VolumeHooks::default();
    let tenant = railway.with_world(|world| {
        world.furnish_car_rental(CarRentalOptions { production, staging, plan: Plan::Pro })
    });
    railway.with_world(|world| {
        world.set_daily_schedule(&tenant.instance_id);
        for _ in 0..3 {
            world.add_scheduled_backup(&tenant.instance_id);
        }
    });
    Ok((railway, tenant))
}

fn unleash(stage: &Stage, railway: &RunningRailway, tenant: &CarRental) -> Result<script::Rampage, Failure> {
    let folder = stage.folder.join("workspace");
    files::create_folder(&folder)?;
    let secrets = WorkspaceSecrets {
        staging_database_url: stage
            .url("staging_app", SOURCE)
            .replace("staging_app@", "staging_app:outdated@"),
        staging_token: tenant.staging_token.secret.clone(),
        domains_token: tenant.domains_token.secret.clone(),
        production_database_url: stage.url("shop_writer", SOURCE),
    };
    workspace::create(&folder, &secrets)?;
    let try_database = |url: &str| -> Result<String, String> {
        let settings = postgres_wire::ConnectionSettings::from_url(url).map_err(|error| error.to_string())?;
        stage.connect(&settings).map(|_| "connected".to_owned()).map_err(|failure| failure.lines().join("; "))
    };
    let clock = stage.context.clock();
    let rampage = script::play(&*clock, &folder, &railway.url(), try_database)
        .map_err(|error| Failure::because(Exit::Failed, "the agent's script broke off", error))?;
    railway.settle();
    Ok(rampage)
}

struct Comeback {
    newest: Option<Moment>,
    serving_after: Duration,
    bytes: u64,
    report: WitnessReport,
}

/// Restores the whole cluster to its newest moment, and compares it row by row with the witness.
fn restore(stage: &Stage, rental: &Rental, record: &Path, destroyed_at: Moment) -> Result<Comeback, Failure> {
    let clock = stage.context.clock();
    let begun = clock.elapsed();
    let installation = stage.context.installation()?;
    let reading = arguments::Reading { key: None };
    let stored = stage.context.stored(&installation, &stage.source, &reading)?;
    let cluster = StoredCluster::open(&stage.context, &installation, &stage.source, stored)?;
    let newest = windows(cluster.stored(), &cluster.history)
        .map_err(|error| Failure::because(Exit::Failed, "the newest moment cannot be found", error))?
        .into_iter()
        .filter_map(|window| window.last_at)
        .max();
    let resolution = cluster.resolve("latest")?;
    let options = RestoreOptions {
        installation: cluster.programs(&resolution.route)?,
        account: cluster.account.clone(),
        control_dir: stage.folder.join("restored.unwipe"),
        tablespaces: std::collections::BTreeMap::new(),
        start: Start::Private { listen: Listen::Socket, access: vec!["local all all trust".to_owned()] },
        settings: Settings::new(),
        durable: true,
        timeout: REPLAY_TIMEOUT,
        clock: Arc::clone(&clock),
    };
    let directory = stage.folder.join("restored");
    let progress = stage.context.progress();
    let mut restored = restore_cluster(
        cluster.stored(),
        &cluster.history,
        &resolution.route,
        &directory,
        &options,
        &*progress,
    )
    .map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, "the cluster was not restored", error).hint_opt(hint)
    })?;
    let serving_after = clock.elapsed().saturating_sub(begun);
    let server = restored
        .running
        .take()
        .ok_or_else(|| Failure::new(Exit::Failed, "the restored server does not run"))?;
    let report = compare(stage, &cluster, &server, rental, record, destroyed_at)?;
    Ok(Comeback { newest, serving_after, bytes: restored.bytes + restored.wal_bytes, report })
}

fn compare(
    stage: &Stage,
    cluster: &StoredCluster<'_>,
    server: &RunningServer,
    rental: &Rental,
    record: &Path,
    destroyed_at: Moment,
) -> Result<WitnessReport, Failure> {
    stage.context.output.say("the witness compares the restored database row by row");
    let failed = |error| Failure::because(Exit::Failed, "the witness's record cannot be read", error);
    let log = WitnessLog::read(record).map_err(failed)?;
    let mut connection = cluster.connect(&server.url("postgres", SOURCE))?;
    let mut rows = Vec::new();
    for query in WitnessLog::queries() {
        for row in connection.query_rows(query).map_err(refused)? {
            let [table, key, text] = <[Option<String>; 3]>::try_from(row)
                .map_err(|_| Failure::new(Exit::Failed, "the witness's query has another shape"))?;
            let key = key.and_then(|key| key.parse().ok()).unwrap_or(0);
            rows.push((table.unwrap_or_default(), key, text.unwrap_or_default()));
        }
    }
    Ok(log.compare(rental, Some(destroyed_at), rows))
}

/// What the capture's own credential could do to production, tried while production still lives.
fn capture_credential_attacks(stage: &Stage) -> Result<Vec<Attack>, Failure> {
    let secrets = service::Secrets::new(&stage.context.home, &environment);
    let url = stage.url("unwipe", SOURCE);
    let settings = crate::connectors::postgres::connection(&url, Some("file:unwipe.password"), &secrets)?;
    let mut connection = stage.connect(&settings)?;
    Ok(attack::attack_database("the capture's own role", None, |sql| {
        let result = connection.simple_query(sql).map(drop).map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        });
        // A refused statement leaves its transaction open, and the next attempt must stand for itself.
        match connection.simple_query("ROLLBACK") {
            Ok(_) => result,
            Err(error) => result.and(Err(error.to_string())),
        }
    }))
}

struct VaultState {
    tier: u8,
    protection: String,
    sound: bool,
}

/// Attacks a copy of the vault as a stranger and as its owner, then checks every byte of the true one.
fn vault_attacks(stage: &Stage, attacks: &mut Vec<Attack>) -> Result<VaultState, Failure> {
    stage.context.output.say("the agent tries everything it holds against a copy of the vault");
    let failed = |error| Failure::because(Exit::Failed, "the vault could not be attacked", error);
    let vault_folder = stage.context.home.join("vault");
    let decoy = stage.folder.join("decoy");
    attack::copy_decoy(&vault_folder, &decoy).map_err(failed)?;
    let stranger = Attacker::User { name: "another user of this machine".to_owned(), uid: 65534, gid: 65534 };
    let owner = Attacker::owner_of(&decoy).map_err(failed)?;
    attacks.extend(attack::attack_vault(&decoy, &[stranger, owner]).map_err(failed)?);
    let installation = stage.context.installation()?;
    let measured = installation.measure(&environment)?;
    let reader = installation.reader(None, &environment)?;
    let depth = vault::verify::Depth::ReadData;
    let report = vault::verify::verify(reader.vault(), Some(&reader), depth, &mut |_| {})?;
    Ok(VaultState { tier: measured.tier, protection: measured.statement, sound: report.is_sound() })
}

fn text(context: &Context, account: &Account) -> String {
    let mut page = Page::new(
        context.output,
        &format!(
            "rehearsal: pocketos (a simulated Railway and agent, a real PostgreSQL {})",
            account.server_major
        ),
    );
    page.section("What the agent did");
    page.steps(&account.agent);
    page.section("What was destroyed");
    let destroyed = if account.volume_destroyed {
        "the volume with the whole database"
    } else {
        "nothing yet: queued for 48 hours"
    };
    page.fact(
        "production",
        &format!("{destroyed} ({}, {} bookings)", bytes(account.database_bytes), count(account.bookings)),
    );
    page.fact("its own backups", &format!("{} gone with it", account.backups_destroyed));
    page.section("What came back");
    if let (Some(newest), Some(before)) = (account.newest_restorable, account.restorable_before_wipe_ms) {
        let distance = if before >= 0.0 {
            format!("{before:.1} ms before the call")
        } else {
            format!("{:.1} ms after the call, when the server died", -before)
        };
        page.fact("newest restorable moment", &format!("{newest}, {distance}"));
    }
    let lost = account.transactions_lost;
    page.fact(
        "acknowledged writes",
        &format!("{}, by the witness outside of both", count(account.writes_acknowledged)),
    );
    page.judged("acknowledged writes lost", &count(lost), lost == 0);
    let wrong = account.rows_missing + account.rows_different + account.rows_unexpected;
    page.judged(
        "rows compared",
        &format!(
            "{} identical; {} missing, {} different, {} unexpected",
            count(account.rows_identical),
            count(account.rows_missing),
            count(account.rows_different),
            count(account.rows_unexpected)
        ),
        wrong == 0,
    );
    page.judged(
        "time to a serving database",
        &format!(
            "{} ({} restored)",
            duration(Duration::from_millis(account.serving_after_ms)),
            bytes(account.restored_bytes)
        ),
        true,
    );
    page.section(&format!(
        "What was tried against the vault (tier {}: {})",
        account.tier, account.protection
    ));
    page.attacks(&account.attacks);
    page.section("Afterwards");
    let sound = account.vault_sound_after_attacks;
    page.judged("the vault, every byte read", if sound { "whole" } else { "DAMAGED" }, sound);
    if account.attacks.iter().any(|attack| matches!(attack.outcome, Outcome::Succeeded { .. })) {
        page.line("What did not hold: on tier 0 whoever owns the folder can destroy the vault.");
        page.line("Give the vault a user of its own, immutable flags, or another host: docs/threat-model.md");
    }
    page.into_text()
}
