//! Who did how much when: one lane for each actor, drawn on the server, each bar a way to what is behind it.

use std::collections::BTreeSet;

use askama::{Template, filters::HtmlSafe};
use model::{Event, Moment, SourceName};
use serde::{Deserialize, Serialize};
use service::{
    acts::{self, Acts},
    words,
};
use watch::{
    Incident,
    lanes::{Cell, Lane, lanes},
};

use crate::{pages::told, problem::Problem, site::Site};

/// So many columns there are: as many as can be told apart and pressed on a small screen.
const COLUMNS: usize = 24;
/// Each tick of the axis stands for so many columns.
const COLUMNS_OF_A_TICK: usize = 4;
/// So many lanes are drawn.
const LANES_MAX: usize = 20;
/// So many acts of a source are looked at, the newest.
pub(super) const ACTS_MAX: u32 = 20_000;
/// The least that is drawn before and after an incident.
const MARGIN_MICROS: std::ops::RangeInclusive<i64> = 2_000_000..=acts::AROUND_MICROS;
/// The shortest and the longest time that is drawn.
const LENGTH_MICROS: std::ops::RangeInclusive<i64> = 1_000..=400 * 86_400 * 1_000_000;

/// How wide a column is in the picture's own units, and how high a lane.
const COLUMN_WIDTH: usize = 40;
const LANE_HEIGHT: f64 = 48.0;
const BAR_MARGIN: usize = 5;
const BAR_HEIGHT_MIN: f64 = 5.0;

/// Which time is asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(crate) struct Window {
    /// From when on (RFC 3339); from shortly before the incident where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

impl Window {
    /// Returns the span that is drawn of an incident.
    pub(super) fn span(&self, incident: &Incident) -> Result<(Moment, Moment), Problem> {
        let read = |text: &Option<String>| -> Result<Option<Moment>, Problem> {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(str::parse::<Moment>)
                .transpose()
                .map_err(|_| Problem::unusable("That is no moment. One is 2026-04-25T14:00:08Z."))
        };
        let (first, last) = acts::span(incident).unwrap_or((incident.first_seen_at, incident.last_seen_at));
        let margin = (last.micros_since(first) / 4).clamp(*MARGIN_MICROS.start(), *MARGIN_MICROS.end());
        let from = read(&self.from)?.unwrap_or_else(|| first.plus_micros(-margin));
        let until = read(&self.until)?.unwrap_or_else(|| last.plus_micros(margin));
        let length = until.micros_since(from);
        if length <= 0 {
            return Err(Problem::unusable("The end of that time is not after its beginning."));
        }
        Ok((from, from.plus_micros(length.clamp(*LENGTH_MICROS.start(), *LENGTH_MICROS.end()))))
    }
}

/// Reads what was done in the sources of an incident. What the watch saw and no capture has stored yet is among it.
pub(super) fn read(site: &Site, incident: &Incident, span: (Moment, Moment)) -> Result<Acts, Problem> {
    let installation = site.installation()?;
    let known = |source: &&SourceName| installation.config().sources.contains_key(*source);
    let sources: Vec<SourceName> = incident.touched.keys().filter(known).cloned().collect();
    let (from, until) = (Some(span.0), Some(span.1));
    let mut acts = acts::acts(sources, (from, until), ACTS_MAX, |source| installation.catalog(source))?;
    let stored: BTreeSet<(SourceName, String)> =
        acts.events.iter().map(|(source, event)| (source.clone(), event.transaction.clone())).collect();
    let seen = incident.deeds.iter().filter(|deed| {
        !deed.given_up
            && deed.at >= span.0
            && deed.at <= span.1
            && !stored.contains(&(deed.source.clone(), deed.transaction.clone()))
    });
    let seen: Vec<(SourceName, Event)> = seen
        .map(|deed| {
            let who = incident.suspect(deed.suspect).map(|suspect| suspect.who());
            let (actor, attribution) = who.unwrap_or((None, model::Attribution::Unknown));
            let event = Event {
                at: deed.at,
                position: deed.position.clone(),
                transaction: deed.transaction.clone(),
                scope: deed.scope.clone(),
                effects: deed.effects.iter().cloned().collect(),
                severity: model::Severity::Destructive,
                actor: actor.cloned(),
                attribution,
                statement: None,
            };
            (deed.source.clone(), event)
        })
        .collect();
    acts.events.extend(seen);
    acts.events.sort_by(|(one, a), (other, b)| (a.at, one, &a.position).cmp(&(b.at, other, &b.position)));
    Ok(acts)
}

/// A bar.
pub(crate) struct Bar {
    hit: usize,
    x: usize,
    y: String,
    height: String,
    class: &'static str,
    /// What it stands for, in words.
    title: String,
    from: String,
    what: String,
    count: String,
    address: String,
}

/// One actor's lane.
pub(crate) struct LaneView {
    name: String,
    kind: &'static str,
    total: String,
    bars: Vec<Bar>,
    address: String,
}

/// A stretch of the axis, and the way into it.
pub(crate) struct Tick {
    label: String,
    title: String,
    address: String,
}

/// A way to another stretch of time.
pub(crate) struct Turn {
    label: &'static str,
    address: String,
}

/// The lanes of an incident.
#[derive(Template)]
#[template(path = "part_lanes.html")]
pub(crate) struct LanesPart {
    /// From when until when, in words.
    span: String,
    lanes: Vec<LaneView>,
    ticks: Vec<Tick>,
    turns: Vec<Turn>,
    more: usize,
    capped: bool,
    width: usize,
    command: String,
}

/// It escapes what it shows by itself.
impl HtmlSafe for LanesPart {}

impl LanesPart {
    pub(super) fn of(site: &Site, incident: &Incident, window: &Window) -> Result<Self, Problem> {
        let (from, until) = window.span(incident)?;
        let acts = read(site, incident, (from, until))?;
        let kinds = site.installation()?.config().watch.actors.clone();
        let events: Vec<Event> = acts.events.into_iter().map(|(_, event)| event).collect();
        let drawn = lanes(&events, &kinds, from, until, COLUMNS);
        let most = drawn.iter().flat_map(|lane| &lane.cells).map(|cell| cell.count).max().unwrap_or(0);
        let picture = Picture { id: incident.id, from, until, most };
        let lanes = drawn.iter().take(LANES_MAX);
        Ok(Self {
            span: format!("{} to {}", words::moment(from), words::moment(until)),
            lanes: lanes
                .map(|lane| picture.lane(lane, &acts::lane_id(&kinds, lane.actor.as_ref())))
                .collect(),
            ticks: picture.ticks(),
            turns: picture.turns(),
            more: drawn.len().saturating_sub(LANES_MAX),
            capped: acts.capped,
            width: COLUMNS * COLUMN_WIDTH,
            command: format!("unwipe timeline --lanes incident:{}", incident.id),
        })
    }
}

/// What the lanes are drawn into.
struct Picture {
    id: u64,
    from: Moment,
    until: Moment,
    most: u64,
}

impl Picture {
    fn micros(&self) -> i64 {
        self.until.micros_since(self.from)
    }

    /// Returns when a column begins.
    fn begin(&self, column: usize) -> Moment {
        let passed = i128::from(self.micros()) * column as i128 / COLUMNS as i128;
        self.from.plus_micros(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Writes a time of day as finely as the picture shows it.
    fn label(&self, at: Moment) -> String {
        let text = at.to_string();
        let fraction = at.as_micros().rem_euclid(1_000_000) / 1000;
        let clock = text.get(11..19).unwrap_or_default();
        match self.micros() {
            ..30_000_000 => format!("{clock}.{fraction:03}"),
            30_000_000..86_400_000_000 => clock.to_owned(),
            _ => format!("{} {}", text.get(5..10).unwrap_or_default(), text.get(11..16).unwrap_or_default()),
        }
    }

    fn way(&self, from: Moment, until: Moment) -> String {
        let query = [("from", from.to_string()), ("until", until.to_string())];
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        format!("/incidents/{}?{query}", self.id)
    }

    fn acts(&self, lane: &str, from: Moment, until: Moment) -> String {
        let query = [("actor", lane.to_owned()), ("from", from.to_string()), ("until", until.to_string())];
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        format!("/incidents/{}/acts?{query}", self.id)
    }

    fn lane(&self, lane: &Lane, id: &str) -> LaneView {
        let name = words::actor(lane.actor.as_ref());
        let cells = lane.cells.iter().enumerate().filter(|(_, cell)| cell.count > 0);
        let bars = cells.map(|(column, cell)| self.bar(&name, id, column, cell)).collect();
        LaneView {
            kind: told::kind(lane.kind),
            total: words::counted(lane.total(), "change"),
            bars,
            address: self.acts(id, self.from, self.until),
            name,
        }
    }

    fn bar(&self, name: &str, lane: &str, column: usize, cell: &Cell) -> Bar {
        // Orders of magnitude matter: one row and a million are both to be seen.
        let share = (cell.count as f64).ln_1p() / (self.most.max(1) as f64).ln_1p();
        let height = (share * (LANE_HEIGHT - 4.0)).max(BAR_HEIGHT_MIN);
        let (from, until) = (self.begin(column), self.begin(column + 1));
        let what = cell.worst.map_or_else(String::new, |verb| verb.to_string());
        let class = cell.severity.map_or("routine", told::severity_class);
        let count = words::counted(cell.count, "change");
        let label = self.label(from);
        Bar {
            hit: column * COLUMN_WIDTH,
            x: column * COLUMN_WIDTH + BAR_MARGIN,
            y: format!("{:.1}", LANE_HEIGHT - height),
            height: format!("{height:.1}"),
            class,
            title: format!("{name}, {label}: {count}, {class}; at worst {what}"),
            from: label,
            what: format!("{what} ({class})"),
            count: words::count(cell.count),
            address: self.acts(lane, from, until),
        }
    }

    fn ticks(&self) -> Vec<Tick> {
        let stretches = (0..COLUMNS).step_by(COLUMNS_OF_A_TICK);
        stretches
            .map(|column| {
                let (from, until) = (self.begin(column), self.begin(column + COLUMNS_OF_A_TICK));
                let label = self.label(from);
                Tick {
                    title: format!("Narrow to what began at {label}"),
                    label,
                    address: self.way(from, until),
                }
            })
            .collect()
    }

    fn turns(&self) -> Vec<Turn> {
        let half = (self.micros() / 2).max(1);
        let at = |from: i64, until: i64| self.way(self.from.plus_micros(from), self.until.plus_micros(until));
        vec![
            Turn { label: "Earlier", address: at(-half, -half) },
            Turn { label: "Later", address: at(half, half) },
            Turn { label: "Zoom in", address: at(half / 2, -(half / 2)) },
            Turn { label: "Zoom out", address: at(-half, half) },
            Turn { label: "The whole incident", address: format!("/incidents/{}", self.id) },
        ]
    }
}
