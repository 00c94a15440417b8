//! Timelines: which branch a server is on, and where ours and its part.

use postgres_wal::Lsn;

#[cfg(test)]
mod tests;

/// The ancestors of a timeline, oldest first: each with the position where the next one begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    switches: Vec<(u32, u64)>,
}

/// A line of a timeline history file that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a timeline history file has the line {line:?}")]
pub(crate) struct HistoryError {
    line: String,
}

/// Where reading goes on when a server is on another timeline than we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Our timeline runs on to where the next one begins: first read its rest.
    Rest,
    /// The server forked before our position: what we hold beyond stays as it is, and the other branch is read from
    /// the fork.
    Branch {
        /// The timeline that the server took instead of ours.
        timeline: u32,
        /// Where it begins.
        fork_lsn: u64,
    },
    /// The server's history does not lead anywhere from ours.
    Unrelated,
}

impl History {
    /// Reads a timeline history file.
    pub(crate) fn parse(text: &str) -> Result<Self, HistoryError> {
        let mut switches: Vec<(u32, u64)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut fields = line.split_whitespace();
            let timeline = fields.next().and_then(|field| field.parse::<u32>().ok());
            let lsn = fields.next().and_then(|field| field.parse::<Lsn>().ok());
            let (Some(timeline), Some(lsn)) = (timeline, lsn) else {
                return Err(HistoryError { line: line.chars().take(200).collect() });
            };
            if switches.last().is_some_and(|&(last, _)| last >= timeline) {
                return Err(HistoryError { line: line.chars().take(200).collect() });
            }
            switches.push((timeline, lsn.0));
        }
        Ok(Self { switches })
    }

    /// Decides how to go on from `lsn` of `timeline` towards the server's timeline `target`, whose history this is.
    pub(crate) fn course(&self, timeline: u32, lsn: u64, target: u32) -> Course {
        let chain = self.switches.iter().map(|&(timeline, _)| timeline).chain([target]);
        let following = |(position, _): (usize, &(u32, u64))| chain.clone().nth(position + 1);
        let ours = self.switches.iter().enumerate().find(|(_, switch)| switch.0 == timeline);
        if let Some((position, &(_, fork_lsn))) = ours {
            if lsn <= fork_lsn {
                return Course::Rest;
            }
            let next = following((position, &(timeline, fork_lsn)));
            return next.map_or(Course::Unrelated, |timeline| Course::Branch { timeline, fork_lsn });
        }
        // Ours is a branch that died: the server's own begins where it left our common ancestor.
        let ancestor = self.switches.iter().enumerate().rfind(|(_, switch)| switch.0 < timeline);
        match ancestor {
            Some((position, switch)) if timeline < target => following((position, switch))
                .map_or(Course::Unrelated, |timeline| Course::Branch { timeline, fork_lsn: switch.1 }),
            _ => Course::Unrelated,
        }
    }
}
