//! Recurrence: the part of RFC 5545 that calendars are made with, in the clocks of one zone.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Weekday},
    tz::TimeZone,
};

use super::time::{self, When};
use crate::refusal::Refusal;

/// How many steps of a rule are tried at most, so that a rule that never comes true ends.
const STEPS_MAX: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// One `RRULE`.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    frequency: Frequency,
    interval: i64,
    count: Option<usize>,
    until: Option<When>,
    /// Weekdays, each perhaps with its number in the month or year.
    days: Vec<(Option<i8>, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
    positions: Vec<i32>,
    week_start: Weekday,
}

/// The lines of an event's `recurrence`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Recurrence {
    rules: Vec<Rule>,
    extra: Vec<When>,
    except: Vec<When>,
}

impl Recurrence {
    /// Reads the lines; times without a zone are of the zone given.
    pub(crate) fn parse<'a>(
        lines: impl IntoIterator<Item = &'a str>,
        zone: &TimeZone,
    ) -> Result<Self, Refusal> {
        let mut recurrence = Self::default();
        for line in lines {
            recurrence.line(line, zone).ok_or_else(|| Refusal::invalid_value("Invalid recurrence rule."))?;
        }
        Ok(recurrence)
    }

    fn line(&mut self, line: &str, zone: &TimeZone) -> Option<()> {
        let (head, value) = line.trim().split_once(':')?;
        let mut head = head.split(';');
        let name = head.next()?.to_ascii_uppercase();
        let own =
            head.find_map(|p| p.strip_prefix("TZID=")).map_or_else(|| Some(zone.clone()), time::zone)?;
        let moments = || value.split(',').map(|text| moment(text, &own)).collect::<Option<Vec<_>>>();
        match name.as_str() {
            "RRULE" => self.rules.push(Rule::parse(value, zone)?),
            "RDATE" => self.extra.extend(moments()?),
            "EXDATE" => self.except.extend(moments()?),
            _ => return None,
        }
        Some(())
    }

    /// Returns the starts of occurrences in order, those before `end` and `max` at most.
    pub(crate) fn starts(&self, first: When, zone: &TimeZone, end: Timestamp, max: usize) -> Vec<When> {
        let mut found = vec![first];
        for rule in &self.rules {
            rule.starts(first, zone, end, max, &mut found);
        }
        found.extend(self.extra.iter().copied().filter(|extra| extra.is_day() == first.is_day()));
        found.sort_by_key(|when| when.moment(zone));
        found.dedup();
        found.retain(|when| when.moment(zone) < end && !self.except.contains(when));
        found.truncate(max);
        found
    }
}

/// Reads `20260302`, `20260302T100000` or `20260302T090000Z`.
fn moment(text: &str, zone: &TimeZone) -> Option<When> {
    if text.len() == 8 {
        return Date::strptime("%Y%m%d", text).ok().map(When::Day);
    }
    let (civil, zone) = match text.strip_suffix('Z') {
        Some(civil) => (civil, &TimeZone::UTC),
        None => (text, zone),
    };
    DateTime::strptime("%Y%m%dT%H%M%S", civil).ok().map(|civil| When::At(time::at(civil, zone)))
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

impl Rule {
    fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let mut frequency = None;
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            days: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Monday,
        };
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            match name {
                "FREQ" => {
                    frequency = Some(match value {
                        "DAILY" => Frequency::Daily,
                        "WEEKLY" => Frequency::Weekly,
                        "MONTHLY" => Frequency::Monthly,
                        "YEARLY" => Frequency::Yearly,
                        _ => return None,
                    });
                }
                "INTERVAL" => rule.interval = value.parse().ok().filter(|n| (1..=1000).contains(n))?,
                "COUNT" => rule.count = Some(value.parse().ok().filter(|n| *n >= 1)?),
                "UNTIL" => rule.until = Some(moment(value, zone)?),
                "BYDAY" => {
                    let day = |text: &str| {
                        let (number, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
                        let number = if number.is_empty() { None } else { Some(number.parse().ok()?) };
                        Some((number.filter(|n| *n != 0), weekday(day)?))
                    };
                    rule.days = value.split(',').map(day).collect::<Option<_>>()?;
                }
                "BYMONTHDAY" => rule.month_days = numbers(value)?,
                "BYMONTH" => rule.months = numbers(value)?,
                "BYSETPOS" => rule.positions = numbers(value)?,
                "WKST" => rule.week_start = weekday(value)?,
                _ => return None,
            }
        }
        // One says how often or how long, not both.
        if rule.count.is_some() && rule.until.is_some() {
            return None;
        }
        rule.frequency = frequency?;
        Some(rule)
    }

    /// Adds the starts that the rule gives; the first occurrence is there already and counts.
    fn starts(&self, first: When, zone: &TimeZone, end: Timestamp, max: usize, found: &mut Vec<When>) {
        let anchor = first.civil(zone);
        let mut counted = 1;
        for step in 0..STEPS_MAX {
            let Some(mut dates) = self.period(anchor.date(), step as i64) else { return };
            dates.sort();
            dates.dedup();
            for date in self.chosen(&dates) {
                let civil = date.to_datetime(anchor.time());
                if civil <= anchor {
                    continue;
                }
                let start = if first.is_day() { When::Day(date) } else { When::At(time::at(civil, zone)) };
                let over = self.until.is_some_and(|until| is_after(start, until, zone));
                let full = self.count.is_some_and(|count| counted >= count) || counted >= max;
                if over || full || start.moment(zone) >= end {
                    return;
                }
                counted += 1;
                found.push(start);
            }
        }
    }

    fn chosen(&self, dates: &[Date]) -> Vec<Date> {
        if self.positions.is_empty() {
            return dates.to_vec();
        }
        let at = |position: &i32| match usize::try_from(*position) {
            Ok(position) => dates.get(position.checked_sub(1)?).copied(),
            Err(_) => dates.len().checked_sub(position.unsigned_abs() as usize).map(|at| dates[at]),
        };
        let mut chosen: Vec<Date> = self.positions.iter().filter_map(at).collect();
        chosen.sort();
        chosen
    }

    /// Returns the days of the nth period; `None` when time ends.
    fn period(&self, anchor: Date, step: i64) -> Option<Vec<Date>> {
        let steps = step.checked_mul(self.interval)?;
        match self.frequency {
            Frequency::Daily => {
                let day = anchor.checked_add(steps.days()).ok()?;
                Some(if self.takes(day) { vec![day] } else { Vec::new() })
            }
            Frequency::Weekly => {
                let into = i64::from(anchor.weekday().since(self.week_start));
                let monday = anchor.checked_sub(into.days()).ok()?.checked_add((steps * 7).days()).ok()?;
                let week = (0..7).map(|day: i64| monday.checked_add(day.days()).ok());
                let own = |day: &Date| {
                    if self.days.is_empty() {
                        day.weekday() == anchor.weekday()
                    } else {
                        self.days.iter().any(|(_, wanted)| *wanted == day.weekday())
                    }
                };
                let week = week.collect::<Option<Vec<Date>>>()?;
                Some(week.into_iter().filter(|day| own(day) && self.in_months(*day)).collect())
            }
            Frequency::Monthly => {
                let month = anchor.first_of_month().checked_add(steps.months()).ok()?;
                Some(if self.in_months(month) { self.of_month(month, anchor.day()) } else { Vec::new() })
            }
            Frequency::Yearly => {
                let year = anchor.first_of_year().checked_add(steps.years()).ok()?;
                Some(self.of_year(year, anchor))
            }
        }
    }

    fn in_months(&self, day: Date) -> bool {
        self.months.is_empty() || self.months.contains(&day.month())
    }

    fn takes(&self, day: Date) -> bool {
        let by_day = self.days.is_empty() || self.days.iter().any(|(_, wanted)| *wanted == day.weekday());
        by_day && self.in_months(day) && (self.month_days.is_empty() || self.is_month_day(day))
    }

    fn is_month_day(&self, day: Date) -> bool {
        let from_end = day.day() - day.days_in_month() - 1;
        self.month_days.iter().any(|wanted| *wanted == day.day() || *wanted == from_end)
    }

    fn of_month(&self, month: Date, usual: i8) -> Vec<Date> {
        if self.days.is_empty() && self.month_days.is_empty() {
            return month.with().day(usual).build().into_iter().collect();
        }
        let days = (1..=month.days_in_month()).filter_map(|day| month.with().day(day).build().ok());
        days.filter(|day| {
            let number = (day.day() - 1) / 7 + 1;
            let from_end = -((day.days_in_month() - day.day()) / 7 + 1);
            let fits = |(nth, wanted): &(Option<i8>, Weekday)| {
                *wanted == day.weekday() && nth.is_none_or(|nth| nth == number || nth == from_end)
            };
            let by_day = self.days.is_empty() || self.days.iter().any(fits);
            by_day && (self.month_days.is_empty() || self.is_month_day(*day))
        })
        .collect()
    }

    fn of_year(&self, year: Date, anchor: Date) -> Vec<Date> {
        if self.months.is_empty() && !self.days.is_empty() && self.month_days.is_empty() {
            // Numbers of weekdays count in the whole year.
            let days =
                (0..year.days_in_year()).filter_map(|day| year.checked_add(i64::from(day).days()).ok());
            let fits = |day: &Date| {
                let number = (day.day_of_year() - 1) / 7 + 1;
                let from_end = -((day.days_in_year() - day.day_of_year()) / 7 + 1);
                let numbered = |nth: i8| i16::from(nth) == number || i16::from(nth) == from_end;
                self.days.iter().any(|(nth, wanted)| *wanted == day.weekday() && nth.is_none_or(numbered))
            };
            return days.filter(fits).collect();
        }
        let usual = [anchor.month()];
        let months = if self.months.is_empty() { &usual[..] } else { &self.months };
        let months = months.iter().filter_map(|month| year.with().month(*month).build().ok());
        months.flat_map(|month| self.of_month(month, anchor.day())).collect()
    }
}

fn is_after(start: When, until: When, zone: &TimeZone) -> bool {
    match (start, until) {
        (When::At(start), When::At(until)) => start > until,
        _ => start.civil(zone).date() > until.civil(zone).date(),
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(lines: &[&str], first: &str, max: usize) -> Vec<String> {
        let berlin = time::zone("Europe/Berlin").unwrap();
        let recurrence = Recurrence::parse(lines.iter().copied(), &berlin).unwrap();
        let first = moment(first, &berlin).unwrap();
        let all = recurrence.starts(first, &berlin, Timestamp::MAX, max);
        all.into_iter().map(When::suffix).collect()
    }

    #[test]
    fn weeks_keep_the_hour_on_the_wall_when_clocks_change() {
        assert_eq!(
            starts(&["RRULE:FREQ=WEEKLY;COUNT=3"], "20260323T100000", 9),
            ["20260323T090000Z", "20260330T080000Z", "20260406T080000Z"]
        );
        assert_eq!(
            starts(
                &["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20260318T100000Z"],
                "20260302T100000",
                9
            ),
            ["20260302T090000Z", "20260304T090000Z", "20260316T090000Z", "20260318T090000Z"]
        );
    }

    #[test]
    fn months_and_years_know_numbers_of_weekdays_and_days_from_the_end() {
        assert_eq!(
            starts(&["RRULE:FREQ=MONTHLY;BYDAY=-1FR"], "20260130", 3),
            ["20260130", "20260227", "20260327"]
        );
        assert_eq!(
            starts(&["RRULE:FREQ=MONTHLY"], "20260131", 3),
            ["20260131", "20260331", "20260531"],
            "months without a 31st have none"
        );
        assert_eq!(
            starts(&["RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"], "20260131", 3),
            ["20260131", "20260228", "20260331"]
        );
        assert_eq!(
            starts(&["RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"], "20260130", 2),
            ["20260130", "20260227"]
        );
        assert_eq!(starts(&["RRULE:FREQ=YEARLY"], "20240229", 2), ["20240229", "20280229"]);
        assert_eq!(
            starts(&["RRULE:FREQ=YEARLY;BYMONTH=3,11;BYDAY=2TH"], "20260312", 3),
            ["20260312", "20261112", "20270311"]
        );
        assert_eq!(starts(&["RRULE:FREQ=YEARLY;BYDAY=1MO"], "20260105", 2), ["20260105", "20270104"]);
    }

    #[test]
    fn days_are_added_and_taken_out() {
        let lines = [
            "RRULE:FREQ=DAILY;COUNT=4",
            "EXDATE;TZID=Europe/Berlin:20260303T100000",
            "RDATE;TZID=America/New_York:20260310T100000",
        ];
        assert_eq!(
            starts(&lines, "20260302T100000", 9),
            ["20260302T090000Z", "20260304T090000Z", "20260305T090000Z", "20260310T140000Z"]
        );
        assert_eq!(
            starts(
                &["RRULE:FREQ=DAILY;BYMONTH=3;UNTIL=20260303", "EXDATE;VALUE=DATE:20260302"],
                "20260301",
                9
            ),
            ["20260301", "20260303"]
        );
    }

    #[test]
    fn a_rule_that_never_comes_true_ends_and_a_broken_one_is_refused() {
        assert_eq!(starts(&["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"], "20260101", 9), ["20260101"]);
        for broken in [
            "FREQ=DAILY",
            "RRULE:FREQ=HOURLY",
            "RRULE:INTERVAL=1",
            "RRULE:FREQ=DAILY;COUNT=0",
            "RRULE:FREQ=DAILY;COUNT=2;UNTIL=20260303",
            "RRULE:FREQ=WEEKLY;BYDAY=XX",
            "DTSTART:20260302",
        ] {
            assert!(Recurrence::parse([broken], &TimeZone::UTC).is_err(), "{broken}");
        }
    }
}
