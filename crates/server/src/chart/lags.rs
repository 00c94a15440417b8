//! How far apart a source's newest commits are: a gap is time that cannot be restored to.

use askama::{Template, filters::HtmlSafe};
use model::Moment;
use service::words;

const WIDTH: usize = 440;
const HEIGHT: usize = 110;
/// Room below the bars for the times.
const AXIS: usize = 22;
const BAR_GAP: usize = 2;
const BAR_WIDTH_MAX: usize = 24;
/// The least number of gaps that are drawn.
const GAPS_MIN: usize = 3;

/// The time between each two neighbouring commits.
#[derive(Template)]
#[template(path = "chart_lags.html")]
pub(crate) struct LagChart {
    bars: Vec<Bar>,
    from: String,
    until: String,
    longest: String,
}

struct Bar {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    notable: bool,
    title: String,
}

impl HtmlSafe for LagChart {}

/// A gap of more than this many times the usual one stands out.
const NOTABLE: i64 = 5;

impl LagChart {
    /// Draws the times of commits, which come newest first.
    pub(crate) fn of(times: &[Moment]) -> Self {
        let gaps: Vec<(Moment, i64)> =
            times.windows(2).rev().map(|pair| (pair[0], pair[0].micros_since(pair[1]).max(0))).collect();
        let longest = gaps.iter().map(|(_, gap)| *gap).max().unwrap_or(0);
        let mut sorted: Vec<i64> = gaps.iter().map(|(_, gap)| *gap).collect();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let step = WIDTH / gaps.len().max(1);
        let room = HEIGHT - AXIS;
        // Fewer say nothing that the list of commits does not say.
        let drawn = if gaps.len() < GAPS_MIN { 0 } else { gaps.len() };
        let bars = gaps.iter().take(drawn).enumerate().map(|(index, (at, gap))| {
            // Orders of magnitude matter: seconds and days are both to be seen.
            let share = (*gap as f64).ln_1p() / (longest.max(1) as f64).ln_1p();
            let height = ((share * room as f64) as usize).clamp(1, room);
            let seconds = u64::try_from(gap / 1_000_000).unwrap_or(0);
            Bar {
                x: index * step,
                y: room - height,
                width: step.saturating_sub(BAR_GAP).clamp(1, BAR_WIDTH_MAX),
                height,
                notable: usual > 0 && *gap > usual.saturating_mul(NOTABLE),
                title: format!("{}, {} after the one before", words::moment(*at), words::span(seconds)),
            }
        });
        let ends = |time: Option<&Moment>| time.map_or_else(String::new, |at| words::moment(*at));
        Self {
            bars: bars.collect(),
            from: ends(times.last()),
            until: ends(times.first()),
            longest: words::span(u64::try_from(longest / 1_000_000).unwrap_or(0)),
        }
    }

    fn view_box(&self) -> String {
        format!("0 0 {WIDTH} {HEIGHT}")
    }

    fn axis_y(&self) -> usize {
        HEIGHT - AXIS
    }

    fn text_y(&self) -> usize {
        HEIGHT - 5
    }

    fn width(&self) -> usize {
        WIDTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_stands_out_among_regular_commits() {
        let mut times: Vec<Moment> = (0..20).map(|n| Moment::from_micros(n * 10_000_000)).collect();
        times.push(Moment::from_micros(4_000_000_000));
        times.reverse();
        let chart = LagChart::of(&times);
        assert_eq!(chart.bars.len(), 20);
        assert_eq!(chart.bars.iter().filter(|bar| bar.notable).count(), 1);
        assert!(chart.bars[19].notable, "the newest gap is the last bar");
        assert_eq!(chart.longest, "63 minutes");
        assert!(chart.bars.iter().all(|bar| bar.y + bar.height == HEIGHT - AXIS));
    }

    #[test]
    fn few_commits_are_no_picture() {
        assert!(LagChart::of(&[]).bars.is_empty());
        assert!(LagChart::of(&[Moment::from_micros(1)]).bars.is_empty());
        let few: Vec<Moment> = (0..3).map(Moment::from_micros).collect();
        assert!(LagChart::of(&few).bars.is_empty());
    }
}
