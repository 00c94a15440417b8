//! Moments as Google's services write them.

use jiff::{Timestamp, tz::TimeZone};
use model::Moment;

fn timestamp(moment: Moment) -> Timestamp {
    Timestamp::from_microsecond(moment.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Writes a moment as RFC 3339 with milliseconds: `2026-03-02T01:15:42.118Z`.
pub(crate) fn rfc3339(moment: Moment) -> String {
    format!("{:.3}", timestamp(moment))
}

/// Writes a moment as a Date header has it: `Mon, 02 Mar 2026 01:15:42 +0000`.
pub(crate) fn rfc2822(moment: Moment) -> String {
    timestamp(moment).to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// Returns milliseconds since 1970.
pub(crate) const fn millis(moment: Moment) -> i64 {
    moment.as_micros().div_euclid(1000)
}

/// Reads RFC 3339.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    text.parse::<Timestamp>().ok().map(|stamp| Moment::from_micros(stamp.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_services_write_them() {
        let moment = parse("2026-03-02T01:15:42.118Z").unwrap();
        assert_eq!(rfc3339(moment), "2026-03-02T01:15:42.118Z");
        assert_eq!(rfc3339(Moment::from_micros(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc2822(moment), "Mon, 02 Mar 2026 01:15:42 +0000");
        assert_eq!(millis(moment), 1_772_414_142_118);
    }
}
