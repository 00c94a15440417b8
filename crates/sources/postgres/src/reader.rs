//! The reader: base first where there is none, then the log for as long as nobody asks it to end.

use std::sync::{Arc, Mutex};

use connect::{
    ChangeSink, Cursor, Finding, Progress, QuotaMeter, ReadEnd, ReadError, Silent, SourceReader, Standing,
    Stop, Urge,
};
use model::{Item, Layout};
use ports::Clock;
use postgres_wal::Lsn;
use postgres_wire::{Connection, Limits, Mode};

use crate::{
    activity::{Sampler, Sightings},
    base::BaseReader,
    check,
    chronicle::{Chronicle, remark},
    failure,
    follow::{Follower, store_history},
    layout::{self, Base, Hole, Position, Relation},
    server_log,
    settings::ClusterSettings,
    slot::{self, SlotMeter},
};

/// Reads one cluster with a role that has `REPLICATION` and nothing else.
pub struct ClusterReader {
    settings: ClusterSettings,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
    sightings: Arc<Mutex<Sightings>>,
    ends_up_to_date: bool,
    begins_with_base: bool,
    known_relations: Vec<(String, Relation)>,
    urge: Urge,
    meter: Arc<SlotMeter>,
}

impl ClusterReader {
    /// Makes a reader; nothing is contacted yet.
    pub fn new(settings: ClusterSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            clock,
            progress: Arc::new(Silent),
            sightings: Arc::default(),
            ends_up_to_date: false,
            begins_with_base: false,
            known_relations: Vec::new(),
            urge: Urge::default(),
            meter: Arc::default(),
        }
    }

    /// Lets somebody ask that what was read is committed at once.
    #[must_use]
    pub fn urged_by(mut self, urge: Urge) -> Self {
        self.urge = urge;
        self
    }

    /// Ends reading once everything is read that the server had when reading began.
    #[must_use]
    pub fn until_up_to_date(mut self) -> Self {
        self.ends_up_to_date = true;
        self
    }

    /// Copies a new base first, even where there is one.
    #[must_use]
    pub fn with_new_base(mut self) -> Self {
        self.begins_with_base = true;
        self
    }

    /// Returns where the server's log ends now, if reading is to end there.
    fn end_lsn(&self) -> Result<Option<u64>, ReadError> {
        if !self.ends_up_to_date {
            return Ok(None);
        }
        let identity = self.replication()?.identify_system().map_err(failure::wire)?;
        Ok(Some(identity.flushed_lsn))
    }

    /// Reports how far long work has come to somebody.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Gives the reader the names that earlier runs stored in [`layout::relations_stream`], as key and value: what was
    /// dropped since can be named no other way.
    #[must_use]
    pub fn with_known_relations(mut self, relations: Vec<(String, Relation)>) -> Self {
        self.known_relations = relations;
        self
    }

    /// Checks everything that reading needs, without changing anything.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = match check::gather(&self.settings, &self.clock) {
            Ok(facts) => check::judge(&facts, &self.settings),
            Err(error) => return vec![check::unreachable(&self.settings, &error)],
        };
        findings.push(check::monitor(&self.settings, &self.clock));
        findings.extend(self.settings.log_folder.as_deref().map(server_log::check));
        findings
    }

    /// Copies the cluster again, so that recovery need not replay so much, and a replay fault cannot breed.
    ///
    /// It ends at a checkpoint whose cursor stands where `cursor` stood. Meanwhile the slot keeps the log; where
    /// commits wait for us (synchronous mode) they would wait for the whole copy, so that is refused.
    pub fn refresh_base(
        &mut self,
        cursor: &Cursor,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<Option<Base>, ReadError> {
        if self.settings.synchronous {
            return Err(failure::refused(
                "production's commits would wait until the copy is complete",
                "take this source out of synchronous_standby_names for the time of the copy",
            ));
        }
        self.require_good()?;
        let position = parse_position(cursor)?;
        let Some(base) = self.base(sink, stop)? else { return Ok(None) };
        if base.system_identifier != position.system_identifier {
            return Err(failure::refused(
                "another cluster answers than the one that is protected",
                "check the address",
            ));
        }
        sink.checkpoint(cursor)?;
        Ok(Some(base))
    }

    /// Reads a base into the sink, without the checkpoint that makes it visible.
    fn base(&self, sink: &mut dyn ChangeSink, stop: &Stop) -> Result<Option<Base>, ReadError> {
        let progress = self.progress.as_ref();
        BaseReader { settings: &self.settings, clock: &self.clock, progress, stop }.read(sink)
    }

    /// Makes slot and base, and ends the commit that holds them.
    fn begin(
        &self,
        hole: Option<(Position, String)>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<Option<Position>, ReadError> {
        let mut connection = self.replication()?;
        if hole.is_some() {
            slot::replace(&mut connection, &self.settings.slot)?;
        } else {
            slot::ensure(&mut connection, &self.settings.slot)?;
        }
        let identity = connection.identify_system().map_err(failure::wire)?;
        if identity.timeline > 1 {
            let (name, content) = connection.timeline_history(identity.timeline).map_err(failure::wire)?;
            store_history(sink, &name, &content)?;
        }
        drop(connection);
        let Some(base) = self.base(sink, stop)? else { return Ok(None) };
        let start = base.start_lsn - base.start_lsn % u64::from(base.wal_segment_bytes);
        let position = Position {
            system_identifier: base.system_identifier,
            timeline: base.timeline,
            lsn: start,
            index_lsn: None,
        };
        if let Some((lost_at, reason)) = hole {
            self.store_hole(&lost_at, start, reason, sink)?;
        }
        sink.checkpoint(&cursor(&position)?)?;
        Ok(Some(position))
    }

    fn store_hole(
        &self,
        lost_at: &Position,
        to_lsn: u64,
        reason: String,
        sink: &mut dyn ChangeSink,
    ) -> Result<(), ReadError> {
        let hole = Hole {
            timeline: lost_at.timeline,
            from_lsn: lost_at.lsn,
            to_lsn,
            reason,
            noticed_at: self.clock.now(),
        };
        let item = Item {
            stream: layout::holes_stream().map_err(failure::named)?,
            key: layout::lsn_key(hole.from_lsn),
            attributes: serde_json::to_string(&hole).map_err(failure::described)?,
        };
        sink.upsert(item, Layout::Small, &mut std::io::empty())?;
        let text = format!(
            "a hole: the log from {} to {} is lost, and no moment inside it can be restored; {}",
            Lsn(hole.from_lsn),
            Lsn(hole.to_lsn),
            hole.reason
        );
        Ok(sink.event(remark(hole.from_lsn, hole.noticed_at, text))?)
    }

    fn replication(&self) -> Result<Connection, ReadError> {
        let target = self.settings.replication_connection();
        let mode = Mode::PhysicalReplication;
        Connection::connect(&target, mode, &Limits::default(), Arc::clone(&self.clock)).map_err(failure::wire)
    }

    /// Ends with the first finding that stands in the way.
    fn require_good(&self) -> Result<(), ReadError> {
        let facts = check::gather(&self.settings, &self.clock).map_err(failure::wire)?;
        let mut findings = check::judge(&facts, &self.settings).into_iter();
        match findings.find(|finding| finding.standing == Standing::Bad) {
            None => Ok(()),
            Some(Finding { subject, evidence, fix, .. }) => Err(ReadError::Source {
                message: format!("not true: {subject} ({evidence})"),
                hint: fix,
                transient: false,
                source: None,
            }),
        }
    }
}

impl SourceReader for ClusterReader {
    fn meter(&self) -> Option<Arc<dyn QuotaMeter>> {
        Some(Arc::clone(&self.meter) as Arc<dyn QuotaMeter>)
    }

    fn changes(
        &mut self,
        cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let mut position = if let Some(cursor) = cursor {
            if self.begins_with_base {
                if self.refresh_base(cursor, sink, stop)?.is_none() {
                    return Ok(ReadEnd::Stopped);
                }
                // A reader that goes on after a failure has it already.
                self.begins_with_base = false;
            }
            parse_position(cursor)?
        } else {
            self.require_good()?;
            match self.begin(None, sink, stop)? {
                Some(position) => position,
                None => return Ok(ReadEnd::Stopped),
            }
        };
        let sightings = Arc::clone(&self.sightings);
        let _sampler = self.settings.monitor.clone().map(|monitor| {
            let interval = self.settings.sampling_interval;
            Sampler::start(monitor, interval, Arc::clone(&self.clock), Arc::clone(&sightings))
        });
        let mut chronicle = Chronicle::new(&self.settings, Arc::clone(&self.clock), sightings);
        chronicle.recall(&self.known_relations);
        let end_lsn = self.end_lsn()?;
        loop {
            let (settings, clock) = (&self.settings, &self.clock);
            let asked = (stop, &self.urge);
            let mut follower =
                Follower::new(settings, clock, asked, sink, &mut chronicle, (&self.meter, position))?;
            let end = follower.run(end_lsn);
            let stands = follower.position();
            match end {
                Err(ReadError::Hole { from, .. }) => {
                    let reason = format!(
                        "the server no longer had the log from {from}: the slot {} was lost or dropped",
                        self.settings.slot
                    );
                    match self.begin(Some((stands, reason)), sink, stop)? {
                        Some(next) => position = next,
                        None => return Ok(ReadEnd::Stopped),
                    }
                }
                end => return end,
            }
        }
    }
}

fn cursor(position: &Position) -> Result<Cursor, ReadError> {
    serde_json::to_string(position).map(Cursor).map_err(failure::described)
}

fn parse_position(cursor: &Cursor) -> Result<Position, ReadError> {
    serde_json::from_str(&cursor.0)
        .map_err(|error| failure::broken("the stored position of this source cannot be read", error))
}
