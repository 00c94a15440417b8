//! Words for what was seen: who it was, how that is known, what was done.

use model::{Attribution, Effect, Severity};
use service::words;
use watch::ActorKind;

/// More of a statement is not shown.
const STATEMENT_CHARACTERS: usize = 2_000;

/// Says how it is known who it was; a guess says so.
pub(crate) const fn known(attribution: Attribution) -> &'static str {
    match attribution {
        Attribution::Witnessed => "witnessed: a message within the same transaction names them",
        Attribution::Recorded => "recorded: the source's own audit log names them",
        Attribution::Sampled => "sampled: they were seen at it while it ran",
        Attribution::Inferred => "a guess: inferred from what was seen before and after",
        Attribution::Unknown => "unknown: nobody saw who did it",
    }
}

/// Says what somebody is, where that is known.
pub(crate) const fn kind(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Person => "person",
        ActorKind::Machine => "program",
        ActorKind::Agent => "agent",
        ActorKind::Unknown => "",
    }
}

/// Writes a number of things with their noun, for templates.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand over references")]
pub(crate) fn counted(number: &usize, noun: &str) -> String {
    words::counted(*number as u64, noun)
}

/// Returns one word for how it is known.
pub(crate) const fn known_word(attribution: Attribution) -> &'static str {
    match attribution {
        Attribution::Witnessed => "witnessed",
        Attribution::Recorded => "recorded",
        Attribution::Sampled => "sampled",
        Attribution::Inferred => "a guess",
        Attribution::Unknown => "unknown",
    }
}

/// Tells the first deeds within a scope, and how many more there are.
pub(crate) fn deeds<'e>(
    mut effects: impl Iterator<Item = &'e Effect>,
    scope: &str,
    limit: usize,
) -> Vec<String> {
    let first = effects.by_ref().take(limit);
    let mut told: Vec<String> = first.map(|effect| words::deed(effect, scope)).collect();
    let more = effects.count();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

/// Returns the class with which something serious is shown.
pub(crate) const fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Destructive => "destructive",
        Severity::Notable => "notable",
        Severity::Routine => "routine",
    }
}

/// Returns a statement as far as it is shown.
pub(crate) fn statement(text: &str) -> String {
    let mut short: String = text.chars().take(STATEMENT_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
