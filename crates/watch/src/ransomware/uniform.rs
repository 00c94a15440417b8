//! How even the bytes of a stretch are: ciphertext uses all values alike, and so does what is well compressed.

/// Below this a stretch counts as uniform. Of even bytes it is 255 with a deviation of 23, however many there are; text
/// and programs have thousands.
pub(super) const UNIFORM_BELOW: u16 = 400;
/// Fewer bytes than these say nothing.
const BYTES_MIN: u64 = 32;

/// How often each byte occurs.
#[derive(Clone)]
pub(super) struct Histogram(pub(super) [u32; 256]);

impl Histogram {
    pub(super) const fn new() -> Self {
        Self([0; 256])
    }

    /// Counts bytes; four tables, so that one count need not wait for the one before, and small ones, so that making
    /// and adding them up is soon done.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut all = Self::new();
        for part in bytes.chunks(4 * usize::from(u16::MAX)) {
            let mut tables = [[0_u16; 256]; 4];
            let (quads, rest) = part.as_chunks::<4>();
            for quad in quads {
                for (table, byte) in tables.iter_mut().zip(quad) {
                    table[usize::from(*byte)] += 1;
                }
            }
            for (table, byte) in tables.iter_mut().zip(rest) {
                table[usize::from(*byte)] += 1;
            }
            let [first, second, third, fourth] = &tables;
            for (index, count) in all.0.iter_mut().enumerate() {
                *count +=
                    [first, second, third, fourth].map(|table| u32::from(table[index])).iter().sum::<u32>();
            }
        }
        all
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns Pearson's chi-square against even bytes; the largest number for too few bytes.
    pub(super) fn chi_square(&self) -> u16 {
        chi_square(&self.0)
    }

    /// Returns the share of bytes that a test holds for.
    pub(super) fn share(&self, holds: impl Fn(u8) -> bool) -> f64 {
        let held: u64 =
            (0..=255_u8).filter(|byte| holds(*byte)).map(|byte| u64::from(self.0[usize::from(byte)])).sum();
        held as f64 / self.total().max(1) as f64
    }

    /// Tells whether the bytes are random ones written as letters and digits: nothing else occurs but line breaks, and
    /// each of the 64 or 16 characters as often as any other. Text that was merely encoded is not as even.
    pub(super) fn is_armoured(&self) -> bool {
        if self.total() < ARMOUR_BYTES_MIN {
            return false;
        }
        // Nearly all content has too much that is in none of the alphabets.
        let strange = |byte: u8| !byte.is_ascii_alphanumeric() && !b"+/-_\n\r=".contains(&byte);
        if self.share(strange) > 1.0 - ARMOUR_SHARE_MIN {
            return false;
        }
        let upper_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        let base64_url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
        self.is_even_over(&base64)
            || self.is_even_over(&base64_url)
            || self.is_even_over(&base32)
            || self.is_even_over(&lower_hex)
            || self.is_even_over(&upper_hex)
    }

    fn is_even_over(&self, alphabet: &dyn Fn(u8) -> bool) -> bool {
        let ends = |byte: u8| matches!(byte, b'\n' | b'\r' | b'=');
        let letters: Vec<u32> =
            (0..=255_u8).filter(|byte| alphabet(*byte)).map(|byte| self.0[usize::from(byte)]).collect();
        // A stray quote or label around it changes nothing.
        if self.share(|byte| alphabet(byte) || ends(byte)) < ARMOUR_SHARE_MIN {
            return false;
        }
        let freedom = letters.len() as f64 - 1.0;
        f64::from(chi_square(&letters)) < freedom + 6.0 * (2.0 * freedom).sqrt()
    }
}

const ARMOUR_BYTES_MIN: u64 = 256;
const ARMOUR_SHARE_MIN: f64 = 0.995;
/// Squares of so many, 256 times, are no overflow.
const NARROW_MAX: u64 = 1 << 24;

/// Returns chi-square of counts against all of them being alike, as a whole number.
fn chi_square(counts: &[u32]) -> u16 {
    let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    if total < BYTES_MIN {
        return u16::MAX;
    }
    if total <= NARROW_MAX {
        let squares: u64 = counts.iter().map(|count| u64::from(*count) * u64::from(*count)).sum();
        let scaled = squares * counts.len() as u64 / total;
        return u16::try_from(scaled.saturating_sub(total)).unwrap_or(u16::MAX);
    }
    let squares: u128 = counts.iter().map(|count| u128::from(*count) * u128::from(*count)).sum();
    let scaled = squares * counts.len() as u128 / u128::from(total);
    u16::try_from(scaled.saturating_sub(u128::from(total))).unwrap_or(u16::MAX)
}

/// Tells whether bytes are as even as ciphertext.
pub(super) fn is_uniform(chi_square: u16) -> bool {
    chi_square < UNIFORM_BELOW
}

#[cfg(test)]
mod tests {
    use super::{super::tests::noise, *};

    fn text(bytes: usize) -> Vec<u8> {
        b"It was a bright cold day in April, and the clocks were striking thirteen.\n"
            .iter()
            .copied()
            .cycle()
            .take(bytes)
            .collect()
    }

    #[test]
    fn noise_is_uniform_at_every_length_and_text_at_none() {
        for bytes in [64, 256, 1000, 2048, 1 << 20] {
            assert!(is_uniform(Histogram::of(&noise(bytes, 7)).chi_square()), "{bytes}");
            assert!(!is_uniform(Histogram::of(&text(bytes)).chi_square()), "{bytes}");
        }
        assert_eq!(Histogram::of(&[1; 31]).chi_square(), u16::MAX);
    }

    #[test]
    fn letters_of_random_bytes_are_told_from_letters_of_words() {
        const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let encode = |bytes: &[u8]| -> Vec<u8> {
            bytes
                .chunks_exact(3)
                .flat_map(|three| {
                    let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
                    [18, 12, 6, 0].map(|shift| BASE64[(word >> shift & 63) as usize])
                })
                .collect()
        };
        assert!(Histogram::of(&encode(&noise(30_000, 3))).is_armoured());
        assert!(!Histogram::of(&encode(&text(30_000))).is_armoured());
        assert!(!Histogram::of(&text(30_000)).is_armoured());
        assert!(!Histogram::of(&noise(30_000, 3)).is_armoured());
        let hexadecimal: Vec<u8> =
            noise(9_000, 4).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect();
        assert!(Histogram::of(&hexadecimal).is_armoured());
    }
}
