//! Times as people read them: to the second, with their zone.

use jiff::Timestamp;

/// Writes nanoseconds since 1970.
pub(crate) fn of_nanoseconds(nanoseconds: i128) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds).ok();
    time.and_then(|time| told(&time.to_string())).unwrap_or_else(|| format!("{nanoseconds} ns since 1970"))
}

/// Writes a time that stands there as programs write it; none where the text is something else. The zone stays as it is:
/// an appointment at nine is one at nine.
pub(crate) fn told(text: &str) -> Option<String> {
    text.parse::<Timestamp>().ok()?;
    let (day, time, rest) = (text.get(..10)?, text.get(11..19)?, text.get(19..)?);
    let is_plain = day.as_bytes()[4] == b'-' && time.as_bytes()[2] == b':' && time.as_bytes()[5] == b':';
    let zone = match rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()) {
        "Z" => "UTC",
        offset if offset.len() == 6 && offset.starts_with(['+', '-']) => offset,
        _ => return None,
    };
    is_plain.then(|| format!("{day} {time} {zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them_and_nothing_else_is_touched() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told("2026-04-25T14:00:08Z"), some("2026-04-25 14:00:08 UTC"));
        assert_eq!(told("2026-04-25T14:00:08.123456789Z"), some("2026-04-25 14:00:08 UTC"));
        assert_eq!(told("2026-03-02T09:00:00+01:00"), some("2026-03-02 09:00:00 +01:00"));
        assert_eq!(told("2026-03-02T09:00:00.5-05:30"), some("2026-03-02 09:00:00 -05:30"));
        for other in [
            "",
            "2026-03-02",
            "09:00:00",
            "20260302T090000Z",
            "at 2026-04-25T14:00:08Z",
            "é".repeat(12).as_str(),
        ] {
            assert_eq!(told(other), None, "{other}");
        }
        assert_eq!(of_nanoseconds(1_717_171_717_123_456_789), "2024-05-31 16:08:37 UTC");
        assert_eq!(of_nanoseconds(i128::from(i64::MAX) * 1000), "9223372036854775807000 ns since 1970");
    }
}
