//! What was done in the domain, by whom and through which program, as its audit log says.
//!
//! Each application has a log of its own, and each activity in it becomes an event, once. Activities appear late, out of
//! order and sometimes twice: every look reads again what it has read before, as far back as the application is usually
//! late, and once an hour as far back as the settings say. Which activities were handed over is in the position.

mod activity;
mod meaning;
mod numbers;
mod seen;
mod words;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connect::units::{Unit, UnitError, UnitSink};
use google_api::{Get, ReadApi, method};
use model::{Attribution, Event, Moment, Severity, Verb};
use ports::Clock;
use serde::{Deserialize, Serialize};

use self::{activity::Activity, meaning::Meaning, numbers::Destroyed, seen::Seen};
use crate::{
    feed::{Feed, FeedEnd},
    rounds::Rounds,
};

const PAGE: &str = "1000";
/// So much of a log is read into memory at a time; mail's may not be asked for more than 30 days.
const SPAN: Duration = Duration::from_hours(30);
/// No log goes further back than 180 days.
const OLDEST: Duration = Duration::from_hours(179 * 24);
/// How far it came is said after so many events: those after it come twice if the capture is killed then.
const STEP: usize = 100;

/// An application with a log, and how late its activities usually are at most.
struct Application {
    name: &'static str,
    late: Duration,
}

/// The logs that are read.
const APPLICATIONS: [Application; 7] = [
    Application { name: "drive", late: Duration::from_mins(30) },
    Application { name: "token", late: Duration::from_hours(4) },
    Application { name: "admin", late: Duration::from_mins(30) },
    Application { name: "gmail", late: Duration::from_hours(4) },
    Application { name: "calendar", late: Duration::from_hours(2) },
    Application { name: "login", late: Duration::from_hours(4) },
    Application { name: "user_accounts", late: Duration::from_hours(4) },
];

/// How the audit log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// How far back the first look goes.
    pub first: Duration,
    /// How far back once an hour is read again what was read before: later than that nothing is found any more.
    pub overlap: Duration,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { first: Duration::from_hours(7 * 24), overlap: Duration::from_hours(24) }
    }
}

/// How far the log of one application was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPosition {
    /// Nothing before this is read: the capture began then, or it is no longer known what was handed over.
    pub from: Moment,
    /// The hour to whose beginning it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Which activities were handed over.
    #[serde(default)]
    seen: Seen,
}

/// What all logs have in common.
pub(crate) struct AuditParts {
    pub(crate) api: Arc<ReadApi>,
    pub(crate) rounds: Arc<Rounds>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) admin: String,
    /// The reader's own client: that it reads is no news.
    pub(crate) client_id: String,
    pub(crate) settings: AuditSettings,
}

/// An activity after what it means.
type Read = (Vec<Meaning>, Activity);

/// The log of one application.
pub(crate) struct AuditLog {
    parts: Arc<AuditParts>,
    application: &'static Application,
    name: String,
}

/// Returns the key under which the position of an application's log is kept.
pub fn audit_unit(application: &str) -> String {
    format!("audit/{application}")
}

/// Makes the units of all logs.
pub(crate) fn units(parts: AuditParts) -> impl Iterator<Item = AuditLog> {
    let parts = Arc::new(parts);
    APPLICATIONS.iter().map(move |application| AuditLog {
        parts: Arc::clone(&parts),
        application,
        name: audit_unit(application.name),
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Writes a moment as the log wants it, in milliseconds.
fn stamp(moment: Moment) -> String {
    let text = moment.to_string();
    match text.strip_suffix("Z").and_then(|text| text.rsplit_once('.')) {
        Some((seconds, part)) => format!("{seconds}.{}Z", part.get(..3).unwrap_or("000")),
        None => text,
    }
}

impl AuditPosition {
    /// Returns from when a look reads: `again` says how far back what was read before is read again.
    fn start(&self, again: Duration, now: Moment) -> Moment {
        let oldest = now.plus_micros(-micros(OLDEST));
        let start = self.until.map_or(self.from, |until| until.plus_micros(-micros(again)));
        start.max(self.from).max(oldest)
    }

    /// Goes on from a position that somebody else may have written.
    pub(crate) fn try_out(mut self) {
        let day = Duration::from_hours(24);
        let start = self.start(day, self.from);
        self.seen.insert(start, 1);
        let _ = self.reach(start, day);
    }

    /// Says that everything before a moment was read, and forgets what need not be known any more. Returns the time of
    /// which that is forgotten because there is too much, although it was to be read again: what appears late in it is not
    /// found.
    fn reach(&mut self, moment: Moment, overlap: Duration) -> Option<(Moment, Moment)> {
        let until = seen::hour_start(seen::hour_of(moment));
        let until = self.until.map_or(until, |before| before.max(until));
        self.until = Some(until);
        let wanted = seen::hour_start(seen::hour_of(until.plus_micros(-micros(overlap)))).max(self.from);
        let known = self.seen.forget_before(wanted);
        self.from = self.from.max(known);
        (known > wanted).then_some((wanted, known))
    }
}

impl AuditLog {
    fn position(&self, text: Option<&str>, now: Moment) -> AuditPosition {
        let known = text.and_then(|text| serde_json::from_str::<AuditPosition>(text).ok());
        known.unwrap_or_else(|| AuditPosition {
            from: now.plus_micros(-micros(self.parts.settings.first)),
            until: None,
            seen: Seen::default(),
        })
    }

    fn advance(position: &AuditPosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.advance(serde_json::to_string(position).unwrap_or_default())
    }

    /// Reads all activities between two moments, each once, with what each means. The reader's own reading is not among
    /// them, and is dropped page by page: where every call is logged it is far more than all the rest.
    fn activities(&self, from: Moment, to: Moment) -> Result<Vec<Read>, UnitError> {
        let name = self.application.name;
        let get = Get::new(
            &method::ACTIVITIES_LIST,
            format!("admin/reports/v1/activity/users/all/applications/{name}"),
        )
        .query("startTime", stamp(from))
        .query("endTime", stamp(to))
        .query("maxResults", PAGE);
        let (api, subject) = (&*self.parts.api, self.parts.admin.as_str());
        let (mut all, mut keys) = (Vec::new(), BTreeSet::new());
        let read = Feed { api, subject, get, member: "items", since: false }.read(None, |items| {
            let activities = items.iter().filter_map(|item| Activity::of(name, item));
            let read = activities.map(|activity| (meaning::of(name, &activity), activity));
            let others = read.filter(|(meanings, activity)| !self.is_own_reading(activity, meanings));
            all.extend(others.filter(|(_, activity)| keys.insert(activity.key())));
            Ok(())
        });
        match read {
            Ok(_) => Ok(all),
            Err(FeedEnd::Failed(error)) => Err(error),
            Err(FeedEnd::Lost | FeedEnd::Gone) => {
                Err(UnitError::Failed { detail: format!("the log of {name} is not found") })
            }
        }
    }

    /// Tells whether an activity is the reader's own reading. Recording it would make the next activity to be recorded.
    fn is_own_reading(&self, activity: &Activity, meanings: &[Meaning]) -> bool {
        activity.actor.client.as_ref() == Some(&self.parts.client_id)
            && meanings.iter().all(|meaning| meaning.verb == Some(Verb::Read))
    }

    /// Hands over what was not handed over before.
    fn take(
        &self,
        mut read: Vec<Read>,
        position: &mut AuditPosition,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        read.sort_by_key(|(_, activity)| activity.at);
        let destroyed: Vec<Destroyed<'_>> = read
            .iter()
            .map(|(meanings, activity)| Destroyed {
                at: activity.at,
                who: (&activity.actor.identity, activity.actor.client.as_deref().unwrap_or_default()),
                count: meanings.iter().map(Meaning::destroys).sum(),
            })
            .collect();
        let many = numbers::in_numbers(&destroyed);
        let mut handed = 0;
        for ((meanings, activity), many) in read.iter().zip(many) {
            if !position.seen.insert(activity.at, activity.key()) {
                continue;
            }
            sink.event(event(self.application.name, activity, meanings, many))?;
            handed += 1;
            if handed % STEP == 0 {
                Self::advance(position, sink)?;
            }
        }
        Ok(())
    }
}

/// Returns what an activity comes to in each of the logs.
pub(crate) fn told(document: &serde_json::Value) -> Vec<Event> {
    let read = APPLICATIONS.iter().filter_map(|application| {
        let activity = Activity::of(application.name, document)?;
        let meanings = meaning::of(application.name, &activity);
        let many = numbers::in_numbers(&[Destroyed {
            at: activity.at,
            who: (&activity.actor.identity, activity.actor.client.as_deref().unwrap_or_default()),
            count: meanings.iter().map(Meaning::destroys).sum(),
        }]);
        Some(event(application.name, &activity, &meanings, many.contains(&true)))
    });
    read.collect()
}

/// Makes an event of an activity. What is a consequence of what was done counts as little as can be.
fn event(application: &str, activity: &Activity, meanings: &[Meaning], many: bool) -> Event {
    let severity = meanings.iter().map(|meaning| match meaning.severity {
        _ if !meaning.primary => Severity::Routine,
        _ if many && meaning.destroys() > 0 => Severity::Destructive,
        severity => severity,
    });
    let first = meanings.first();
    let mut effects: Vec<model::Effect> = meanings.iter().filter_map(Meaning::effect).collect();
    effects.dedup();
    Event {
        at: activity.at,
        position: format!("{} {application} {}", activity.at, activity.qualifier),
        transaction: activity.qualifier.clone(),
        scope: first.map_or_else(|| application.to_owned(), |meaning| meaning.scope.clone()),
        effects,
        severity: severity.max().unwrap_or(Severity::Routine),
        actor: Some(activity.actor.clone()),
        attribution: Attribution::Recorded,
        statement: first.map(|meaning| meaning.statement.clone()),
    }
}

/// Tells that a part of a log was given up before its time: there was more in it than can be kept in mind.
fn forgotten_early(application: &str, (from, to): (Moment, Moment), now: Moment) -> Event {
    Event {
        at: now,
        position: format!("{now} {application} forgotten"),
        transaction: format!("{application} before {to}"),
        scope: application.to_owned(),
        effects: Vec::new(),
        severity: Severity::Notable,
        actor: None,
        attribution: Attribution::Unknown,
        statement: Some(format!(
            "what appears late in the log of {application} between {from} and {to} is not captured: more was done since \
             then than unwipe keeps in mind"
        )),
    }
}

impl Unit for AuditLog {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let now = self.parts.clock.now();
        let overlap = self.parts.settings.overlap.max(self.application.late);
        let mut position = self.position(position, now);
        let again = if self.parts.rounds.is_due(&self.name) { overlap } else { self.application.late };
        let mut from = position.start(again, now);
        loop {
            let to = from.plus_micros(micros(SPAN)).min(now);
            let activities = self.activities(from, to)?;
            self.take(activities, &mut position, sink)?;
            if let Some(forgotten) = position.reach(to, overlap) {
                sink.event(forgotten_early(self.application.name, forgotten, now))?;
            }
            Self::advance(&position, sink)?;
            if to >= now {
                return Ok(());
            }
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn hours(count: i64) -> Moment {
        Moment::from_micros(count * HOUR)
    }

    #[test]
    fn a_look_reads_again_what_may_have_come_late_and_nothing_before_the_first() {
        let day = Duration::from_hours(24);
        let mut position = AuditPosition { from: hours(1000), until: None, seen: Seen::default() };
        assert_eq!(position.start(day, hours(1168)), hours(1000));
        assert_eq!(position.reach(hours(1168).plus_micros(1), day), None);
        assert_eq!(position.until, Some(hours(1168)));
        assert_eq!(position.start(day, hours(1170)), hours(1144));
        assert_eq!(position.reach(hours(1100), day), None);
        assert_eq!(position.until, Some(hours(1168)), "it never goes back");
        assert_eq!(position.start(4 * day, hours(1170)), hours(1144), "what was forgotten is not read again");
        let late = hours(1168 + 200 * 24);
        assert_eq!(position.start(day, late), late.plus_micros(-micros(OLDEST)));
    }

    #[test]
    fn what_is_given_up_before_its_time_is_told_once() {
        let day = Duration::from_hours(24);
        let mut position = AuditPosition { from: hours(900), until: None, seen: Seen::default() };
        for key in 0..seen::KEYS_MAX as u64 + 10 {
            position.seen.insert(hours(if key < 20 { 990 } else { 999 }), key);
        }
        let forgotten = position.reach(hours(1000), day).unwrap();
        assert_eq!(forgotten, (hours(976), hours(991)));
        assert_eq!(position.start(day, hours(1000)), hours(991));
        assert_eq!(position.reach(hours(1000), day), None);
        let told = forgotten_early("drive", forgotten, hours(1000));
        let statement = told.statement.unwrap();
        assert!(
            statement
                .contains("log of drive between 1970-02-10T16:00:00.000000Z and 1970-02-11T07:00:00.000000Z"),
            "{statement}"
        );
        assert_eq!((told.severity, told.attribution), (Severity::Notable, Attribution::Unknown));
    }

    #[test]
    fn moments_are_asked_for_in_milliseconds() {
        assert_eq!(stamp("2026-03-02T01:15:42.118999Z".parse().unwrap()), "2026-03-02T01:15:42.118Z");
        assert_eq!(stamp("2026-03-02T01:15:42Z".parse().unwrap()), "2026-03-02T01:15:42.000Z");
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let mut position = AuditPosition { from: hours(10), until: Some(hours(20)), seen: Seen::default() };
        position.seen.insert(hours(15), 7);
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<AuditPosition>(&text).unwrap(), position);
    }
}
