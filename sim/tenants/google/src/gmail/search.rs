//! The search box: as much of its language as programs use.

use std::collections::BTreeSet;

use super::mailbox::{Mailbox, Message};
use crate::{refusal::Refusal, stamp};

/// A search: all terms must hold.
#[derive(Debug, Default)]
pub(super) struct Search {
    terms: Vec<(bool, Term)>,
    /// Whether it names the trash or spam, so that these are searched at all.
    pub(super) reaches_hidden: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Term {
    MessageId(String),
    /// A label's id.
    Label(String),
    /// What no message has.
    Nothing,
    Anywhere,
    /// From this millisecond on.
    After(i64),
    /// Before this millisecond.
    Before(i64),
    From(String),
    Subject(String),
    Word(String),
}

impl Search {
    /// Reads a search. What the simulator does not know is refused, so that nobody takes a wrong result for a right one.
    pub(super) fn parse(query: &str, mailbox: &Mailbox) -> Result<Self, Refusal> {
        let mut search = Self::default();
        for word in words(query) {
            let (negated, word) = word.strip_prefix('-').map_or((false, word.as_str()), |rest| (true, rest));
            if word.is_empty() {
                continue;
            }
            let term = match word.split_once(':') {
                Some((operator, value)) => {
                    let value = value.trim_matches('"');
                    operation(&operator.to_lowercase(), value, mailbox)?
                }
                None => Term::Word(word.to_lowercase()),
            };
            let hidden = match &term {
                Term::Label(id) => id == "TRASH" || id == "SPAM",
                // A message that is looked for by its own id is found wherever it is visible, not in the trash.
                Term::Anywhere => true,
                _ => false,
            };
            search.reaches_hidden |= hidden && !negated;
            search.terms.push((negated, term));
        }
        Ok(search)
    }

    /// Returns the `Message-ID` that is looked for, so that the index can be asked.
    pub(super) fn message_id(&self) -> Option<&str> {
        self.terms.iter().find_map(|(negated, term)| match term {
            Term::MessageId(id) if !negated => Some(id.as_str()),
            _ => None,
        })
    }

    pub(super) fn finds(&self, message: &Message) -> bool {
        self.terms.iter().all(|(negated, term)| term.holds(message) != *negated)
    }
}

impl Term {
    fn holds(&self, message: &Message) -> bool {
        match self {
            Self::MessageId(id) => *message.message_id == **id,
            Self::Label(id) => message.has(id),
            Self::Nothing => false,
            Self::Anywhere => true,
            Self::After(millis) => message.internal_date >= *millis,
            Self::Before(millis) => message.internal_date < *millis,
            Self::From(text) => message.from.to_lowercase().contains(text),
            Self::Subject(text) => message.subject.to_lowercase().contains(text),
            Self::Word(text) => {
                message.subject.to_lowercase().contains(text) || message.from.to_lowercase().contains(text)
            }
        }
    }
}

fn operation(operator: &str, value: &str, mailbox: &Mailbox) -> Result<Term, Refusal> {
    Ok(match operator {
        "rfc822msgid" => Term::MessageId(value.trim_start_matches('<').trim_end_matches('>').to_owned()),
        "in" if value.eq_ignore_ascii_case("anywhere") => Term::Anywhere,
        "in" | "label" | "is" => label(value, mailbox).map_or(Term::Nothing, Term::Label),
        "after" | "newer" => Term::After(date(value)?),
        "before" | "older" => Term::Before(date(value)?),
        "from" => Term::From(value.to_lowercase()),
        "subject" => Term::Subject(value.to_lowercase()),
        _ => {
            return Err(Refusal::invalid(format!(
                "The simulator does not know the search operator {operator:?}"
            )));
        }
    })
}

/// Finds a label by its name, in which spaces and slashes may be written as dashes.
fn label(value: &str, mailbox: &Mailbox) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace([' ', '/', '.', '&', '(', ')', '"'], "-");
    let wanted = match plain(value).as_str() {
        "drafts" => "draft".to_owned(),
        plain => plain.to_owned(),
    };
    let same = mailbox.labels.iter().find(|(_, label)| plain(&label.name) == wanted);
    same.map(|(id, _)| id.to_string())
}

/// Reads a date: `2026/03/02`, `2026-03-02`, or seconds since 1970.
fn date(value: &str) -> Result<i64, Refusal> {
    let day = value.replace('/', "-");
    let parts: BTreeSet<usize> = day.split('-').map(str::len).collect();
    if let Ok(seconds) = value.parse::<i64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    let padded: Vec<String> = day.split('-').map(|part| format!("{part:0>2}")).collect();
    let moment = stamp::parse(&format!("{}T00:00:00Z", padded.join("-"))).filter(|_| !parts.contains(&0));
    moment.map(stamp::millis).ok_or_else(|| Refusal::invalid(format!("Invalid date in search: {value}")))
}

/// Splits at spaces that are not between quotation marks.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in query.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => words.push(String::new()),
            letter => {
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_read() {
        let mailbox = Mailbox::new("anna@acme.test", 1);
        let terms = |query| Search::parse(query, &mailbox).unwrap().terms;
        assert_eq!(terms("rfc822msgid:<a@b>"), [(false, Term::MessageId("a@b".to_owned()))]);
        assert_eq!(terms("-in:trash")[0], (true, Term::Label("TRASH".to_owned())));
        assert_eq!(terms("after:2026/3/2")[0], (false, Term::After(1_772_409_600_000)));
        assert_eq!(terms("before:1772409600")[0], (false, Term::Before(1_772_409_600_000)));
        assert_eq!(terms("subject:\"a b\" c").len(), 2);
        assert_eq!(terms("label:nothing"), [(false, Term::Nothing)]);
        assert!(Search::parse("has:attachment", &mailbox).is_err());
        assert!(Search::parse("in:trash", &mailbox).unwrap().reaches_hidden);
        assert!(!Search::parse("-in:trash", &mailbox).unwrap().reaches_hidden);
    }
}
