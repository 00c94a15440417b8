//! The messages of `pgoutput`, protocol versions 1 to 4, as far as whoever counts needs them: rows are not unpacked.

/// What one message says. Numbers of transactions are those of the top level unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'m> {
    /// A transaction begins, all of which follows; it has committed already.
    Begin {
        /// Its number.
        transaction: u32,
    },
    /// The transaction that began is complete.
    Commit {
        /// Where the commit record begins.
        commit_lsn: u64,
        /// When, in microseconds since 2000.
        committed_at: i64,
    },
    /// A relation's name, before its first row and after each change.
    Relation {
        /// Its number.
        relation: u32,
        /// The schema.
        schema: &'m str,
        /// The name.
        name: &'m str,
    },
    /// A row of a relation was inserted.
    Insert {
        /// The subtransaction, inside of a stream.
        subtransaction: Option<u32>,
        /// The relation.
        relation: u32,
    },
    /// A row of a relation was updated.
    Update {
        /// The subtransaction, inside of a stream.
        subtransaction: Option<u32>,
        /// The relation.
        relation: u32,
    },
    /// A row of a relation was deleted.
    Delete {
        /// The subtransaction, inside of a stream.
        subtransaction: Option<u32>,
        /// The relation.
        relation: u32,
    },
    /// Relations were emptied.
    Truncate {
        /// The subtransaction, inside of a stream.
        subtransaction: Option<u32>,
        /// The relations.
        relations: Vec<u32>,
    },
    /// A part of a transaction that is still open follows.
    StreamStart {
        /// Its number.
        transaction: u32,
    },
    /// The part ends.
    StreamStop,
    /// A transaction that was told in parts committed.
    StreamCommit {
        /// Its number.
        transaction: u32,
        /// Where the commit record begins.
        commit_lsn: u64,
        /// When, in microseconds since 2000.
        committed_at: i64,
    },
    /// A transaction that was told in parts, or a subtransaction of it, was rolled back.
    StreamAbort {
        /// Its number.
        transaction: u32,
        /// The subtransaction; the transaction itself if all of it was.
        subtransaction: u32,
    },
    /// Something that changes no row: a type, an origin, a message of an application, a step of a two-phase commit.
    Other,
}

/// A message that breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message of pgoutput is cut short or malformed: {kind:?}")]
pub struct MalformedMessage {
    /// The message's first byte; none of an empty message.
    pub kind: Option<char>,
}

/// Reads messages one after the other: inside of a stream each says whose it is.
#[derive(Debug, Default)]
pub struct Decoder {
    in_stream: bool,
}

impl Decoder {
    /// Reads one message.
    pub fn read<'m>(&mut self, message: &'m [u8]) -> Result<Message<'m>, MalformedMessage> {
        let kind = message.first().copied().map(char::from);
        self.parse(&mut Words(message)).ok_or(MalformedMessage { kind })
    }

    fn parse<'m>(&mut self, words: &mut Words<'m>) -> Option<Message<'m>> {
        let kind = words.byte()?;
        let subtransaction = match kind {
            b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M' if self.in_stream => Some(words.u32()?),
            _ => None,
        };
        Some(match kind {
            b'B' => {
                words.skip(16)?;
                Message::Begin { transaction: words.u32()? }
            }
            b'C' => {
                words.skip(1)?;
                let commit_lsn = words.u64()?;
                words.skip(8)?;
                Message::Commit { commit_lsn, committed_at: words.u64()? as i64 }
            }
            b'R' => Message::Relation { relation: words.u32()?, schema: words.text()?, name: words.text()? },
            b'I' => Message::Insert { subtransaction, relation: words.u32()? },
            b'U' => Message::Update { subtransaction, relation: words.u32()? },
            b'D' => Message::Delete { subtransaction, relation: words.u32()? },
            b'T' => {
                let count = words.u32()?;
                words.skip(1)?;
                // A count that the message has no room for allocates nothing.
                let relations = words.numbers(count)?;
                Message::Truncate { subtransaction, relations }
            }
            b'S' => {
                let transaction = words.u32()?;
                words.skip(1)?;
                self.in_stream = true;
                Message::StreamStart { transaction }
            }
            b'E' => {
                self.in_stream = false;
                Message::StreamStop
            }
            b'c' => {
                let transaction = words.u32()?;
                words.skip(1)?;
                let commit_lsn = words.u64()?;
                words.skip(8)?;
                Message::StreamCommit { transaction, commit_lsn, committed_at: words.u64()? as i64 }
            }
            // Version 4 adds where and when.
            b'A' => Message::StreamAbort { transaction: words.u32()?, subtransaction: words.u32()? },
            b'O' | b'Y' | b'M' | b'b' | b'P' | b'K' | b'r' | b'p' => Message::Other,
            _ => return None,
        })
    }
}

/// The rest of a message.
struct Words<'m>(&'m [u8]);

impl<'m> Words<'m> {
    fn take(&mut self, bytes: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.take(bytes).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'m str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(self.take(end)?).ok()?;
        self.skip(1)?;
        Some(text)
    }

    fn numbers(&mut self, count: u32) -> Option<Vec<u32>> {
        let bytes = self.take(usize::try_from(count).ok()?.checked_mul(4)?)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_of_a_stream_each_message_says_whose_it_is() {
        let mut decoder = Decoder::default();
        let delete = [b'D', 0, 0, 0, 9, b'K', 0, 0];
        assert_eq!(decoder.read(&delete), Ok(Message::Delete { subtransaction: None, relation: 9 }));
        assert_eq!(decoder.read(&[b'S', 0, 0, 0, 7, 1]), Ok(Message::StreamStart { transaction: 7 }));
        let within = [b'D', 0, 0, 0, 8, 0, 0, 0, 9, b'K', 0, 0];
        assert_eq!(decoder.read(&within), Ok(Message::Delete { subtransaction: Some(8), relation: 9 }));
        assert_eq!(decoder.read(b"E"), Ok(Message::StreamStop));
        assert_eq!(decoder.read(&delete), Ok(Message::Delete { subtransaction: None, relation: 9 }));
    }

    #[test]
    fn a_count_without_its_numbers_is_refused() {
        let mut decoder = Decoder::default();
        let many = [b'T', 255, 255, 255, 255, 0, 0, 0, 0, 1];
        assert_eq!(decoder.read(&many), Err(MalformedMessage { kind: Some('T') }));
        assert_eq!(decoder.read(b""), Err(MalformedMessage { kind: None }));
        assert_eq!(decoder.read(b"?"), Err(MalformedMessage { kind: Some('?') }));
        let two = [b'T', 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(decoder.read(&two), Ok(Message::Truncate { subtransaction: None, relations: vec![1, 2] }));
    }
}
