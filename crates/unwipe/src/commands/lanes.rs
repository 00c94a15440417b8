//! Who did how much when, as a picture: one lane for each actor, from left to right in time.

use model::{Event, Moment, Severity, SourceName, Verb};
use serde::Serialize;
use watch::{
    ActorKind, ActorKinds,
    lanes::{Cell, Lane, lanes},
};

use crate::output::{Output, Style, count, printable};

/// How wide the names are.
const NAME_WIDTH: usize = 26;
/// How wide the sum at the end of a lane is.
const SUM_WIDTH: usize = 12;
const COLUMNS_MIN: usize = 20;
const COLUMNS_MAX: usize = 160;
/// What a terminal has that does not say how wide it is.
const TERMINAL_COLUMNS: usize = 100;
/// From little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A picture of what happened in some sources.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    sources: Vec<SourceName>,
    from: Moment,
    until: Moment,
    lanes: Vec<DrawnLane>,
}

#[derive(Debug, Serialize)]
struct DrawnLane {
    actor: String,
    kind: ActorKind,
    total: u64,
    /// How many items or rows in each column.
    counts: Vec<u64>,
    /// The most destructive of what was done in each column.
    worst: Vec<Option<Verb>>,
    severities: Vec<Option<Severity>>,
}

impl Picture {
    /// Draws events; without events there is no picture.
    pub(crate) fn of(
        sources: Vec<SourceName>,
        events: &[Event],
        kinds: &ActorKinds,
        span: (Option<Moment>, Option<Moment>),
        columns: usize,
    ) -> Option<Self> {
        let times = || events.iter().map(|event| event.at);
        let from = span.0.or_else(|| times().min())?;
        // The last event is within the last column.
        let until = span.1.or_else(|| times().max())?.plus_micros(1).max(from.plus_micros(1));
        let drawn = lanes(events, kinds, from, until, columns);
        Some(Self { sources, from, until, lanes: drawn.iter().map(DrawnLane::of).collect() })
    }

    /// Renders it.
    pub(crate) fn text(&self, output: Output) -> String {
        let columns = self.lanes.first().map_or(0, |lane| lane.counts.len());
        let most = self.lanes.iter().flat_map(|lane| lane.counts.iter().copied()).max().unwrap_or(0);
        let sources: Vec<&str> = self.sources.iter().map(SourceName::as_str).collect();
        let mut text = format!("{}\n", output.paint(Style::Strong, &sources.join(", ")));
        for lane in &self.lanes {
            let bars: String = (0..columns).map(|column| lane.bar(output, column, most)).collect();
            text.push_str(&format!(
                "{} {bars} {:>SUM_WIDTH$}\n",
                fitted(&format!("{} [{}]", printable(&lane.actor), lane.kind)),
                count(lane.total)
            ));
        }
        text.push_str(&self.axis(columns));
        text.push_str(&format!("{:NAME_WIDTH$} {}\n", "", output.paint(Style::Faint, &legend(output, most))));
        text
    }

    /// The times below the columns: the first, the last, and as many between them as there is room for.
    fn axis(&self, columns: usize) -> String {
        const LABEL: usize = 12;
        let micros = self.until.micros_since(self.from);
        let mut line = String::new();
        let mut column = 0;
        while column + LABEL <= columns {
            let passed = i128::from(micros) * column as i128 / columns.max(1) as i128;
            let at = self.from.plus_micros(i64::try_from(passed).unwrap_or(i64::MAX));
            line.push_str(&format!("{:<width$}", clock_time(at), width = LABEL * 2));
            column += LABEL * 2;
        }
        let day = self.from.to_string();
        format!("{:NAME_WIDTH$} {}\n", day.get(..10).unwrap_or_default(), line.trim_end())
    }
}

impl DrawnLane {
    fn of(lane: &Lane) -> Self {
        let each = |read: fn(&Cell) -> u64| lane.cells.iter().map(read).collect();
        let name = lane.actor.as_ref().map_or_else(
            || "nobody knows".to_owned(),
            |actor| {
                let program = actor.agent.as_ref().or(actor.application.as_ref()).or(actor.client.as_ref());
                program
                    .map_or_else(|| actor.identity.clone(), |program| format!("{} {program}", actor.identity))
            },
        );
        Self {
            actor: name,
            kind: lane.kind,
            total: lane.total(),
            counts: each(|cell| cell.count),
            worst: lane.cells.iter().map(|cell| cell.worst).collect(),
            severities: lane.cells.iter().map(|cell| cell.severity).collect(),
        }
    }

    /// A column as a bar; how serious it is shows without colour as well, in what follows its lane.
    fn bar(&self, output: Output, column: usize, most: u64) -> String {
        let amount = self.counts[column];
        if amount == 0 {
            return "·".to_owned();
        }
        // Orders of magnitude matter: one row and a million are both to be seen.
        let share = (amount as f64).ln_1p() / (most.max(1) as f64).ln_1p();
        let step = ((share * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1;
        let (style, sign) = match self.severities[column] {
            Some(Severity::Destructive) => (Style::Bad, '!'),
            Some(Severity::Notable) => (Style::Warning, '+'),
            _ => (Style::Faint, ' '),
        };
        // Without colours the sign stands in place of the bar where it matters.
        let shown = if output.colour || sign == ' ' { BARS[step] } else { sign };
        output.paint(style, &shown.to_string())
    }
}

fn legend(output: Output, most: u64) -> String {
    let most = count(most);
    if output.colour {
        format!("taller is more, up to {most} in a column; red is destructive, yellow notable")
    } else {
        format!("taller is more, up to {most} in a column; ! is destructive, + notable")
    }
}

/// Returns how many columns there is room for.
pub(crate) fn columns() -> usize {
    let terminal =
        rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    let terminal = if terminal == 0 { TERMINAL_COLUMNS } else { terminal };
    terminal.saturating_sub(NAME_WIDTH + SUM_WIDTH + 2).clamp(COLUMNS_MIN, COLUMNS_MAX)
}

fn clock_time(at: Moment) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn fitted(name: &str) -> String {
    let short: String = name.chars().take(NAME_WIDTH).collect();
    format!("{short:NAME_WIDTH$}")
}

#[cfg(test)]
mod tests {
    use model::{Actor, Attribution, Effect};

    use super::*;
    use crate::output::Format;

    const PLAIN: Output = Output { format: Format::Text, colour: false, quiet: false };

    fn event(at: &str, identity: Option<&str>, verb: Verb, count: u64, severity: Severity) -> Event {
        Event {
            at: at.parse().unwrap(),
            position: at.to_owned(),
            transaction: "1".to_owned(),
            scope: "shop".to_owned(),
            effects: vec![Effect { verb, target: "shop.public.bookings".to_owned(), count }],
            severity,
            actor: identity.map(|name| Actor {
                identity: name.to_owned(),
                application: Some("psql\u{1b}[2J".to_owned()),
                ..Actor::default()
            }),
            attribution: Attribution::Sampled,
            statement: None,
        }
    }

    #[test]
    fn the_worst_lane_comes_first_and_says_so_without_colours() {
        let events = [
            event("2026-04-25T14:00:00Z", Some("app"), Verb::Insert, 3, Severity::Routine),
            event("2026-04-25T14:00:09Z", Some("agent"), Verb::Delete, 1_000_000, Severity::Destructive),
            event("2026-04-25T14:01:00Z", None, Verb::Update, 1, Severity::Notable),
        ];
        let shop = vec![SourceName::new("shop").unwrap()];
        let picture = Picture::of(shop, &events, &ActorKinds::default(), (None, None), 48).unwrap();
        let text = picture.text(PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "shop");
        assert!(lines[1].starts_with("agent psql") && lines[1].ends_with(" 1,000,000"), "{text}");
        assert_eq!(lines[1].matches('!').count(), 1, "{text}");
        assert_eq!((lines[2].matches('+').count(), lines[3].matches('▁').count()), (1, 1), "{text}");
        assert!(lines[4].contains("2026-04-25") && lines[4].contains("14:00:00"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(Picture::of(Vec::new(), &[], &ActorKinds::default(), (None, None), 48).is_none());
    }
}
