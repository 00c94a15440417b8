//! Numbers and times as people write them.

use model::Moment;

/// Writes a count with thousands separated: `249,500`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes bytes for people: `1.5 GB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Writes a span of time for people, in its largest unit: `12 seconds`, `3 hours`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    // Below two of a unit the next smaller one says more.
    let (size, name) = UNITS.into_iter().find(|(size, _)| seconds >= size * 2).unwrap_or((1, "second"));
    let number = seconds / size;
    format!("{} {name}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Writes how long ago something was: `12 seconds ago`, `just now`; or how far ahead: `in 3 hours`.
pub fn ago(at: Moment, now: Moment) -> String {
    let seconds = now.micros_since(at) / 1_000_000;
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        _ => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// Writes a moment to the second: `2026-04-25 14:00:08 UTC`.
pub fn moment(at: Moment) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(count(249_500), "249,500");
        assert_eq!(count(12), "12");
        assert_eq!(bytes(1_526_000_000), "1.5 GB");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(span(1), "1 second");
        assert_eq!(span(119), "119 seconds");
        assert_eq!(span(120), "2 minutes");
        assert_eq!(span(172_800), "2 days");
    }

    #[test]
    fn times_are_told_from_here() {
        let at: Moment = "2026-04-25T14:00:08.5Z".parse().unwrap();
        assert_eq!(moment(at), "2026-04-25 14:00:08 UTC");
        assert_eq!(ago(at, at.plus_micros(12_400_000)), "12 seconds ago");
        assert_eq!(ago(at, at.plus_micros(-7_300_000_000)), "in 2 hours");
        assert_eq!(ago(at, at.plus_micros(900_000)), "just now");
    }
}
