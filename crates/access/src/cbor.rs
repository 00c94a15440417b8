//! The little of CBOR that authenticators write: definite lengths, a few kinds, nothing twice.
//!
//! The bytes come from strangers: every length is checked against what is there, nesting is bounded, nothing panics.

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// A whole number.
    Integer(i64),
    /// A run of bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A list.
    Array(Vec<Value<'a>>),
    /// Pairs, each key once.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// True or false, or nothing.
    Simple(u8),
}

/// Why bytes are not such CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the CBOR of an authenticator: {0}")]
pub struct CborError(&'static str);

const DEPTH_MAX: usize = 4;

/// Reads one value from the front and returns it with what follows.
pub(crate) fn read(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), CborError> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(DEPTH_MAX)?;
    Ok((value, reader.rest))
}

/// Reads one value after which nothing follows.
pub(crate) fn read_all(bytes: &[u8]) -> Result<Value<'_>, CborError> {
    match read(bytes)? {
        (value, []) => Ok(value),
        _ => Err(CborError("something follows")),
    }
}

impl<'a> Value<'a> {
    /// Returns what a map has under a text.
    pub(crate) fn named(&self, name: &str) -> Option<&Self> {
        self.find(&Value::Text(name))
    }

    /// Returns what a map has under a number.
    pub(crate) fn numbered(&self, number: i64) -> Option<&Self> {
        self.find(&Value::Integer(number))
    }

    fn find(&self, key: &Value<'_>) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(found, _)| found == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) const fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) const fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the kind and the argument of the next value.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let &[first] = self.take(1)? else { return Err(CborError("it ends too early")) };
        let small = first & 0x1f;
        let width = match small {
            0..=23 => return Ok((first >> 5, u64::from(small))),
            24..=27 => 1_usize << (small - 24),
            _ => return Err(CborError("a length is missing")),
        };
        let argument = self.take(width)?.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        Ok((first >> 5, argument))
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, CborError> {
        let (kind, argument) = self.head()?;
        let length = usize::try_from(argument).unwrap_or(usize::MAX);
        let number = i64::try_from(argument);
        match kind {
            0 => number.map(Value::Integer).map_err(|_| CborError("a number is too large")),
            1 => number
                .map(|number| Value::Integer(-1 - number))
                .map_err(|_| CborError("a number is too small")),
            2 => self.take(length).map(Value::Bytes),
            3 => match std::str::from_utf8(self.take(length)?) {
                Ok(text) => Ok(Value::Text(text)),
                Err(_) => Err(CborError("a text is not UTF-8")),
            },
            4 | 5 if depth == 0 => Err(CborError("it is nested too deeply")),
            // A value takes at least one byte, so no more of them can follow than there are bytes.
            4 | 5 if length > self.rest.len() => Err(CborError("it ends too early")),
            4 => (0..length).map(|_| self.value(depth - 1)).collect::<Result<_, _>>().map(Value::Array),
            5 => self.map(length, depth - 1),
            7 if argument < 24 => Ok(Value::Simple(argument as u8)),
            _ => Err(CborError("there is a kind that authenticators do not write")),
        }
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value<'a>, CborError> {
        let mut pairs: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for _ in 0..length {
            let key = self.value(0)?;
            if pairs.len() >= PAIRS_MAX {
                return Err(CborError("there are too many keys"));
            }
            if pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(CborError("a key is there twice"));
            }
            pairs.push((key, self.value(depth)?));
        }
        Ok(Value::Map(pairs))
    }
}

const PAIRS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read() {
        let bytes = [0xa3, 0x01, 0x26, 0x61, b'x', 0x42, 7, 8, 0x20, 0x82, 0x18, 0xff, 0xf5];
        let value = read_all(&bytes).unwrap();
        assert_eq!(value.numbered(1).and_then(Value::integer), Some(-7));
        assert_eq!(value.named("x").and_then(Value::bytes), Some(&[7, 8][..]));
        assert_eq!(value.numbered(-1), Some(&Value::Array(vec![Value::Integer(255), Value::Simple(21)])));
    }

    #[test]
    fn what_lies_about_itself_is_refused() {
        for bad in [
            &[][..],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9f, 0xff],
            &[0xa2, 0x01, 0x01, 0x01, 0x02],
            &[0x61, 0xff],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0x01],
            &[0xa1, 0x80, 0x01],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xc0, 0x00],
            &[0x00, 0x00],
        ] {
            assert!(read_all(bad).is_err(), "{bad:?} was read");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((_, rest)) = read(&bytes) {
                prop_assert!(rest.len() < bytes.len());
            }
        }
    }
}
