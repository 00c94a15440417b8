//! The texts that S3 puts values into.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::fmt::rfc2822::DateTimeParser;
use model::Moment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::digest;

/// A SHA-256 digest.
pub(super) type Sha256 = [u8; 32];

pub(super) fn sha256(bytes: &[u8]) -> Sha256 {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    digest
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads a digest that a store tells; what is none is nothing.
pub(super) fn digest_from_base64(text: &str) -> Option<Sha256> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Escapes a query's name or value.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Undoes the escapes of a listing; what is no valid escape stays as it is.
pub(super) fn unescape(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Rounds a lock up to the whole second that S3 can express: never shorter than asked for.
pub(super) const fn whole_second(moment: Moment) -> Moment {
    const SECOND: i64 = 1_000_000;
    let micros = moment.as_micros();
    let rest = micros.rem_euclid(SECOND);
    if rest == 0 { moment } else { moment.plus_micros(SECOND - rest) }
}

/// Returns the date of a lock as S3 takes it.
pub(super) fn lock_date(moment: Moment) -> String {
    jiff::Timestamp::from_second(whole_second(moment).as_micros().div_euclid(1_000_000))
        .map_or_else(|_| moment.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Reads the value of a `Date` header.
pub(super) fn http_date(text: &str) -> Option<Moment> {
    let zoned = DateTimeParser::new().parse_zoned(text).ok()?;
    Some(Moment::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_come_back() {
        let odd = "a b/ä?&=+~%41";
        assert_eq!(unescape(&escape(odd)), odd);
        assert_eq!(unescape("a%2"), "a%2");
        assert_eq!(unescape("100%zz"), "100%zz");
    }

    #[test]
    fn a_lock_is_rounded_up_and_a_date_is_read() {
        let moment: Moment = "2026-04-25T14:00:09.000001Z".parse().unwrap();
        assert_eq!(lock_date(moment), "2026-04-25T14:00:10Z");
        assert_eq!(lock_date(whole_second(moment)), "2026-04-25T14:00:10Z");
        assert_eq!(whole_second(Moment::from_micros(-1)).as_micros(), 0);
        let date = http_date("Sat, 25 Apr 2026 14:00:10 GMT").unwrap();
        assert_eq!(date, whole_second(moment));
        assert!(http_date("yesterday").is_none());
    }
}
