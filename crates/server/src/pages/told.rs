//! Words for what was seen: who it was, how that is known, what was done.

use model::{Actor, Attribution, Effect, Severity};
use service::words;
use watch::Sums;

/// More of a statement is not shown.
const STATEMENT_CHARACTERS: usize = 2_000;

/// Returns who somebody is: the identity, and the program where it is known.
pub(crate) fn name(actor: Option<&Actor>) -> String {
    let Some(actor) = actor else { return "nobody knows who".to_owned() };
    let program = actor.agent.as_ref().or(actor.application.as_ref()).or(actor.client.as_ref());
    match program {
        Some(program) if *program != actor.identity => format!("{program} as {}", actor.identity),
        _ => actor.identity.clone(),
    }
}

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

/// Writes one effect: `delete 249,500 in shop.public.a`.
pub(crate) fn effect(effect: &Effect) -> String {
    format!("{} {} in {}", effect.verb, words::count(effect.count), effect.target)
}

/// Writes the first sums, and how many more there are.
pub(crate) fn sums(sums: &Sums, limit: usize) -> Vec<String> {
    let mut told: Vec<String> = sums.iter().take(limit).map(effect).collect();
    let more = sums.iter().count().saturating_sub(limit);
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
