//! Whether a file is put together as its kind asks for, followed while it streams by.

mod blocks;
mod jpeg;
mod zip;

use super::kind::Kind;

/// How a file is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Structure {
    /// Its kind has no structure that is known here, or too little of it was seen.
    Unknown = 0,
    /// As its kind asks for.
    Sound = 1,
    /// Not so: the beginning is of a kind that the rest is not.
    Broken = 2,
}

impl Structure {
    pub(super) const fn of_number(number: u8) -> Self {
        match number {
            1 => Self::Sound,
            2 => Self::Broken,
            _ => Self::Unknown,
        }
    }
}

/// What is to come next of a file.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// So many bytes, to be looked at together.
    Take(usize),
    /// So many bytes that pass by, then so many to be looked at.
    Pass(u64, usize),
    /// Whatever [`Follow::scan`] finds.
    Scan,
    /// Nothing more is of interest.
    End,
    /// This is not a file of its kind.
    Broken,
}

/// How a file ended.
pub(super) struct End<'a> {
    /// Whether its structure came to an end.
    ended: bool,
    /// Whether it ends between two parts.
    between: bool,
    /// How many bytes it has.
    length: u64,
    /// Its last bytes.
    tail: &'a [u8],
}

/// Follows one kind of file.
pub(super) trait Follow: Send {
    /// How many bytes are looked at first.
    fn first(&self) -> usize;

    /// Looks at the bytes that were asked for, and says what is to come next.
    fn look(&mut self, bytes: &[u8]) -> Step;

    /// Sees bytes that pass by.
    fn passing(&mut self, _bytes: &[u8]) {}

    /// Looks for what ends a stretch of unknown length; returns how many bytes belong to it, and what is to come then.
    fn scan(&mut self, bytes: &[u8]) -> (usize, Step) {
        (bytes.len(), Step::Scan)
    }

    /// Judges at the end.
    fn judge(&self, end: &End<'_>) -> Structure;
}

/// Leads a follower through the content.
pub(super) struct Walk {
    follow: Box<dyn Follow>,
    held: Vec<u8>,
    want: usize,
    pass: u64,
    scans: bool,
    /// How many bytes went by.
    length: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Ended,
    Broken,
}

impl Walk {
    pub(super) fn of(kind: Kind) -> Option<Self> {
        let follow: Box<dyn Follow> = match kind {
            Kind::Zip => Box::new(zip::Zip::default()),
            Kind::Jpeg => Box::new(jpeg::Jpeg::default()),
            Kind::Png => Box::new(blocks::Png::default()),
            Kind::Mp4 => Box::new(blocks::Mp4::default()),
            Kind::Riff => Box::new(blocks::Riff::default()),
            Kind::Ogg => Box::new(blocks::Ogg::default()),
            Kind::Tar => Box::new(blocks::Tar),
            Kind::Sqlite => Box::new(blocks::Sqlite::default()),
            Kind::Pdf => Box::new(blocks::Pdf),
            Kind::Gzip => Box::new(blocks::Gzip),
            _ => return None,
        };
        Some(Self::new(follow))
    }

    fn new(follow: Box<dyn Follow>) -> Self {
        let want = follow.first();
        Self { follow, held: Vec::new(), want, pass: 0, scans: false, length: 0, state: State::Going }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() && self.state == State::Going {
            if self.pass > 0 {
                let here = usize::try_from(self.pass).unwrap_or(usize::MAX).min(bytes.len());
                self.follow.passing(&bytes[..here]);
                self.pass -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            if self.scans {
                let (used, step) = self.follow.scan(bytes);
                bytes = &bytes[used..];
                self.take(step);
                continue;
            }
            let (now, later) = bytes.split_at((self.want - self.held.len()).min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == self.want {
                let step = self.follow.look(&self.held);
                self.held.clear();
                self.take(step);
            }
        }
    }

    fn take(&mut self, step: Step) {
        self.scans = matches!(step, Step::Scan);
        (self.pass, self.want) = match step {
            Step::Scan => (0, 1),
            Step::Take(want) => (0, want.max(1)),
            Step::Pass(pass, want) => (pass, want.max(1)),
            Step::End => return self.state = State::Ended,
            Step::Broken => return self.state = State::Broken,
        };
    }

    pub(super) fn finish(&self, tail: &[u8]) -> Structure {
        if self.state == State::Broken {
            return Structure::Broken;
        }
        let end = End {
            ended: self.state == State::Ended,
            between: self.held.is_empty() && self.pass == 0,
            length: self.length,
            tail,
        };
        self.follow.judge(&end)
    }
}

pub(super) const fn sound_if(sound: bool) -> Structure {
    if sound { Structure::Sound } else { Structure::Broken }
}
