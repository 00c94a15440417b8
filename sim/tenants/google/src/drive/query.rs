//! The language in which files are searched: `'me' in owners and (name = 'a' or trashed = true)`.

use model::Moment;

use super::{
    file::File,
    permission::{Grantee, Role},
    reply::bad,
};
use crate::{call::Call, refusal::Refusal, stamp, tenant::Tenant};

/// A parsed search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    All,
    And(Box<Query>, Box<Query>),
    Or(Box<Query>, Box<Query>),
    Not(Box<Query>),
    Term(Term),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    Name(Comparison, String),
    Media(Comparison, String),
    Text(String),
    Parent(String),
    /// Somebody has at least this role; `me` was replaced.
    Person(Role, String),
    Flag(&'static str, bool),
    Time(&'static str, Comparison, Moment),
    Target(String),
    Property(bool, String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Contains,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    Text(String),
    Sign(&'static str),
}

fn words(text: &str) -> Option<Vec<Word>> {
    const SIGNS: [&str; 10] = ["(", ")", "{", "}", "<=", ">=", "!=", "=", "<", ">"];
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(&rest[1..])?;
            words.push(Word::Text(text));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            words.push(Word::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let plain = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
            let end = rest.find(|c: char| !plain(c)).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            words.push(Word::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(words)
}

/// Reads what follows a quotation mark to the next one; a backslash takes the next letter as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => out.push(letters.next()?.1),
            '\'' => return Some((out, &text[at + 1..])),
            letter => out.push(letter),
        }
    }
    None
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    me: String,
}

impl Parser {
    fn peek_name(&self, name: &str) -> bool {
        matches!(self.words.get(self.at), Some(Word::Name(own)) if own.eq_ignore_ascii_case(name))
    }

    fn peek_sign(&self, sign: &str) -> bool {
        matches!(self.words.get(self.at), Some(Word::Sign(own)) if *own == sign)
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at)?.clone();
        self.at += 1;
        Some(word)
    }

    fn sign(&mut self, sign: &str) -> Option<()> {
        matches!(self.next()?, Word::Sign(own) if own == sign).then_some(())
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            Word::Text(text) => Some(text),
            _ => None,
        }
    }

    fn either(&mut self, depth: usize) -> Option<Query> {
        let mut left = self.both(depth)?;
        while self.peek_name("or") {
            self.at += 1;
            left = Query::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Some(left)
    }

    fn both(&mut self, depth: usize) -> Option<Query> {
        let mut left = self.one(depth)?;
        while self.peek_name("and") {
            self.at += 1;
            left = Query::And(Box::new(left), Box::new(self.one(depth)?));
        }
        Some(left)
    }

    fn one(&mut self, depth: usize) -> Option<Query> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.peek_name("not") {
            self.at += 1;
            return Some(Query::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.peek_sign("(") {
            self.at += 1;
            let inside = self.either(depth + 1)?;
            self.sign(")")?;
            return Some(inside);
        }
        self.term().map(Query::Term)
    }

    fn term(&mut self) -> Option<Term> {
        match self.next()? {
            Word::Text(value) => {
                let Word::Name(word) = self.next()? else { return None };
                let Word::Name(collection) = self.next()? else { return None };
                if word != "in" {
                    return None;
                }
                let person = if value == "me" { self.me.clone() } else { value.clone() };
                Some(match collection.as_str() {
                    "parents" => Term::Parent(value),
                    "owners" => Term::Person(Role::Owner, person),
                    "writers" => Term::Person(Role::Writer, person),
                    "readers" => Term::Person(Role::Reader, person),
                    _ => return None,
                })
            }
            Word::Name(name) => self.named(&name),
            Word::Sign(_) => None,
        }
    }

    fn named(&mut self, name: &str) -> Option<Term> {
        let comparison = match self.words.get(self.at) {
            Some(Word::Sign("=")) => Comparison::Equal,
            Some(Word::Sign("!=")) => Comparison::Unequal,
            Some(Word::Sign("<")) => Comparison::Less,
            Some(Word::Sign("<=")) => Comparison::LessOrEqual,
            Some(Word::Sign(">")) => Comparison::Greater,
            Some(Word::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(Word::Name(word)) if word == "contains" => Comparison::Contains,
            Some(Word::Name(word)) if word == "has" => {
                self.at += 1;
                return self.property(name);
            }
            // A flag alone is meant to be true.
            _ if name == "sharedWithMe" => return Some(Term::Flag("sharedWithMe", true)),
            _ => return None,
        };
        self.at += 1;
        let flags = ["trashed", "starred", "sharedWithMe"];
        if let Some(flag) = flags.into_iter().find(|flag| *flag == name) {
            let Word::Name(value) = self.next()? else { return None };
            let value: bool = value.parse().ok()?;
            return match comparison {
                Comparison::Equal => Some(Term::Flag(flag, value)),
                Comparison::Unequal => Some(Term::Flag(flag, !value)),
                _ => None,
            };
        }
        let times = ["modifiedTime", "createdTime"];
        let value = self.text()?;
        if let Some(time) = times.into_iter().find(|time| *time == name) {
            let zoned = stamp::parse(&value).or_else(|| stamp::parse(&format!("{value}Z")));
            let moment = zoned.or_else(|| stamp::parse(&format!("{value}T00:00:00Z")))?;
            return (comparison != Comparison::Contains).then_some(Term::Time(time, comparison, moment));
        }
        let of_text = matches!(comparison, Comparison::Equal | Comparison::Unequal | Comparison::Contains);
        match name {
            "name" if of_text => Some(Term::Name(comparison, value)),
            "mimeType" if of_text => Some(Term::Media(comparison, value)),
            "fullText" if comparison == Comparison::Contains => Some(Term::Text(value)),
            "shortcutDetails.targetId" if comparison == Comparison::Equal => Some(Term::Target(value)),
            _ => None,
        }
    }

    fn property(&mut self, name: &str) -> Option<Term> {
        let of_app = match name {
            "properties" => false,
            "appProperties" => true,
            _ => return None,
        };
        self.sign("{")?;
        let mut read = |wanted: &str| {
            matches!(self.next()?, Word::Name(own) if own == wanted).then_some(())?;
            self.sign("=")?;
            self.text()
        };
        let key = read("key")?;
        if !self.peek_name("and") {
            return None;
        }
        self.at += 1;
        matches!(self.next()?, Word::Name(own) if own == "value").then_some(())?;
        self.sign("=")?;
        let value = self.text()?;
        self.sign("}")?;
        Some(Term::Property(of_app, key, value))
    }
}

impl Query {
    /// Reads a search of a caller.
    pub(super) fn parse(text: Option<&str>, me: &str) -> Result<Self, Refusal> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::All) };
        let parsed = words(text).and_then(|words| {
            let mut parser = Parser { words, at: 0, me: me.to_owned() };
            let query = parser.either(0)?;
            (parser.at == parser.words.len()).then_some(query)
        });
        parsed.ok_or_else(|| bad("q", "Invalid Value"))
    }

    /// Returns a term that holds for whatever is found.
    pub(super) fn certain(&self, wanted: impl Fn(&Term) -> bool + Copy) -> Option<&Term> {
        match self {
            Self::And(left, right) => left.certain(wanted).or_else(|| right.certain(wanted)),
            Self::Term(term) => Some(term).filter(|term| wanted(term)),
            Self::All | Self::Or(..) | Self::Not(_) => None,
        }
    }

    /// Tells whether a file is found.
    pub(super) fn takes(&self, tenant: &Tenant, call: &Call, file: &File) -> bool {
        match self {
            Self::All => true,
            Self::And(left, right) => left.takes(tenant, call, file) && right.takes(tenant, call, file),
            Self::Or(left, right) => left.takes(tenant, call, file) || right.takes(tenant, call, file),
            Self::Not(inner) => !inner.takes(tenant, call, file),
            Self::Term(term) => term.takes(tenant, call, file),
        }
    }
}

impl Comparison {
    fn texts(self, own: &str, wanted: &str, within: impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Self::Equal => own == wanted,
            Self::Unequal => own != wanted,
            _ => within(own, wanted),
        }
    }

    fn times(self, own: Moment, wanted: Moment) -> bool {
        match self {
            Self::Equal => own == wanted,
            Self::Unequal => own != wanted,
            Self::Less => own < wanted,
            Self::LessOrEqual => own <= wanted,
            Self::Greater => own > wanted,
            Self::GreaterOrEqual => own >= wanted,
            Self::Contains => false,
        }
    }
}

/// Tells whether a word of a name begins with the wanted text, as searches of names do.
fn begins(own: &str, wanted: &str) -> bool {
    let (own, wanted) = (own.to_lowercase(), wanted.to_lowercase());
    own.match_indices(&wanted)
        .any(|(at, _)| own[..at].chars().next_back().is_none_or(|letter| !letter.is_alphanumeric()))
}

impl Term {
    fn takes(&self, tenant: &Tenant, call: &Call, file: &File) -> bool {
        let tree = &tenant.drive.tree;
        match self {
            Self::Name(comparison, wanted) => comparison.texts(&file.name, wanted, begins),
            Self::Media(comparison, wanted) => {
                comparison.texts(&file.media_type, wanted, |own, wanted| own.starts_with(wanted))
            }
            Self::Text(wanted) => {
                let within = |text: &str| text.to_lowercase().contains(&wanted.to_lowercase());
                within(&file.name)
                    || file.traits.description.as_deref().is_some_and(within)
                    || file.document().is_some_and(|document| within(&document.text(file.kind)))
            }
            Self::Parent(id) if id == "root" => {
                file.parent.as_ref().is_some_and(|parent| *parent == tree.root_id(&call.caller.user))
            }
            Self::Parent(id) => file.parent.as_deref() == Some(id),
            Self::Person(role, person) => {
                let Some(user) = tenant.directory.user(person) else {
                    return file.permissions.iter().any(|own| {
                        own.role >= *role
                            && matches!(&own.grantee, Grantee::User(a, _) | Grantee::Group(a) if a == person)
                    });
                };
                if *role == Role::Owner {
                    return file.drive.is_none() && file.owner == user.id;
                }
                tree.named_role(file, &tenant.directory, &user.id, call.now).is_some_and(|own| own >= *role)
            }
            Self::Flag("trashed", wanted) => tree.is_trashed(file) == *wanted,
            Self::Flag("starred", wanted) => file.traits.starred_by.contains(&call.caller.user) == *wanted,
            Self::Flag(_, wanted) => {
                let shared = file.drive.is_none()
                    && file.owner != call.caller.user
                    && file.permissions.iter().any(
                        |own| matches!(&own.grantee, Grantee::User(_, Some(id)) if *id == call.caller.user),
                    );
                shared == *wanted
            }
            Self::Time(name, comparison, wanted) => {
                comparison.times(if *name == "createdTime" { file.created } else { file.modified }, *wanted)
            }
            Self::Target(wanted) => file.target.as_ref().is_some_and(|(target, _)| **target == **wanted),
            Self::Property(of_app, key, value) => {
                let traits = &file.traits;
                let own = if *of_app { &traits.app_properties } else { &traits.properties };
                own.get(key) == Some(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Query> {
        Query::parse(Some(text), "anna@acme.test").ok()
    }

    #[test]
    fn searches_are_read_with_their_precedence() {
        let name = |name: &str| Query::Term(Term::Name(Comparison::Equal, name.to_owned()));
        let and = |a, b| Query::And(Box::new(a), Box::new(b));
        let or = |a, b| Query::Or(Box::new(a), Box::new(b));
        assert_eq!(
            parse("name='a' or name = 'b' and not name='c'"),
            Some(or(name("a"), and(name("b"), Query::Not(Box::new(name("c"))))))
        );
        assert_eq!(
            parse("(name='a' or name='b') and name='c'"),
            Some(and(or(name("a"), name("b")), name("c")))
        );
        assert_eq!(parse(r"name = 'it\'s \\ here'"), Some(name(r"it's \ here")));
        assert_eq!(
            parse("'me' in owners"),
            Some(Query::Term(Term::Person(Role::Owner, "anna@acme.test".to_owned())))
        );
        let moment = stamp::parse("2026-03-02T00:00:00Z").unwrap();
        for text in ["modifiedTime > '2026-03-02T00:00:00'", "modifiedTime>'2026-03-02'"] {
            assert_eq!(
                parse(text),
                Some(Query::Term(Term::Time("modifiedTime", Comparison::Greater, moment))),
                "{text}"
            );
        }
        assert_eq!(
            parse("appProperties has { key='a' and value='b' }"),
            Some(Query::Term(Term::Property(true, "a".to_owned(), "b".to_owned())))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "(".repeat(100);
        for text in
            ["name", "name = a", "name='a", "'x' in y", "trashed=maybe", "a='b'", "name='a' name='b'", &deep]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_found_by_the_beginnings_of_their_words() {
        assert!(begins("Budget plan 2026", "plan"));
        assert!(begins("Budget", "bud"));
        assert!(!begins("Budget", "get"));
    }
}
