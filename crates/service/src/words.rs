//! Numbers, times, people and deeds as people write them.

use model::{Actor, Effect, Moment, Verb};

/// Writes a count with thousands separated: `249,500`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a count with its noun, which is given for one: `1 row`, `249,500 rows`, `2 copies`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {}", count(number), plural(noun)) }
}

/// Returns a noun for several of what it names: `copies`, `groups of contacts`.
pub fn plural(noun: &str) -> String {
    if let Some((head, rest)) = noun.split_once(" of ") {
        return format!("{} of {rest}", plural(head));
    }
    if let Some(stem) = noun.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if let Some(stem) = noun.strip_suffix("person") {
        return format!("{stem}people");
    }
    let hisses = ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    format!("{noun}{}", if hisses { "es" } else { "s" })
}

/// Returns who somebody is: the identity, and the program where it is known.
pub fn actor(actor: Option<&Actor>) -> String {
    let Some(actor) = actor else { return "nobody knows who".to_owned() };
    let program = actor.agent.as_ref().or(actor.application.as_ref()).or(actor.client.as_ref());
    match program {
        Some(program) if *program != actor.identity => format!("{program} as {}", actor.identity),
        _ => actor.identity.clone(),
    }
}

/// Says what was done to one target: `deleted 249,500 rows of shop.public.a`, `emptied shop.public.b`. Tables are named
/// with their database, which is the scope; what other systems have are items.
pub fn deed(effect: &Effect, scope: &str) -> String {
    let Effect { verb, target, count: number } = effect;
    let is_table = target.strip_prefix(scope).is_some_and(|rest| rest.starts_with('.'));
    let some = counted(*number, if is_table { "row" } else { "item" });
    // A target may be one item, or the place that items are in.
    let is_item = !is_table && *number == 1 && target.contains('/') && target != scope;
    let done = |word: &str, preposition: &str| {
        if is_item { format!("{word} {target}") } else { format!("{word} {some} {preposition} {target}") }
    };
    let whole = |word: &str| match *number {
        1 => format!("{word} {target}"),
        _ => format!("{word} {target} ({} times)", count(*number)),
    };
    match verb {
        Verb::DropDatabase => whole("dropped the database"),
        Verb::Drop => whole("dropped"),
        Verb::Truncate => whole("emptied"),
        Verb::Rewrite => whole("wrote anew"),
        Verb::Define => whole("defined"),
        Verb::Weaken => whole("weakened"),
        Verb::Grant => whole("let in"),
        Verb::Revoke => whole("revoked"),
        Verb::Delete => done("deleted", "of"),
        Verb::Trash => format!("{} into the trash", done("put", "of")),
        Verb::Update => done("changed", "of"),
        Verb::Encrypt => done("encrypted", "of"),
        Verb::Insert => done("added", "to"),
        Verb::Untrash => format!("{} out of the trash", done("took", "of")),
        Verb::Read => done("read", "of"),
        Verb::Share => done("shared", "of"),
    }
}

/// Takes apart what is said to help: a command that can be run as it stands, and the words around it.
pub fn help(text: &str) -> (Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    if !text.starts_with("unwipe ") {
        return (None, some(text));
    }
    // Commands hold neither of these; sentences around them do.
    let end = [", ", ": ", "; "].iter().filter_map(|end| text.find(end)).min();
    match end {
        None => (some(text), None),
        Some(end) => (some(&text[..end]), some(text[end + 2..].trim())),
    }
}

/// Writes bytes for people: `1.5 GB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Writes a span of time for people, in its largest unit: `12 seconds`, `3 hours`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    // Below two of a unit the next smaller one says more.
    let (size, name) = UNITS.into_iter().find(|(size, _)| seconds >= size * 2).unwrap_or((1, "second"));
    counted(seconds / size, name)
}

/// Writes how long ago something was: `12 seconds ago`, `just now`; or how far ahead: `in 3 hours`.
pub fn ago(at: Moment, now: Moment) -> String {
    let seconds = now.micros_since(at) / 1_000_000;
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        _ => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// Writes the moments within a text as people do, and leaves everything else as it is.
pub fn timed(text: &str) -> String {
    let told = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':', '.']);
        match bare.parse() {
            Ok(at) if bare.contains('T') => format!("{}{}", moment(at), &word[bare.len()..]),
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(told).collect::<Vec<_>>().join(" ")
}

/// Writes a moment to the second: `2026-04-25 14:00:08 UTC`.
pub fn moment(at: Moment) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(count(249_500), "249,500");
        assert_eq!(count(12), "12");
        assert_eq!(bytes(1_526_000_000), "1.5 GB");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(span(1), "1 second");
        assert_eq!(span(119), "119 seconds");
        assert_eq!(span(120), "2 minutes");
        assert_eq!(span(172_800), "2 days");
    }

    #[test]
    fn counts_come_with_their_nouns() {
        assert_eq!(counted(1, "act"), "1 act");
        assert_eq!(counted(0, "transaction"), "0 transactions");
        assert_eq!(counted(1_500, "row"), "1,500 rows");
        assert_eq!(counted(2, "copy"), "2 copies");
        assert_eq!(counted(2, "day"), "2 days");
        assert_eq!(counted(2, "person"), "2 people");
        assert_eq!(counted(2, "group of contacts"), "2 groups of contacts");
        assert_eq!(counted(2, "branch"), "2 branches");
    }

    #[test]
    fn deeds_are_told_as_people_would() {
        let told = |verb, target: &str, count, scope| {
            deed(&Effect { verb, target: target.to_owned(), count }, scope)
        };
        assert_eq!(
            told(Verb::Delete, "shop.public.a", 249_500, "shop"),
            "deleted 249,500 rows of shop.public.a"
        );
        assert_eq!(told(Verb::Delete, "shop.public.a", 1, "shop"), "deleted 1 row of shop.public.a");
        assert_eq!(told(Verb::Truncate, "shop.public.b", 1, "shop"), "emptied shop.public.b");
        assert_eq!(told(Verb::DropDatabase, "shop", 1, "shop"), "dropped the database shop");
        assert_eq!(told(Verb::Delete, "messages", 40, "gmail/anna@x.org"), "deleted 40 items of messages");
        assert_eq!(told(Verb::Trash, "file/7", 1, "drive/anna"), "put file/7 into the trash");
        assert_eq!(
            told(Verb::Trash, "drive/anna", 1, "drive/anna"),
            "put 1 item of drive/anna into the trash"
        );
        // A table of another database is none of this one's.
        assert_eq!(
            told(Verb::Delete, "shopping.public.a", 2, "shop"),
            "deleted 2 items of shopping.public.a"
        );
    }

    #[test]
    fn a_command_is_told_from_the_words_around_it() {
        let told = |text: &str| help(text);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told("unwipe cases list"), (some("unwipe cases list"), None));
        assert_eq!(
            told("unwipe init --immutable-flags, as a user of its own, or a vault on another host"),
            (some("unwipe init --immutable-flags"), some("as a user of its own, or a vault on another host"))
        );
        assert_eq!(told("move the key away"), (None, some("move the key away")));
    }

    #[test]
    fn times_are_told_from_here() {
        let at: Moment = "2026-04-25T14:00:08.5Z".parse().unwrap();
        assert_eq!(moment(at), "2026-04-25 14:00:08 UTC");
        assert_eq!(ago(at, at.plus_micros(12_400_000)), "12 seconds ago");
        assert_eq!(ago(at, at.plus_micros(-7_300_000_000)), "in 2 hours");
        assert_eq!(ago(at, at.plus_micros(900_000)), "just now");
        assert_eq!(
            timed("from 2026-04-25T14:00:08.5Z, to 7,  as 2026-04-25"),
            "from 2026-04-25 14:00:08 UTC, to 7,  as 2026-04-25"
        );
    }
}
