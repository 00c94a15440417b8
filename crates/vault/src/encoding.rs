//! The primitive encodings: fixed and variable-length numbers, bytes, text.

/// Bytes that do not follow the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the data ends in the middle of {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The object begins with other bytes than its kind demands.
    #[error("this is not a {what}")]
    Magic {
        /// The kind expected.
        what: &'static str,
    },
    /// The object was written by another version of the format.
    #[error("{what} has format version {found}; this program reads version {supported}")]
    Version {
        /// The kind of object.
        what: &'static str,
        /// The version it has.
        found: u16,
        /// The version that can be read.
        supported: u16,
    },
    /// A value is outside of what the format allows.
    #[error("{what} is out of range")]
    Range {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes follow where the structure ends.
    #[error("{count} bytes follow the end of {what}")]
    Trailing {
        /// The structure.
        what: &'static str,
        /// How many bytes follow.
        count: usize,
    },
}

/// The version of the format that this program reads and writes.
pub const VERSION: u16 = 1;

/// Appends numbers, bytes and text to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns how many bytes were written.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends eight bytes.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends an unsigned LEB128 number.
    pub fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    /// Appends a signed number with small magnitude.
    pub fn zigzag(&mut self, value: i64) -> &mut Self {
        self.varint((value.wrapping_shl(1) ^ (value >> 63)) as u64)
    }

    /// Appends a length and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as u64).raw(bytes)
    }

    /// Appends a length and that much text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }
}

/// Takes numbers, bytes and text from a buffer; never reads past its end.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from `bytes`; `what` names the structure in errors.
    pub const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// Checks an object's magic and version.
    pub fn header(&mut self, magic: &[u8; 8]) -> Result<(), DecodeError> {
        if self.array::<8>().ok().as_ref() != Some(magic) {
            return Err(DecodeError::Magic { what: self.what });
        }
        match self.u16()? {
            VERSION => Ok(()),
            found => Err(DecodeError::Version { what: self.what, found, supported: VERSION }),
        }
    }

    /// Takes so many bytes.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) =
            self.rest.split_at_checked(length).ok_or(DecodeError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes a byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// Takes two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes eight bytes.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    /// Takes an unsigned LEB128 number in its shortest form.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7F);
            let fits = shift < 63 || part <= 1;
            let shortest = byte != 0 || shift == 0;
            if !fits || !shortest {
                return Err(self.range());
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.range())
    }

    /// Takes a signed number.
    pub fn zigzag(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Takes a length of at most `max` and that many bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= max => self.raw(length),
            _ => Err(self.range()),
        }
    }

    /// Takes a length of at most `max` and that much UTF-8.
    pub fn text(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| self.range())
    }

    /// Takes a count of things that need at least `bytes_each`; more than can follow is refused before any allocation.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, DecodeError> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / bytes_each => Ok(count),
            _ => Err(self.range()),
        }
    }

    /// Returns how many bytes are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Returns the error for a value that the format does not allow.
    pub const fn range(&self) -> DecodeError {
        DecodeError::Range { what: self.what }
    }

    /// Checks that nothing is left.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { what: self.what, count }),
        }
    }
}

#[cfg(test)]
mod tests;
