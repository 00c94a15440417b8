//! Data goes to stdout, talk to stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
pub(crate) use service::words::{bytes, count, counted};

use crate::failure::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// Nowhere: what was done is looked up afterwards, by pages for example.
    Silent,
}

/// Where a command's results and remarks go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) colour: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// Makes an output from the command line and the terminal; `no_colour` is the `NO_COLOR` convention.
    pub(crate) fn new(json: bool, quiet: bool, no_colour: bool) -> Self {
        let format = if json { Format::Json } else { Format::Text };
        Self { format, colour: !no_colour && !json && io::stdout().is_terminal(), quiet }
    }

    /// Makes an output that prints nothing.
    pub(crate) const fn silent() -> Self {
        Self { format: Format::Silent, colour: false, quiet: true }
    }

    /// Prints a result: the JSON document, or the text that `text` makes.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let rendered = match self.format {
            Format::Json => serde_json::to_string_pretty(value).map_err(io::Error::from)?,
            Format::Text => text(),
            Format::Silent => return Ok(()),
        };
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(rendered.as_bytes())
            .and_then(|()| if rendered.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        {
            // The reader has seen enough, as in `unwipe timeline shop | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Says something to the person who waits.
    #[expect(clippy::print_stderr, reason = "remarks go to stderr, here and nowhere else")]
    pub(crate) fn say(self, remark: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", remark.as_ref());
        }
    }

    /// Prints a failure with its causes and its hint.
    #[expect(clippy::print_stderr, reason = "errors go to stderr, here and nowhere else")]
    pub(crate) fn fail(failure: &Failure) {
        for line in failure.lines() {
            eprintln!("{line}");
        }
    }

    /// Paints text on a terminal.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }
}

/// The few styles in use; meaning never rests on colour alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// A heading.
    Strong,
    /// Lesser detail.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Destroyed, failed.
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

/// Lays rows out in columns; the last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| visible_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.push_str(&" ".repeat(widths[column].saturating_sub(visible_width(cell)) + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Counts characters, leaving out colour sequences.
fn visible_width(cell: &str) -> usize {
    let mut width = 0;
    let mut inside = false;
    for character in cell.chars() {
        match character {
            '\x1b' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            _ => width += 1,
        }
    }
    width
}

/// Makes foreign text safe for a terminal: control characters become visible escapes.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn columns_line_up_whatever_the_colour() {
        let rows = vec![
            vec!["\x1b[31mdrop\x1b[0m".to_owned(), "x".to_owned()],
            vec!["truncate".to_owned(), "y".to_owned()],
        ];
        assert_eq!(table(&rows), "\x1b[31mdrop\x1b[0m      x\ntruncate  y\n");
    }
}
