//! JPEG: segments with marks; in what is coded, the byte 255 never stands alone.

use super::{End, Follow, Step, Structure, sound_if};

#[derive(Default)]
pub(super) struct Jpeg {
    state: State,
    /// The last byte that passed by.
    last: u8,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Start,
    /// Two bytes: a mark.
    Mark,
    /// Two bytes: the length of a segment; whether coded data follows.
    Length(bool),
    /// One byte: it and the length behind it are passed, then coded data is scanned.
    Coded,
}

impl Follow for Jpeg {
    fn first(&self) -> usize {
        2
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        match (self.state, bytes) {
            (State::Start, [0xff, 0xd8]) => {
                self.state = State::Mark;
                Step::Take(2)
            }
            (State::Mark, [0xff, mark]) => self.mark(*mark),
            (State::Length(coded), [high, low]) => {
                let length = u64::from(u16::from_be_bytes([*high, *low]));
                let Some(rest) = length.checked_sub(2) else { return Step::Broken };
                self.last = 0;
                if !coded {
                    self.state = State::Mark;
                    return Step::Pass(rest, 2);
                }
                let Some(rest) = rest.checked_sub(1) else { return Step::Broken };
                self.state = State::Coded;
                Step::Pass(rest, 1)
            }
            (State::Coded, _) => Step::Scan,
            _ => Step::Broken,
        }
    }

    fn scan(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while at < bytes.len() {
            if self.last != 0xff {
                let Some(found) = bytes[at..].iter().position(|byte| *byte == 0xff) else { break };
                at += found + 1;
                self.last = 0xff;
                continue;
            }
            match bytes[at] {
                0 | 0xd0..=0xd7 => self.last = 0,
                0xff => {}
                mark => return (at + 1, self.mark(mark)),
            }
            at += 1;
        }
        (bytes.len(), Step::Scan)
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.ended)
    }
}

impl Jpeg {
    const fn mark(&mut self, mark: u8) -> Step {
        match mark {
            0xd9 => Step::End,
            // Fill bytes may stand before a mark.
            0xff => Step::Take(2),
            0xda => {
                self.state = State::Length(true);
                Step::Take(2)
            }
            0xc0..=0xcf | 0xdb..=0xdf | 0xe0..=0xef | 0xfe => {
                self.state = State::Length(false);
                Step::Take(2)
            }
            _ => Step::Broken,
        }
    }
}
