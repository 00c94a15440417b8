//! What a plan comes to, in words: what is put back, how many of what, and where.

use std::collections::BTreeSet;

use connect::plan::{Action, Counts, Document, Plan};

use crate::words::{count, counted, timed};

/// Titles of plans are foreign text in part; of a longer target so much is in one.
const TARGET_CHARACTERS: usize = 80;

/// Returns the noun for one of the things that plans are about: `row`, `message`, `item` where they are of several kinds.
pub fn noun(parts: &[Plan]) -> &str {
    let mut nouns: BTreeSet<&str> = parts.iter().flat_map(nouns_of).collect();
    let one = nouns.pop_first().filter(|_| nouns.is_empty());
    one.unwrap_or("item")
}

/// Rows come in the text format of `COPY`; what else there is has a promise how it comes back.
fn nouns_of(plan: &Plan) -> BTreeSet<&str> {
    let is_of_rows = |name: &str| name.rsplit_once('.').is_some_and(|(_, form)| form == "copy");
    if plan.attachments.iter().any(|attachment| is_of_rows(&attachment.name)) {
        return BTreeSet::from(["row"]);
    }
    plan.fidelity.iter().map(|promise| promise.kind.as_str()).collect()
}

/// Says what plans come to, or came to: `1,500 rows put back; 12 rows left alone, because somebody else changed them`.
pub fn sums(counts: &Counts, noun: &str) -> String {
    let said = [
        (counts.inserted, noun, "put back"),
        (counts.reverted, noun, "set back to what was there before"),
        (counts.removed, noun, "removed, which the undone act added"),
        (counts.objects, "object", "made or redefined"),
        (counts.conflicts, noun, "left alone, changed by somebody else since"),
        (counts.unchanged, noun, "already right"),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, noun, words)| format!("{} {words}", counted(number, noun)))
        .collect();
    if said.is_empty() { "nothing to do".to_owned() } else { said.join("; ") }
}

/// Says how many of the things were found to be as planned: `1,500 of 1,500 rows as planned`.
pub fn as_planned(matched: u64, expected: u64, noun: &str) -> String {
    format!("{} of {} as planned", count(matched), counted(expected, noun))
}

/// Returns the title of a plan, or of a bundle with its parts: `Undo incident 1: put back 1,500 rows of public.orders`.
pub fn title(document: &Document, parts: &[Plan]) -> String {
    let (subject, counts) = match document {
        Document::Plan(plan) => (plan.subject.title.as_str(), plan.counts),
        Document::Bundle(bundle) => (bundle.title.as_str(), bundle.counts),
    };
    let noun = noun(parts);
    let done = [
        (counts.inserted, "put back", noun),
        (counts.reverted, "set back", noun),
        (counts.removed, "remove", noun),
        (counts.objects, "make", "object"),
    ];
    let done: Vec<String> = done
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, verb, noun)| format!("{verb} {}", counted(number, noun)))
        .collect();
    let mut done = if done.is_empty() { "change nothing".to_owned() } else { done.join(", ") };
    // An incident is told in full where it has its place, and times have theirs; what is enough to name it is here.
    let is_incident = subject.starts_with("incident ");
    let end = if is_incident { subject.find(": ") } else { span_of_time(subject) };
    let named = end.map_or(subject, |end| &subject[..end]);
    if let Some(target) = target(parts).filter(|target| !named.contains(target.as_str())) {
        done.push_str(&format!(" of {target}"));
    }
    let is_undo = is_incident || ["what ", "transaction"].iter().any(|start| subject.starts_with(start));
    timed(&if is_undo { format!("Undo {named}: {done}") } else { format!("{}: {named}", capital(&done)) })
}

/// Finds where a text begins to tell from when until when: `… from 2026-04-25T14:00:08Z to …`.
fn span_of_time(text: &str) -> Option<usize> {
    let begins = |at: &usize| text[at + " from ".len()..].starts_with(|c: char| c.is_ascii_digit());
    text.find(" from ").filter(begins)
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Returns the one target of all steps that move rows or items; a table without its database, which is the destination.
fn target(parts: &[Plan]) -> Option<String> {
    let targets = parts.iter().flat_map(|plan| {
        let moves = |action| matches!(action, Action::Insert | Action::Revert | Action::Remove);
        plan.steps.iter().filter(move |step| moves(step.action)).map(|step| {
            let within = step.target.strip_prefix(plan.destination.as_str());
            within.and_then(|rest| rest.strip_prefix('.')).unwrap_or(&step.target)
        })
    });
    let mut targets: BTreeSet<&str> = targets.collect();
    let one = targets.pop_first().filter(|_| targets.is_empty())?;
    let mut shown: String = one.chars().take(TARGET_CHARACTERS).collect();
    if shown.len() < one.len() {
        shown.push('…');
    }
    Some(shown)
}
