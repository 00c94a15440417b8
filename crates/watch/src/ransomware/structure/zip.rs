//! Zip: members one after the other, then a directory of them, then its end.

use super::{End, Follow, Step, Structure, sound_if};

/// The part of a member's header behind its mark.
const HEADER_BYTES: usize = 26;

#[derive(Default)]
pub(super) struct Zip {
    state: State,
    /// What follows a member's name: its data, of this length.
    stored: u64,
    /// Whether a length was not told, and the rest could not be followed.
    lost: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Mark,
    Header,
    Names(usize),
}

impl Follow for Zip {
    fn first(&self) -> usize {
        4
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        match self.state {
            State::Mark => match bytes {
                b"PK\x03\x04" => {
                    self.state = State::Header;
                    Step::Take(HEADER_BYTES)
                }
                b"PK\x01\x02" | b"PK\x05\x06" | b"PK\x06\x06" | b"PK\x06\x08" => Step::End,
                // Checksum and lengths once more, behind the data.
                b"PK\x07\x08" => Step::Pass(12, 4),
                _ => Step::Broken,
            },
            State::Header => self.header(bytes),
            State::Names(name) => {
                if self.stored == u64::from(u32::MAX) {
                    let Some(length) = long_length(&bytes[name..]) else { return Step::Broken };
                    self.stored = length;
                }
                self.state = State::Mark;
                Step::Pass(self.stored, 4)
            }
        }
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        let found = end.tail.windows(4).rposition(|four| four == b"PK\x05\x06");
        let has_end = found.is_some_and(|at| end.tail.len() - at >= 22);
        sound_if(has_end && (end.ended || self.lost))
    }
}

impl Zip {
    fn header(&mut self, bytes: &[u8]) -> Step {
        const LENGTHS_FOLLOW: u16 = 8;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        self.stored = u64::from(u32::from_le_bytes([bytes[14], bytes[15], bytes[16], bytes[17]]));
        let (name, extra) = (usize::from(half(22)), usize::from(half(24)));
        if half(2) & LENGTHS_FOLLOW != 0 && self.stored == 0 {
            self.lost = true;
            return Step::End;
        }
        self.state = State::Names(name);
        if name + extra == 0 {
            return Step::Broken;
        }
        Step::Take(name + extra)
    }
}

/// Finds a member's length where it needs more than 32 bits.
fn long_length(mut extra: &[u8]) -> Option<u64> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let (id, length) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
        let (field, after) = rest.split_at_checked(usize::from(length))?;
        if id == 1 {
            return Some(u64::from_le_bytes(field.get(8..16)?.try_into().ok()?));
        }
        extra = after;
    }
    None
}
