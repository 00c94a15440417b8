use postgres_server::lsn;

/// A stretch of WAL that one timeline contributes to a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The timeline.
    pub timeline: u32,
    /// The position after its last byte on this branch.
    pub end: u64,
}

/// A timeline with its ancestors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The timeline at the end of the branch.
    pub timeline: u32,
    /// The stretches, oldest first; the last one is the timeline's own.
    pub pieces: Vec<Piece>,
}

/// What makes a timeline history file unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BranchError {
    /// The name is not that of a history file.
    #[error("{name:?} is not the name of a timeline history file")]
    Name {
        /// The name.
        name: String,
    },
    /// A line is not a timeline and a position.
    #[error("line {number} is not a timeline with its end")]
    Line {
        /// The line's number, from 1.
        number: usize,
    },
    /// Timelines or positions go backwards.
    #[error("line {number} lies before the line above it")]
    Order {
        /// The line's number, from 1.
        number: usize,
    },
}

impl Branch {
    /// Makes the branch of a timeline that has no known parent.
    pub fn root(timeline: u32) -> Self {
        Self { timeline, pieces: vec![Piece { timeline, end: u64::MAX }] }
    }

    /// Reads a history file such as `00000002.history`.
    pub fn parse(name: &str, content: &[u8]) -> Result<Self, BranchError> {
        let timeline = name
            .strip_suffix(".history")
            .filter(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| BranchError::Name { name: name.to_owned() })?;
        let mut pieces: Vec<Piece> = Vec::new();
        for (number, line) in (1..).zip(String::from_utf8_lossy(content).lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let parent = words.next().and_then(|word| word.parse::<u32>().ok());
            let end = words.next().and_then(lsn::parse);
            let (Some(parent), Some(end)) = (parent, end) else { return Err(BranchError::Line { number }) };
            let forward = pieces.last().is_none_or(|last| last.timeline < parent && last.end <= end);
            if !forward || parent >= timeline {
                return Err(BranchError::Order { number });
            }
            pieces.push(Piece { timeline: parent, end });
        }
        pieces.push(Piece { timeline, end: u64::MAX });
        Ok(Self { timeline, pieces })
    }

    /// Returns where the timeline leaves its parent; zero when it has none.
    pub fn origin_lsn(&self) -> u64 {
        let parents = self.pieces.split_last().map_or(&[][..], |(_, parents)| parents);
        parents.last().map_or(0, |parent| parent.end)
    }

    /// Returns the timeline on which a position of this branch lies.
    pub fn timeline_at(&self, lsn: u64) -> u32 {
        self.pieces.iter().find(|piece| lsn < piece.end).map_or(self.timeline, |piece| piece.timeline)
    }
}
