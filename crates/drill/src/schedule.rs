//! When the next drill is due.

use model::Moment;
use serde::Serialize;

use crate::{DailyWindow, SourceDrills};

/// When drills of a source were held last, whatever came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastDrills {
    /// The last one.
    pub any: Option<Moment>,
    /// The last one that restored everything.
    pub whole: Option<Moment>,
}

/// The next drill of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// From when on it is to be held.
    pub at: Moment,
    /// Whether everything is restored.
    pub whole: bool,
}

/// A drill that is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whether everything is restored.
    pub whole: bool,
}

/// Returns the next drill by schedule, which is never before `now`; nothing where none is scheduled.
///
/// A drill that lies in the future is left aside: a clock that was wrong once must not put drills off.
pub fn planned(
    settings: &SourceDrills,
    window: Option<DailyWindow>,
    last: LastDrills,
    now: Moment,
) -> Option<Planned> {
    let after = |last: Option<Moment>, span: crate::Span| match last.filter(|&at| at <= now) {
        Some(at) => at.plus_micros(span.as_micros()),
        None => now,
    };
    let any = settings.every.map(|span| after(last.any, span));
    let whole = settings.whole_every.map(|span| after(last.whole, span));
    let earliest = match (any, whole) {
        (Some(any), Some(whole)) => any.min(whole),
        (any, whole) => any.or(whole)?,
    };
    let begin = earliest.max(now);
    let at = window.map_or(begin, |window| window.next_from(begin));
    // What will be due by then is done in the same drill.
    Some(Planned { at, whole: whole.is_some_and(|whole| whole <= at) })
}

/// Returns the drill that is due now.
pub fn due(
    settings: &SourceDrills,
    window: Option<DailyWindow>,
    last: LastDrills,
    now: Moment,
) -> Option<Due> {
    planned(settings, window, last, now)
        .filter(|planned| planned.at <= now)
        .map(|planned| Due { whole: planned.whole })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Span;

    const DAY: i64 = 86_400_000_000;

    fn weekly() -> SourceDrills {
        SourceDrills {
            every: Some(Span(7 * 86_400)),
            whole_every: Some(Span(30 * 86_400)),
            ..SourceDrills::default()
        }
    }

    fn day(day: i64) -> Moment {
        Moment::from_micros(day * DAY)
    }

    #[test]
    fn samples_come_every_week_and_everything_every_month() {
        let last = |any, whole| LastDrills { any: Some(day(any)), whole: Some(day(whole)) };
        assert_eq!(due(&weekly(), None, LastDrills::default(), day(1)), Some(Due { whole: true }));
        assert_eq!(due(&weekly(), None, last(100, 80), day(106)), None);
        assert_eq!(due(&weekly(), None, last(100, 80), day(107)), Some(Due { whole: false }));
        assert_eq!(due(&weekly(), None, last(109, 80), day(110)), Some(Due { whole: true }));
        assert_eq!(
            planned(&weekly(), None, last(100, 80), day(101)),
            Some(Planned { at: day(107), whole: false })
        );
        assert_eq!(due(&SourceDrills::default(), None, LastDrills::default(), day(1)), None);
    }

    #[test]
    fn a_drill_waits_for_its_window() {
        let window: DailyWindow = "22:00-05:00".parse().unwrap();
        let noon = day(10).plus_micros(DAY / 2);
        let planned = planned(&weekly(), Some(window), LastDrills::default(), noon).unwrap();
        assert_eq!(planned.at, day(10).plus_micros(22 * 3_600_000_000));
        assert_eq!(due(&weekly(), Some(window), LastDrills::default(), noon), None);
        assert!(due(&weekly(), Some(window), LastDrills::default(), planned.at).is_some());
    }

    #[test]
    fn a_drill_from_the_future_puts_nothing_off() {
        let last = LastDrills { any: Some(day(5000)), whole: Some(day(5000)) };
        assert!(due(&weekly(), None, last, day(100)).is_some());
    }

    proptest! {
        #[test]
        fn what_is_planned_becomes_due_and_nothing_is_due_twice(any in 0_i64..200, whole in 0_i64..200, now in 0_i64..300) {
            let last = LastDrills { any: Some(day(any.max(whole))), whole: Some(day(whole)) };
            let next = planned(&weekly(), None, last, day(now)).unwrap();
            prop_assert!(next.at >= day(now));
            prop_assert_eq!(due(&weekly(), None, last, next.at), Some(Due { whole: next.whole }));
            let held = LastDrills { any: Some(next.at), whole: if next.whole { Some(next.at) } else { last.whole } };
            let again = due(&weekly(), None, held, next.at);
            prop_assert!(again.is_none() || (!next.whole && day(whole) > next.at));
        }
    }
}
