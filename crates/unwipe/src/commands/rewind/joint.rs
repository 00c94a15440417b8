//! Several transactions of a cluster, undone as one: read once, planned for each database.

use std::collections::BTreeSet;

use connect::{
    Progress,
    plan::{Plan, PlanFolder},
};
use model::Moment;
use postgres_recovery::{
    RecoveryRoute, Stop,
    deed::{JointDeed, read_joint},
    find_commits,
    scratch::Scratch,
};
use postgres_undo::{Joint, PlanningError, Stands, plan_transactions};
use postgres_wal::Lsn;
use postgres_wire::{Connection, ConnectionSettings};

use super::{Sides, heading, no_plan};
use crate::{connectors::recovery::StoredCluster, context::Context, exit::Exit, failure::Failure};

/// At how many moments beside the first one rows are read, each from a scratch server of its own. Rows that others wrote
/// between two of the undone transactions need them.
const MOMENTS_MAX: usize = 12;

/// What several transactions did, with a scratch server from before.
pub(super) struct JointUndo<'c> {
    context: &'c Context,
    cluster: &'c StoredCluster<'c>,
    deed: JointDeed,
    route: RecoveryRoute,
    scratch: Scratch,
    /// Transactions whose commits are not stored.
    pub(super) missing: Vec<u32>,
}

impl<'c> JointUndo<'c> {
    /// Finds the transactions in the stored log and makes the scratch server; none of them was committed before `since`.
    pub(super) fn read(
        context: &'c Context,
        cluster: &'c StoredCluster<'c>,
        transactions: &BTreeSet<u32>,
        since: Option<Moment>,
    ) -> Result<Self, Failure> {
        let progress = context.progress();
        progress.phase("looking for the transactions in the stored log", None);
        let commits = find_commits(cluster.stored(), &cluster.history, transactions, since)
            .map_err(|error| Failure::because(Exit::Failed, "the stored log cannot be searched", error))?;
        let found: BTreeSet<u32> = commits.iter().map(|commit| commit.transaction).collect();
        let missing = transactions.difference(&found).copied().collect();
        progress.phase("reading what they did", None);
        let deed = read_joint(cluster.stored(), &cluster.history, &commits).map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Failed, "the transactions cannot be undone", error).hint_opt(hint)
        })?;
        let deed =
            deed.ok_or_else(|| Failure::new(Exit::Nothing, "no commit of these transactions is stored"))?;
        let route = choose(cluster, deed.stand.timeline, deed.stand.lsn)?;
        let scratch = cluster.scratch(&route, &*progress)?;
        Ok(Self { context, cluster, deed, route, scratch, missing })
    }

    /// Returns the names of the databases that the transactions changed.
    pub(super) fn databases(&self) -> Result<Vec<String>, Failure> {
        let failed =
            |error| Failure::because(Exit::Failed, "the scratch server cannot name its databases", error);
        // Database 0 is what all databases share; a transaction works in one of the others.
        let oids = self.deed.summary.databases.iter().filter(|oid| **oid != 0);
        let oids: Vec<String> = oids.map(u32::to_string).collect();
        if oids.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.cluster.connect_scratch(&self.scratch, "postgres")?;
        let sql = format!(
            "SELECT datname FROM pg_catalog.pg_database WHERE oid IN ({}) ORDER BY datname",
            oids.join(", ")
        );
        let rows = connection.query_rows(&sql).map_err(failed)?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Plans the undo in one database.
    pub(super) fn plan(
        &self,
        database: &str,
        production: ConnectionSettings,
        folder: &PlanFolder,
        id: String,
        title: &str,
    ) -> Result<Plan, Failure> {
        let progress = self.context.progress();
        let heading = heading(self.context, self.cluster, &self.route, id);
        let mut sides =
            Sides::connect(self.context, self.cluster, &self.scratch, &self.route, production, database)?;
        let joint = Joint {
            summary: &self.deed.summary,
            strands: &self.deed.strands,
            first: self.deed.first(),
            stand: Lsn(self.deed.stand.lsn),
            end: self.deed.end(),
            moments_max: MOMENTS_MAX,
        };
        let mut stands = OtherMoments {
            cluster: self.cluster,
            timeline: self.deed.stand.timeline,
            database,
            progress: &*progress,
        };
        plan_transactions(sides.servers(folder, &*progress), &mut stands, &heading, title, &joint)
            .map_err(no_plan)
    }
}

/// Finds the way to just before a position.
fn choose(cluster: &StoredCluster<'_>, timeline: u32, lsn: u64) -> Result<RecoveryRoute, Failure> {
    cluster.history.choose(timeline, Stop::Before(lsn)).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Nothing, format!("{} cannot be brought back that far", cluster.name), error)
            .hint_opt(hint)
    })
}

/// Makes a scratch server for each other moment; it is gone when it was read.
struct OtherMoments<'c> {
    cluster: &'c StoredCluster<'c>,
    timeline: u32,
    database: &'c str,
    progress: &'c dyn Progress,
}

impl Stands for OtherMoments<'_> {
    fn before(
        &mut self,
        lsn: Lsn,
        read: &mut dyn FnMut(&mut Connection) -> Result<(), PlanningError>,
    ) -> Result<(), PlanningError> {
        let failed = |failure: Failure| PlanningError::Stand(failure.error);
        // The last moment lies on the newest timeline, the others on one of its ancestors: the way knows which.
        let timeline = self.cluster.history.timelines().next().unwrap_or(self.timeline);
        let route = choose(self.cluster, timeline, lsn.0).map_err(failed)?;
        let scratch = self.cluster.scratch(&route, self.progress).map_err(failed)?;
        let mut connection = self.cluster.connect_scratch(&scratch, self.database).map_err(failed)?;
        read(&mut connection)
    }
}
