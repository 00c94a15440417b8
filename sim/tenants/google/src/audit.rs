//! The audit log: who did what with which program, visible after a while.
//!
//! The Reports API reads it with [`Audit::visible`]. A handler adds to it with `Tenant::note`; each call of an API is
//! also noted as an `activity` of the application `token`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use model::Moment;

use crate::text;

/// When activities appear.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// How long an activity takes to appear, by application: `drive`.
    pub lags: BTreeMap<String, Duration>,
    /// How long it takes for applications without a lag of their own.
    pub lag: Duration,
    /// How much longer it takes at most; each activity as the seed has it, so that they appear out of order.
    pub jitter: Duration,
    /// One in so many activities appears twice.
    pub duplicate_one_in: Option<u64>,
    /// How many activities of each application are remembered; older ones are forgotten first.
    pub records_max: usize,
}

impl Default for AuditSettings {
    fn default() -> Self {
        let minutes =
            [("drive", 3), ("admin", 2), ("calendar", 45), ("token", 120), ("gmail", 120), ("login", 60)];
        Self {
            lags: minutes.map(|(name, lag)| (name.to_owned(), Duration::from_mins(lag))).into(),
            lag: Duration::from_mins(5),
            jitter: Duration::ZERO,
            duplicate_one_in: None,
            records_max: 200_000,
        }
    }
}

impl AuditSettings {
    /// Everything appears at once and in order.
    pub fn immediate() -> Self {
        Self { lags: BTreeMap::new(), lag: Duration::ZERO, ..Self::default() }
    }
}

/// The value of a parameter of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// `value`.
    Text(Cow<'static, str>),
    /// `intValue`, a number written as text.
    Number(i64),
    /// `boolValue`.
    Flag(bool),
    /// `multiValue`.
    Texts(Vec<String>),
    /// `multiMessageValue`.
    Messages(Vec<Vec<Parameter>>),
}

/// A named value of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name: `doc_id`.
    pub name: &'static str,
    /// Its value.
    pub value: ParameterValue,
}

impl Parameter {
    /// A text.
    pub fn text(name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Self { name, value: ParameterValue::Text(value.into()) }
    }

    /// A number.
    pub const fn number(name: &'static str, value: i64) -> Self {
        Self { name, value: ParameterValue::Number(value) }
    }

    /// Several texts.
    pub const fn texts(name: &'static str, values: Vec<String>) -> Self {
        Self { name, value: ParameterValue::Texts(values) }
    }

    /// Several groups of named values.
    pub const fn messages(name: &'static str, values: Vec<Vec<Self>>) -> Self {
        Self { name, value: ParameterValue::Messages(values) }
    }

    /// A flag.
    pub const fn flag(name: &'static str, value: bool) -> Self {
        Self { name, value: ParameterValue::Flag(value) }
    }
}

/// One activity: one event with who did it.
#[derive(Debug, Clone)]
pub struct Activity {
    /// When it happened.
    pub time: Moment,
    /// What tells it from others of the same time.
    pub qualifier: i64,
    /// Which log it belongs to: `drive`, `admin`, `token`, `gmail`, `calendar`, `login`.
    pub application: &'static str,
    /// The mail address of the actor.
    pub actor: Arc<str>,
    /// The id of the actor.
    pub profile: Arc<str>,
    /// The OAuth client that was used; none for a person in the web interface.
    pub client_id: Option<Arc<str>>,
    /// The name of that program.
    pub client_name: Option<Arc<str>>,
    /// Whether a service account acted in the actor's name.
    pub impersonation: bool,
    /// From where.
    pub address: IpAddr,
    /// The type of the event: `access`.
    pub kind: &'static str,
    /// Its name: `trash`.
    pub name: &'static str,
    /// What else is known.
    pub parameters: Vec<Parameter>,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// By application.
    activities: BTreeMap<&'static str, VecDeque<Entry>>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    /// From when it is to be seen.
    visible: Moment,
    /// Which activity it is; one that appears twice has two entries.
    number: u64,
    activity: Activity,
}

impl Audit {
    /// Adds an activity; its qualifier is drawn here. Returns its number.
    pub(crate) fn add(&mut self, settings: &AuditSettings, seed: u64, mut activity: Activity) -> u64 {
        self.count += 1;
        let drawn = text::mixed(seed ^ text::mixed(self.count));
        activity.qualifier = drawn as i64;
        let lag = settings.lags.get(activity.application).copied().unwrap_or(settings.lag);
        let jitter = u64::try_from(settings.jitter.as_micros()).unwrap_or(u64::MAX);
        let late = |drawn: u64| if jitter == 0 { 0 } else { drawn % jitter };
        let visible = |drawn| activity.time.plus_micros(lag.as_micros() as i64 + late(drawn) as i64);
        let twice = settings.duplicate_one_in.is_some_and(|one_in| drawn.is_multiple_of(one_in.max(1)));
        let first = visible(text::mixed(drawn ^ 1));
        let second = visible(text::mixed(drawn));
        let own = self.activities.entry(activity.application).or_default();
        if twice {
            own.push_back(Entry { visible: second, number: self.count, activity: activity.clone() });
        }
        own.push_back(Entry { visible: first, number: self.count, activity });
        while own.len() > settings.records_max {
            own.pop_front();
        }
        self.count
    }

    /// Notes of a call's activity how many bytes were answered.
    pub(crate) fn measure(&mut self, application: &str, number: u64, bytes: u64) {
        // Those of calls that are being answered are among the last.
        let newer = |entry: &&mut Entry| entry.number >= number;
        let own = self.activities.get_mut(application).into_iter().flat_map(|own| own.iter_mut().rev());
        for entry in own.take_while(newer).filter(|entry| entry.number == number) {
            entry.activity.parameters.push(Parameter::number("num_response_bytes", bytes as i64));
        }
    }

    /// Returns the activities of an application that have appeared by now, the newest first as they happened, except
    /// that what appeared late stands where it appeared.
    pub(crate) fn visible<'a>(&'a self, application: &str, now: Moment) -> Vec<&'a Activity> {
        let own = self.activities.get(application).into_iter().flatten();
        let mut seen: Vec<&Entry> = own.filter(|entry| entry.visible <= now).collect();
        seen.sort_by_key(|entry| std::cmp::Reverse((entry.visible, entry.number)));
        seen.into_iter().map(|entry| &entry.activity).collect()
    }

    /// Returns all activities, whether they have appeared or not, application by application, each in the order in
    /// which they happened.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Activity> {
        self.activities.values().flatten().map(|entry| &entry.activity)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn activity(seconds: i64) -> Activity {
        Activity {
            time: Moment::from_micros(seconds * 1_000_000),
            qualifier: 0,
            application: "drive",
            actor: text::shared("anna@acme.test"),
            profile: text::shared("1"),
            client_id: None,
            client_name: None,
            impersonation: false,
            address: Ipv4Addr::LOCALHOST.into(),
            kind: "access",
            name: "trash",
            parameters: Vec::new(),
        }
    }

    #[test]
    fn an_activity_appears_after_its_lag() {
        let mut audit = Audit::default();
        let settings = AuditSettings::default();
        audit.add(&settings, 1, activity(0));
        let seen = |seconds: i64| audit.visible("drive", Moment::from_micros(seconds * 1_000_000)).len();
        assert_eq!((seen(179), seen(180)), (0, 1));
        assert_eq!(audit.visible("token", Moment::from_micros(i64::MAX / 2)).len(), 0);
    }

    #[test]
    fn activities_can_appear_out_of_order_and_twice() {
        let mut audit = Audit::default();
        let settings = AuditSettings {
            jitter: Duration::from_mins(10),
            duplicate_one_in: Some(4),
            ..AuditSettings::immediate()
        };
        (0..100).for_each(|second| {
            audit.add(&settings, 1, activity(second));
        });
        let seen = audit.visible("drive", Moment::from_micros(10_000_000_000));
        let times: Vec<i64> = seen.iter().map(|a| a.time.as_micros()).collect();
        assert!(times.len() > 110, "{}", times.len());
        assert!(!times.is_sorted_by(|a, b| a >= b));
        let distinct: std::collections::BTreeSet<_> = seen.iter().map(|a| (a.time, a.qualifier)).collect();
        assert_eq!(distinct.len(), 100);
    }
}
