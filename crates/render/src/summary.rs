//! What an item is called: one line for lists and for the index of words.

use serde_json::Value;

use crate::{
    document::{Kind, TITLE_CHARACTERS},
    visible::visible,
};

/// What lists show of an item, and what it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What kind of thing it is.
    pub kind: Kind,
    /// What people call it; never empty, visible.
    pub title: String,
    /// What tells it from others of the same name; visible.
    pub subtitle: Option<String>,
    /// Names and addresses of people that have to do with it, as they are stored, divided by spaces.
    pub people: String,
    /// The id of the folder that it lies in, where its key does not tell: empty for the top.
    pub folder: Option<String>,
    /// What others name as their folder, if it is one of which keys do not tell.
    pub holds: Option<String>,
}

/// Of the people of one item so many characters are kept.
const PEOPLE_CHARACTERS: usize = 500;

/// Returns what an item is called: subject and sender of a message, the name of a file, the title of an event.
pub fn title_of(kind: &str, stream: &str, key: &str, attributes: &str) -> String {
    let summary = summary(kind, stream, key, attributes);
    match summary.subtitle {
        Some(subtitle) => format!("{} · {subtitle}", summary.title),
        None => summary.title,
    }
}

/// Returns what lists show of an item. Nothing is read but its attributes; where they say nothing the key is its name.
pub fn summary(source: &str, stream: &str, key: &str, attributes: &str) -> Summary {
    let attributes: Value = serde_json::from_str(attributes).unwrap_or_default();
    let first = stream.split('/').next().unwrap_or_default();
    let mut parts = match (source, first) {
        (_, "gmail") if key.starts_with("message/") => mail(&attributes),
        (_, "drive" | "shared-drive") => drive(key, &attributes),
        (_, "calendar") if key.starts_with("event/") => event(&attributes),
        (_, "contacts") => contact(key, &attributes),
        (_, "directory") => directory(key, &attributes),
        (_, "relations") => relation(&attributes),
        ("files", _) | (_, "files") => file(key, &attributes),
        ("postgres", _) | (_, "position" | "base" | "wal" | "holes" | "history") => {
            Parts { kind: Kind::Internal, ..Parts::default() }
        }
        _ => record(&attributes),
    };
    if parts.title.trim().is_empty() {
        parts.title = match parts.kind {
            Kind::Mail => "(no subject)".to_owned(),
            Kind::Event => "(no title)".to_owned(),
            _ => key.to_owned(),
        };
    }
    if parts.title.trim().is_empty() {
        "(no name)".clone_into(&mut parts.title);
    }
    Summary {
        kind: parts.kind,
        title: visible(&parts.title, TITLE_CHARACTERS),
        subtitle: parts.subtitle.filter(|text| !text.is_empty()).map(|text| visible(&text, TITLE_CHARACTERS)),
        people: parts.people.join(" ").chars().take(PEOPLE_CHARACTERS).collect(),
        folder: parts.folder,
        holds: parts.holds,
    }
}

struct Parts {
    kind: Kind,
    title: String,
    subtitle: Option<String>,
    people: Vec<String>,
    folder: Option<String>,
    holds: Option<String>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            kind: Kind::Record,
            title: String::new(),
            subtitle: None,
            people: Vec::new(),
            folder: None,
            holds: None,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn some(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn mail(attributes: &Value) -> Parts {
    let from = some(&attributes["from"]);
    Parts {
        kind: Kind::Mail,
        title: text(&attributes["subject"]),
        people: from.iter().cloned().collect(),
        subtitle: from,
        ..Parts::default()
    }
}

fn drive(key: &str, attributes: &Value) -> Parts {
    let media_type = attributes["mimeType"].as_str().unwrap_or_default();
    let is_folder = media_type == "application/vnd.google-apps.folder";
    let id = key.strip_prefix("file/").or_else(|| key.strip_prefix("metadata/"));
    let of_people = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|one| some(&one["emailAddress"])).collect()
    };
    let mut people = of_people(&attributes["owners"]);
    people.extend(some(&attributes["lastModifyingUser"]["emailAddress"]));
    people.extend(of_people(&attributes["permissions"]));
    people.dedup();
    Parts {
        kind: match (is_folder, id) {
            (true, _) => Kind::Folder,
            (false, Some(_)) => Kind::File,
            (false, None) if key.starts_with("revision/") => Kind::File,
            (false, None) => Kind::Record,
        },
        title: some(&attributes["name"]).unwrap_or_else(|| text(&attributes["originalFilename"])),
        subtitle: attributes["trashed"]
            .as_bool()
            .filter(|trashed| *trashed)
            .map(|_| "in the trash".to_owned()),
        people,
        folder: id.map(|_| text(&attributes["parents"][0])),
        holds: id.filter(|_| is_folder).map(str::to_owned),
    }
}

fn event(attributes: &Value) -> Parts {
    let start = some(&attributes["start"]).or_else(|| some(&attributes["original_start"]));
    let cancelled = attributes["status"] == "cancelled";
    let subtitle = match (start, cancelled) {
        (Some(start), true) => Some(format!("{start}, cancelled")),
        (None, true) => Some("cancelled".to_owned()),
        (start, false) => start,
    };
    Parts {
        kind: Kind::Event,
        title: text(&attributes["summary"]),
        subtitle,
        people: some(&attributes["organizer"]).into_iter().collect(),
        ..Parts::default()
    }
}

fn contact(key: &str, attributes: &Value) -> Parts {
    let (name, email) = (some(&attributes["name"]), some(&attributes["email"]));
    let kind = match key.split('/').next() {
        Some("person" | "other") => Kind::Contact,
        Some("group") => Kind::Group,
        Some("photo") => Kind::File,
        _ => Kind::Record,
    };
    let title = name.clone().or_else(|| email.clone()).unwrap_or_default();
    let people = name.iter().chain(&email).cloned().collect();
    let subtitle = name.and(email);
    Parts { kind, title, subtitle, people, ..Parts::default() }
}

fn directory(key: &str, attributes: &Value) -> Parts {
    let kind = match key.split('/').next() {
        Some("user" | "deleted-user") => Kind::User,
        Some("group") => Kind::Group,
        _ => Kind::Record,
    };
    let subtitle = key.starts_with("deleted-user/").then(|| "deleted user".to_owned());
    let name = text(&attributes["name"]);
    let people =
        if kind == Kind::Record && !key.starts_with("member/") { Vec::new() } else { vec![name.clone()] };
    Parts { kind, title: name, subtitle, people, ..Parts::default() }
}

fn relation(attributes: &Value) -> Parts {
    let part = |name: &str| attributes[name].as_str().unwrap_or_default();
    let what = match attributes["kind"].as_str() {
        Some("r" | "p") => None,
        Some("i" | "I") => Some("index"),
        Some("t") => Some("toast"),
        Some("S") => Some("sequence"),
        Some("m") => Some("materialised view"),
        Some(_) | None => Some("relation"),
    };
    let title = match part("name") {
        "" => String::new(),
        name => format!("{}.{}.{name}", part("database"), part("schema")),
    };
    Parts { kind: Kind::Table, title, subtitle: what.map(str::to_owned), ..Parts::default() }
}

fn file(key: &str, attributes: &Value) -> Parts {
    let kind = match attributes["kind"].as_str() {
        Some("folder") => Kind::Folder,
        Some("link" | "special") => Kind::Record,
        _ => Kind::File,
    };
    let (above, name) = key.rsplit_once('/').unwrap_or(("", key));
    let subtitle = (!above.is_empty()).then(|| above.to_owned());
    Parts { kind, title: name.to_owned(), subtitle, ..Parts::default() }
}

fn record(attributes: &Value) -> Parts {
    Parts { title: text(&attributes["name"]), ..Parts::default() }
}

#[cfg(test)]
mod tests;
