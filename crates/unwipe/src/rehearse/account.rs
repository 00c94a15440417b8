//! The account of a rehearsal, as a person reads it.

use std::time::Duration;

use tenants::agent::{
    Step,
    attack::{Attack, Outcome},
};

use crate::output::{Output, Style, printable};

const CALL_CHARACTERS: usize = 64;
const LABEL_WIDTH: usize = 34;

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

    /// Adds how long it took to plan, and to apply and verify.
    pub(crate) fn times(&mut self, planned_ms: u64, applied_ms: u64) {
        let shown = |ms| duration(Duration::from_millis(ms));
        self.fact(
            "time",
            &format!("{} to plan, {} to apply and verify", shown(planned_ms), shown(applied_ms)),
        );
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
            let call: String = printable(&step.call)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(CALL_CHARACTERS)
                .collect();
            let intent = printable(&step.intent);
            let intent = if step.destructive { self.output.paint(Style::Bad, &intent) } else { intent };
            let call = self.output.paint(Style::Faint, &call);
            self.text.push_str(&format!("  +{seconds:7.3} s  {intent}\n              {call}\n"));
        }
    }

    /// Adds attacks: for each attacker and outcome the methods, and what they were tried on.
    pub(crate) fn attacks(&mut self, attacks: &[Attack]) {
        let mut groups: Vec<Group> = Vec::new();
        for attack in attacks {
            let (word, style, detail) = match &attack.outcome {
                Outcome::Held { by } => ("held", Style::Good, by),
                Outcome::Added { what } => ("put beside", Style::Warning, what),
                Outcome::Succeeded { lost } => ("NOT HELD", Style::Bad, lost),
                Outcome::NotTried { why } => ("not tried", Style::Warning, why),
            };
            let same = |group: &Group| group.attacker == attack.attacker && group.word == word;
            let index = groups.iter().position(same).unwrap_or_else(|| {
                groups.push(Group { attacker: attack.attacker.clone(), word, style, lines: Vec::new() });
                groups.len() - 1
            });
            groups[index].add(&attack.name, detail);
        }
        for Group { attacker, word, style, lines } in groups {
            let count = lines.iter().map(|line| line.targets.len().max(1)).sum::<usize>();
            let word = self.output.paint(style, &format!("{word:<10} {count:>3}"));
            self.text.push_str(&format!("  {word}  as {}\n", printable(&attacker)));
            for line in lines {
                let targets = line.targets.join(", ");
                let on = if targets.is_empty() { String::new() } else { format!(": {targets}") };
                let detail = self.output.paint(Style::Faint, &format!("({})", printable(&line.detail)));
                self.text.push_str(&format!(
                    "      {}{} {detail}\n",
                    printable(&line.method),
                    printable(&on)
                ));
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

/// The attempts of one attacker with one outcome.
struct Group {
    attacker: String,
    word: &'static str,
    style: Style,
    lines: Vec<Line>,
}

/// One method, what it was tried on, and what came of it.
struct Line {
    method: String,
    targets: Vec<String>,
    detail: String,
}

impl Group {
    fn add(&mut self, name: &str, detail: &str) {
        let (method, target) = name.split_once(": ").unwrap_or((name, ""));
        let target = kind_of_object(target);
        let index = self.lines.iter().position(|line| line.method == method).unwrap_or_else(|| {
            self.lines.push(Line {
                method: method.to_owned(),
                targets: Vec::new(),
                detail: detail.to_owned(),
            });
            self.lines.len() - 1
        });
        let line = &mut self.lines[index];
        if !target.is_empty() && !line.targets.contains(&target) {
            line.targets.push(target);
        }
    }
}

/// Names an object of a vault by its kind; which one it was says nothing to a reader.
fn kind_of_object(name: &str) -> String {
    let is_pack = name.starts_with("data/") && name.len() > 64;
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        _ if is_pack => "a pack".to_owned(),
        ["log", _, _] => "a commit".to_owned(),
        _ => name.to_owned(),
    }
}

/// Writes a duration for people.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match duration.as_secs() {
        0 => format!("{millis} ms"),
        1..7200 => format!("{:.1} s", duration.as_secs_f64()),
        // Where the clock runs fast.
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}
