//! What differs between two versions of an item.

mod align;

use serde::{Deserialize, Serialize};

use crate::{
    document::{Document, Field, Note},
    words,
};

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its text.
    pub text: String,
    /// Whether the other side does not have it.
    pub is_changed: bool,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is only in the newer version.
    Added,
    /// It is only in the older version.
    Removed,
    /// It is in both, and different.
    Changed,
}

/// A field that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// How it was; empty where it was not there.
    pub old: Vec<Piece>,
    /// How it is; empty where it is no more.
    pub new: Vec<Piece>,
}

/// A line of the difference of two texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum LineChange {
    /// In both.
    Same {
        /// Its number in the older version, from 1 on.
        old: u64,
        /// Its number in the newer version.
        new: u64,
        /// The line.
        text: String,
    },
    /// Only in the older version.
    Removed {
        /// Its number there.
        old: u64,
        /// The line, with what the newer one does not have.
        pieces: Vec<Piece>,
    },
    /// Only in the newer version.
    Added {
        /// Its number there.
        new: u64,
        /// The line, with what the older one does not have.
        pieces: Vec<Piece>,
    },
    /// Lines that are in both and are not shown.
    Skipped {
        /// How many.
        lines: u64,
    },
}

/// What differs between two documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Fields, in the order of the older version; added ones at the end. Titles and attachments are fields here.
    pub fields: Vec<FieldChange>,
    /// Lines, with three around each change.
    pub lines: Vec<LineChange>,
    /// How many lines were removed, of which some may not be shown.
    pub removed_lines: u64,
    /// How many lines were added, of which some may not be shown.
    pub added_lines: u64,
    /// Whether there are more changes than are shown.
    pub is_cut: bool,
    /// What could not be compared: what was cut in one of the two.
    pub notes: Vec<Note>,
}

/// Lines that are shown around each change.
const CONTEXT: usize = 3;
/// So many lines of a difference are shown.
const LINES_MAX: usize = 1_000;
/// So many bytes of its lines.
const BYTES_MAX: usize = 256 << 10;
/// So many fields.
const FIELDS_MAX: usize = 300;

impl Difference {
    /// Returns whether nothing that was compared differs.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.removed_lines == 0 && self.added_lines == 0
    }
}

/// Compares two versions. What is shown is bounded, and so is the work, for any two documents.
pub fn difference(old: &Document, new: &Document) -> Difference {
    let mut difference = Difference::default();
    fields(&mut difference, &named(old), &named(new));
    lines(&mut difference, &old.body, &new.body);
    for note in old.notes.iter().chain(&new.notes) {
        if !difference.notes.contains(note) {
            difference.notes.push(note.clone());
        }
    }
    difference
}

/// Returns all that has a name: the title, the fields, the attachments. Names that occur twice are counted.
fn named(document: &Document) -> Vec<Field> {
    let field = |name: &str, value: String| Field { name: name.to_owned(), value };
    let mut all = vec![field("Title", document.title.clone())];
    all.extend(document.subtitle.iter().map(|subtitle| field("Subtitle", subtitle.clone())));
    all.extend(document.fields.iter().cloned());
    all.extend(document.attachments.iter().map(|attachment| {
        let what = format!("{}, {}", attachment.media_type, crate::file::size(attachment.bytes));
        field(&format!("Attachment {}", attachment.name), what)
    }));
    let mut seen = std::collections::HashMap::<String, usize>::new();
    for field in &mut all {
        let times = seen.entry(field.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            field.name = format!("{} #{times}", field.name);
        }
    }
    all
}

fn fields(difference: &mut Difference, old: &[Field], new: &[Field]) {
    let find = |fields: &[Field]| -> std::collections::HashMap<String, String> {
        fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect()
    };
    let (of_old, of_new) = (find(old), find(new));
    let whole = |text: &str| vec![Piece { text: text.to_owned(), is_changed: true }];
    for field in old {
        let change = match of_new.get(&field.name) {
            Some(value) if *value == field.value => continue,
            Some(value) => {
                let (before, after, _) = words::pieces(&field.value, value);
                FieldChange { name: field.name.clone(), change: Change::Changed, old: before, new: after }
            }
            None => FieldChange {
                name: field.name.clone(),
                change: Change::Removed,
                old: whole(&field.value),
                new: Vec::new(),
            },
        };
        difference.fields.push(change);
    }
    difference.fields.extend(new.iter().filter(|field| !of_old.contains_key(&field.name)).map(|field| {
        FieldChange {
            name: field.name.clone(),
            change: Change::Added,
            old: Vec::new(),
            new: whole(&field.value),
        }
    }));
    if difference.fields.len() > FIELDS_MAX {
        difference.fields.truncate(FIELDS_MAX);
        difference.is_cut = true;
    }
}

fn lines(difference: &mut Difference, old: &[String], new: &[String]) {
    let steps = align::align(old, new);
    if !steps.iter().any(|step| matches!(step, align::Step::Changed { .. })) {
        return;
    }
    let mut shown = Shown { difference, bytes: 0 };
    let last = steps.len().saturating_sub(1);
    for (number, step) in steps.iter().enumerate() {
        match step {
            align::Step::Same { old: from, new: to, count } => {
                let before = if number == 0 { 0 } else { CONTEXT.min(*count) };
                let after = if number == last { 0 } else { CONTEXT.min(count - before) };
                let skipped = count - before - after;
                let same = |offset: usize| LineChange::Same {
                    old: (from + offset + 1) as u64,
                    new: (to + offset + 1) as u64,
                    text: old[from + offset].clone(),
                };
                (0..before).for_each(|offset| shown.push(same(offset)));
                if skipped > 0 {
                    shown.push(LineChange::Skipped { lines: skipped as u64 });
                }
                (count - after..*count).for_each(|offset| shown.push(same(offset)));
            }
            align::Step::Changed { old: removed, new: added } => {
                shown.difference.removed_lines += removed.len() as u64;
                shown.difference.added_lines += added.len() as u64;
                shown.changed(old, new, removed.clone(), added.clone());
            }
        }
    }
}

struct Shown<'a> {
    difference: &'a mut Difference,
    bytes: usize,
}

impl Shown<'_> {
    fn push(&mut self, line: LineChange) {
        if self.is_full() {
            self.difference.is_cut = true;
            return;
        }
        self.bytes += match &line {
            LineChange::Same { text, .. } => text.len(),
            LineChange::Removed { pieces, .. } | LineChange::Added { pieces, .. } => {
                pieces.iter().map(|piece| piece.text.len()).sum()
            }
            LineChange::Skipped { .. } => 0,
        };
        self.difference.lines.push(line);
    }

    fn is_full(&self) -> bool {
        self.difference.lines.len() >= LINES_MAX || self.bytes >= BYTES_MAX
    }

    /// Shows a run of lines that were replaced: those that are like each other have their words marked.
    fn changed(
        &mut self,
        old: &[String],
        new: &[String],
        removed: std::ops::Range<usize>,
        added: std::ops::Range<usize>,
    ) {
        let pairs = removed.len().min(added.len());
        let mut later = Vec::new();
        for offset in 0..removed.len() {
            if self.is_full() {
                self.difference.is_cut = true;
                return;
            }
            let at = removed.start + offset;
            let whole = |text: &String| vec![Piece { text: text.clone(), is_changed: true }];
            let mut before = whole(&old[at]);
            if offset < pairs {
                let other = added.start + offset;
                let (marked, after, how) = words::pieces(&old[at], &new[other]);
                if how.is_similar {
                    before = marked;
                    later.push(after);
                } else {
                    later.push(whole(&new[other]));
                }
            }
            self.push(LineChange::Removed { old: (at + 1) as u64, pieces: before });
        }
        for offset in 0..added.len() {
            if self.is_full() {
                self.difference.is_cut = true;
                return;
            }
            let at = added.start + offset;
            let pieces = match later.get_mut(offset) {
                Some(pieces) => std::mem::take(pieces),
                None => vec![Piece { text: new[at].clone(), is_changed: true }],
            };
            self.push(LineChange::Added { new: (at + 1) as u64, pieces });
        }
    }
}

#[cfg(test)]
mod tests;
