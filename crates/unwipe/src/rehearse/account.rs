//! The account of a rehearsal, as a person reads it.

use std::time::Duration;

use tenants::agent::{
    Step,
    attack::{Attack, Outcome},
};

use crate::output::{Output, Style, printable};

const CALL_CHARACTERS: usize = 64;
const LABEL_WIDTH: usize = 26;

/// A page of headings, facts and tables.
pub(crate) struct Page {
    output: Output,
    text: String,
}

impl Page {
    /// Begins a page.
    pub(crate) fn new(output: Output, title: &str) -> Self {
        let mut page = Self { output, text: String::new() };
        page.text.push('\n');
        page.text.push_str(&output.paint(Style::Strong, title));
        page.text.push('\n');
        page
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        let title = self.output.paint(Style::Strong, title);
        self.text.push_str(&format!("\n{title}\n"));
    }

    /// Adds a fact.
    pub(crate) fn fact(&mut self, label: &str, value: &str) {
        self.text.push_str(&format!("  {label:<LABEL_WIDTH$}{value}\n"));
    }

    /// Adds a fact whose value is judged.
    pub(crate) fn judged(&mut self, label: &str, value: &str, good: bool) {
        let value = self.output.paint(if good { Style::Good } else { Style::Bad }, value);
        self.fact(label, &value);
    }

    /// Adds what an agent did, with the seconds since its first step.
    pub(crate) fn steps(&mut self, steps: &[Step]) {
        let Some(first) = steps.first() else { return };
        for step in steps {
            let seconds = step.at.micros_since(first.at) as f64 / 1e6;
            let call: String =
                printable(&step.call).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CALL_CHARACTERS).collect();
            let intent = printable(&step.intent);
            let intent =
                if step.destructive { self.output.paint(Style::Bad, &intent) } else { intent };
            let call = self.output.paint(Style::Faint, &call);
            self.text.push_str(&format!("  +{seconds:7.3} s  {intent}\n              {call}\n"));
        }
    }

    /// Adds attacks, grouped by attacker and outcome: what held first, then what did not.
    pub(crate) fn attacks(&mut self, attacks: &[Attack]) {
        let mut groups: Vec<(String, &'static str, Style, Vec<String>)> = Vec::new();
        for attack in attacks {
            let (word, style, detail) = match &attack.outcome {
                Outcome::Held { by } => ("held", Style::Good, by.clone()),
                Outcome::Added { what } => ("added beside", Style::Warning, what.clone()),
                Outcome::Succeeded { lost } => ("NOT HELD", Style::Bad, lost.clone()),
                Outcome::NotTried { why } => ("not tried", Style::Warning, why.clone()),
            };
            let line = format!("{} ({detail})", attack.name);
            match groups.iter_mut().find(|(who, its_word, ..)| *who == attack.attacker && *its_word == word) {
                Some((.., lines)) => lines.push(line),
                None => groups.push((attack.attacker.clone(), word, style, vec![line])),
            }
        }
        for (who, word, style, lines) in groups {
            let word = self.output.paint(style, &format!("{word} {}", lines.len()));
            self.text.push_str(&format!("  {word}  as {}\n", printable(&who)));
            let mut seen: Vec<(String, usize)> = Vec::new();
            for line in lines {
                match seen.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, count)) => *count += 1,
                    None => seen.push((line, 1)),
                }
            }
            for (line, count) in seen {
                let times = if count > 1 { format!("  x{count}") } else { String::new() };
                self.text.push_str(&format!("      {}{times}\n", printable(&line)));
            }
        }
    }

    /// Adds a line of prose.
    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(&format!("  {text}\n"));
    }

    /// Returns the text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Writes a duration for people.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 { format!("{millis} ms") } else { format!("{:.1} s", duration.as_secs_f64()) }
}
