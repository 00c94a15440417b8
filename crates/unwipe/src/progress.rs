//! Progress of long work: bars on a terminal, a line every ten seconds elsewhere.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connect::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use ports::Clock;

use crate::output::{Output, bytes, count};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows phases of work to the person who waits.
pub(crate) struct Display {
    output: Output,
    clock: Arc<dyn Clock>,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    title: String,
    total: Option<u64>,
    counted: bool,
    done: u64,
    last_line: Duration,
}

impl Display {
    /// Makes a display; a quiet output shows nothing.
    pub(crate) fn new(output: Output, clock: Arc<dyn Clock>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { output, clock, terminal, state: Mutex::default() }
    }

    fn begin(&self, title: &str, total: Option<u64>, counted: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        let bar = self.bar(title, total, counted);
        let last_line = self.clock.elapsed();
        *state = State { bar, title: title.to_owned(), total, counted, done: 0, last_line };
    }

    fn bar(&self, title: &str, total: Option<u64>, counted: bool) -> Option<ProgressBar> {
        if !self.terminal || self.output.quiet {
            return None;
        }
        let template = match total {
            Some(_) if counted => "{msg:28} {bar:30} {human_pos:>10}/{human_len:10} {per_sec:>12} {eta:>5}",
            None if counted => "{msg:28} {spinner} {human_pos:>10} {per_sec:>12}",
            Some(_) => "{msg:28} {bar:30} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} {eta:>5}",
            None => "{msg:28} {spinner} {bytes:>10} {bytes_per_sec:>12}",
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(title.to_owned());
        Some(bar)
    }
}

impl Progress for Display {
    fn phase(&self, title: &str, total: Option<u64>) {
        self.begin(title, total, false);
    }

    fn counted_phase(&self, title: &str, total: Option<u64>) {
        self.begin(title, total, true);
    }

    fn advance(&self, units: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += units;
        if let Some(bar) = &state.bar {
            bar.inc(units);
        } else if !self.terminal && self.clock.elapsed().saturating_sub(state.last_line) >= LINE_EVERY {
            state.last_line = self.clock.elapsed();
            let text = if state.counted { count } else { bytes };
            let total = state.total.map(|total| format!(" of {}", text(total))).unwrap_or_default();
            self.output.say(format!("{}: {}{total}", state.title, text(state.done)));
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}
