//! One session with the server: who it is, which timeline it is on, and the stream.

use std::time::Duration;

use connect::{ChangeSink, ReadError};
use model::{Item, Layout};
use postgres_wal::{Lsn, SegmentSize};
use postgres_wire::{Connection, SystemIdentity, WalMessage, WalStream, WireError};

use super::{Follower, Interruption, LOOK, SILENCE_MAX, STATUS_INTERVAL, SessionEnd};
use crate::{
    base, failure, layout, slot,
    timeline::{Course, History},
};

/// What is taken from the socket before it is made durable, at most.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What one look at the stream showed.
enum Look {
    Nothing,
    Batch { start_lsn: u64 },
    Asked,
    End { next_timeline: u32, switch_lsn: u64 },
}

impl Follower<'_> {
    /// Connects, finds its way to the server's timeline, and streams.
    pub(super) fn session(&mut self) -> Result<SessionEnd, Interruption> {
        let mut connection = self.connect()?;
        let identity = connection.identify_system()?;
        self.check_identity(&identity)?;
        self.live_from = identity.flushed_lsn;
        self.meter.bound(slot::require_bound(&mut connection)?);
        let segment = SegmentSize::new(u64::from(base::segment_bytes(&mut connection)?))
            .map_err(|error| failure::broken("the server's segments are unusable", error))?;
        let major = connection.major();
        self.prepare_scan(major, segment)?;
        if identity.timeline > 1 {
            let (name, content) = connection.timeline_history(identity.timeline)?;
            store_history(self.sink, &name, &content)?;
            self.choose_timeline(&identity, &content)?;
        } else {
            self.check_position(&identity)?;
        }
        let mut start = self.resume_lsn();
        let mut renewed = false;
        loop {
            let timeline = self.timeline;
            match connection.start_physical(Some(&self.settings.slot), start, timeline) {
                Ok(stream) => match self.stream(stream, start) {
                    // Some servers say this only in the stream. What is durable already needs no server to be understood.
                    Err(Interruption::WalRemoved) if start < self.durable => {
                        self.shorten_scan(major)?;
                        start = self.durable;
                        connection = self.connect()?;
                    }
                    end => {
                        let Some((next_timeline, switch_lsn)) = end? else { return Ok(SessionEnd::Stopped) };
                        self.leave_timeline(&mut connection, next_timeline, switch_lsn)?;
                        return Ok(SessionEnd::NextTimeline);
                    }
                },
                Err(WireError::SlotMissing { .. } | WireError::SlotInvalidated { .. }) if !renewed => {
                    renewed = true;
                    slot::replace(&mut connection, &self.settings.slot)?;
                }
                Err(WireError::WalRemoved { .. }) if start < self.durable => {
                    self.shorten_scan(major)?;
                    start = self.durable;
                    // An error in starting may leave the session without use.
                    if !connection.is_usable() {
                        connection = self.connect()?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reading again starts where the scan stopped, or where it must begin.
    fn resume_lsn(&self) -> u64 {
        if self.read_from < self.durable { self.read_from } else { self.durable }
    }

    fn check_identity(&self, identity: &SystemIdentity) -> Result<(), ReadError> {
        let (stored, found) = (self.committed.system_identifier, identity.system_identifier);
        if stored == found {
            return Ok(());
        }
        Err(failure::refused(
            format!("another cluster answers: system identifier {found}, protected is {stored}"),
            "check the address; to protect the new cluster, add it as a source of its own: unwipe protect NAME postgres --url URL",
        ))
    }

    /// On one and the same timeline a server cannot be behind what it once sent.
    fn check_position(&self, identity: &SystemIdentity) -> Result<(), ReadError> {
        if identity.timeline < self.timeline {
            return Err(failure::refused(
                format!(
                    "the server is on timeline {}, stored is timeline {}",
                    identity.timeline, self.timeline
                ),
                "it is an older branch: check the address, or protect it as a source of its own",
            ));
        }
        if identity.timeline == self.timeline && identity.flushed_lsn < self.durable {
            return Err(failure::refused(
                format!(
                    "the server is at {}, stored is WAL up to {} of the same timeline: it was put back to an earlier state",
                    Lsn(identity.flushed_lsn),
                    Lsn(self.durable)
                ),
                "protect the restored server as a source of its own: unwipe protect NAME postgres --url URL",
            ));
        }
        Ok(())
    }

    /// Goes over to the server's branch where ours is not part of its past.
    fn choose_timeline(&mut self, identity: &SystemIdentity, history: &[u8]) -> Result<(), ReadError> {
        if identity.timeline <= self.timeline {
            return self.check_position(identity);
        }
        let history = History::parse(&String::from_utf8_lossy(history))
            .map_err(|error| failure::broken("the server's timeline history cannot be read", error))?;
        match history.course(self.timeline, self.durable, identity.timeline) {
            Course::Rest => Ok(()),
            Course::Branch { timeline, fork_lsn } => {
                self.chronicle.take_fork(self.timeline, self.durable, timeline, fork_lsn, self.clock.now());
                self.enter_timeline(timeline, fork_lsn)
            }
            Course::Unrelated => Err(failure::refused(
                format!(
                    "timeline {} of the server does not descend from timeline {}, which is stored",
                    identity.timeline, self.timeline
                ),
                "check the address, or protect it as a source of its own",
            )),
        }
    }

    fn leave_timeline(
        &mut self,
        connection: &mut Connection,
        next_timeline: u32,
        switch_lsn: u64,
    ) -> Result<(), Interruption> {
        if switch_lsn != self.durable {
            return Err(Interruption::Final(failure::refused(
                format!(
                    "timeline {} ended at {}, but WAL up to {} was received",
                    self.timeline,
                    Lsn(switch_lsn),
                    Lsn(self.durable)
                ),
                "read again",
            )));
        }
        let (name, content) = connection.timeline_history(next_timeline)?;
        store_history(self.sink, &name, &content)?;
        self.enter_timeline(next_timeline, switch_lsn)?;
        Ok(())
    }

    /// The first segment of a timeline repeats what the old one wrote before the switch: its own file begins there.
    fn enter_timeline(&mut self, timeline: u32, switch_lsn: u64) -> Result<(), ReadError> {
        self.checkpoint()?;
        let start = Lsn(switch_lsn).segment_start(self.segment).0;
        if let Some(scan) = &mut self.scan {
            scan.switch_timeline(start, switch_lsn);
        }
        let stream = layout::wal_stream(timeline).map_err(failure::named)?;
        self.tail = self.sink.tail(&stream)?.filter(|tail| !tail.bytes.is_empty());
        let end = self.tail.as_ref().map_or(0, |tail| tail.offset + tail.bytes.len() as u64);
        (self.timeline, self.read_from, self.durable) = (timeline, start, start.max(end));
        self.checkpoint()
    }

    /// Streams until asked to end (nothing) or to the end of the timeline.
    fn stream(
        &mut self,
        mut stream: WalStream<'_>,
        start_lsn: u64,
    ) -> Result<Option<(u32, u64)>, Interruption> {
        let mut expected = start_lsn;
        let mut heard_at = self.clock.elapsed();
        let mut told_at = heard_at;
        // The slot keeps what is needed from the first word on. A timeline that ends just here takes no word.
        match stream.send_status(self.durable, self.durable, self.durable, false) {
            Ok(()) => self.meter.told(self.durable),
            Err(WireError::Unusable) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            if self.stop.is_requested() || self.is_up_to_date() {
                stream.send_status(self.durable, self.durable, self.durable, false)?;
                self.meter.told(self.durable);
                // What goes wrong with a goodbye changes nothing.
                drop(stream.stop());
                return Ok(None);
            }
            let look = self.look(&mut stream, expected)?;
            let now = self.clock.elapsed();
            let mut tell = now.saturating_sub(told_at) >= STATUS_INTERVAL;
            let mut ask = false;
            match look {
                Look::Nothing => ask = silence(now, heard_at, told_at)?,
                Look::Asked => tell = true,
                Look::End { next_timeline, switch_lsn } => return Ok(Some((next_timeline, switch_lsn))),
                Look::Batch { start_lsn } => {
                    let stored = self.store(start_lsn)?;
                    expected = start_lsn + self.batch.len() as u64;
                    tell |= stored;
                }
            }
            if !matches!(look, Look::Nothing) {
                heard_at = now;
            }
            if tell || ask {
                stream.send_status(self.durable, self.durable, self.durable, ask)?;
                self.meter.told(self.durable);
                told_at = now;
            }
            match look {
                Look::Batch { .. } => self.scan_batch(expected)?,
                // The last counts of a transaction that pauses may have come too soon after those before.
                _ => self.glimpse_underway()?,
            }
            self.chronicle.poll();
            if self.checkpoint_is_due() {
                self.checkpoint()?;
            }
        }
    }

    /// Takes what the socket has into the batch; waits a little when it has nothing.
    fn look(&mut self, stream: &mut WalStream<'_>, expected: u64) -> Result<Look, Interruption> {
        self.batch.clear();
        let mut timeout = LOOK;
        loop {
            let message = match stream.next(timeout) {
                Err(error) if self.batch.is_empty() => return Err(error.into()),
                Err(error) => {
                    // A connection that breaks must not take along what arrived before.
                    self.store(expected)?;
                    self.scan_batch(expected + self.batch.len() as u64)?;
                    return Err(error.into());
                }
                Ok(message) => message,
            };
            match message {
                Some(WalMessage::Data { start_lsn, server_end_lsn, data, .. }) => {
                    self.meter.server_at(server_end_lsn);
                    let next = expected + self.batch.len() as u64;
                    if start_lsn != next {
                        return Err(Interruption::Final(failure::refused(
                            format!("the server sent WAL at {} instead of {}", Lsn(start_lsn), Lsn(next)),
                            "read again",
                        )));
                    }
                    self.batch.extend_from_slice(data);
                }
                Some(WalMessage::Keepalive { server_end_lsn, reply_requested, .. })
                    if self.batch.is_empty() =>
                {
                    self.meter.server_at(server_end_lsn);
                    return Ok(if reply_requested {
                        Look::Asked
                    } else {
                        Look::Batch { start_lsn: expected }
                    });
                }
                // A batch is acknowledged anyway.
                Some(WalMessage::Keepalive { server_end_lsn, .. }) => self.meter.server_at(server_end_lsn),
                Some(WalMessage::EndOfTimeline { next_timeline, switch_lsn }) => {
                    if !self.batch.is_empty() {
                        self.store(expected)?;
                        self.scan_batch(expected + self.batch.len() as u64)?;
                    }
                    return Ok(Look::End { next_timeline, switch_lsn });
                }
                None if self.batch.is_empty() => return Ok(Look::Nothing),
                None => return Ok(Look::Batch { start_lsn: expected }),
            }
            if self.batch.len() >= BATCH_BYTES_MAX || !stream.is_ready().unwrap_or(false) {
                return Ok(Look::Batch { start_lsn: expected });
            }
            timeout = Duration::ZERO;
        }
    }
}

/// Returns whether a silent server should be asked for a sign of life; one that does not answer is given up.
fn silence(now: Duration, heard_at: Duration, told_at: Duration) -> Result<bool, WireError> {
    let silent_for = now.saturating_sub(heard_at);
    if silent_for >= 2 * SILENCE_MAX {
        return Err(WireError::TimedOut { waited: silent_for });
    }
    Ok(silent_for >= SILENCE_MAX && now.saturating_sub(told_at) >= SILENCE_MAX / 3)
}

/// Stores a timeline's history file.
pub(crate) fn store_history(sink: &mut dyn ChangeSink, name: &str, content: &[u8]) -> Result<(), ReadError> {
    let stream = layout::history_stream().map_err(failure::named)?;
    let item = Item { stream, key: name.to_owned(), attributes: "{}".to_owned() };
    let mut content = content;
    sink.upsert(item, Layout::Small, &mut content)?;
    Ok(())
}
