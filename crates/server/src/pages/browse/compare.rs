//! What differs between two versions of an item.

use askama::{Template, filters::HtmlSafe};
use render::{Change, Difference, LineChange, Piece};
use service::{words, workshop::shell_word};

use super::{
    frame::Frame,
    item::{Place, crumbs, unknown},
    lines::When,
};
use crate::{browsing::browse, fields::Fields, links::link, moments::Chosen, problem::Problem, site::Site};

/// A field that differs, as a row.
pub(super) struct FieldRow {
    name: String,
    word: &'static str,
    class: &'static str,
    old: Vec<Piece>,
    new: Vec<Piece>,
}

/// A line of the text, with what is said of it.
pub(super) struct TextRow {
    class: &'static str,
    sign: &'static str,
    /// For those who do not see the sign.
    word: &'static str,
    pieces: Vec<Piece>,
}

/// A readable difference.
#[derive(Template)]
#[template(path = "part_difference.html")]
pub(super) struct DifferencePart {
    fields: Vec<FieldRow>,
    lines: Vec<TextRow>,
    sums: String,
    notes: Vec<String>,
    is_empty: bool,
    is_content_same: bool,
}

/// It escapes what it shows by itself.
impl HtmlSafe for DifferencePart {}

impl DifferencePart {
    pub(super) fn of(difference: Difference, is_content_same: bool) -> Self {
        let is_empty = difference.is_empty();
        let mut notes: Vec<String> = difference.notes.iter().map(ToString::to_string).collect();
        if difference.is_cut {
            notes.push("there are more changes than are shown".to_owned());
        }
        let sums = match (difference.removed_lines, difference.added_lines) {
            (0, 0) => String::new(),
            (removed, added) => {
                format!("{} removed, {} added", words::counted(removed, "line"), words::count(added))
            }
        };
        Self {
            fields: difference.fields.into_iter().map(field).collect(),
            lines: difference.lines.into_iter().map(line).collect(),
            sums,
            notes,
            is_empty,
            is_content_same,
        }
    }
}

fn field(change: render::FieldChange) -> FieldRow {
    let (word, class) = match change.change {
        Change::Added => ("added", "good"),
        Change::Removed => ("removed", "bad"),
        Change::Changed => ("changed", "warning"),
    };
    FieldRow { name: change.name, word, class, old: change.old, new: change.new }
}

fn line(change: LineChange) -> TextRow {
    let whole = |text: String| vec![Piece { text, is_changed: false }];
    match change {
        LineChange::Same { text, .. } => TextRow { class: "same", sign: " ", word: "", pieces: whole(text) },
        LineChange::Removed { pieces, .. } => {
            TextRow { class: "removed", sign: "−", word: "removed", pieces }
        }
        LineChange::Added { pieces, .. } => TextRow { class: "added", sign: "+", word: "added", pieces },
        LineChange::Skipped { lines } => TextRow {
            class: "cut",
            sign: "…",
            word: "",
            pieces: whole(format!("{} lines are the same", words::count(lines))),
        },
    }
}

/// One of the two.
struct Side {
    commit: u64,
    address: String,
    title: String,
    at: Option<When>,
}

#[derive(Template)]
#[template(path = "compare.html")]
pub(super) struct ComparePage {
    frame: Frame,
    title: String,
    crumbs: Vec<(String, String)>,
    item_address: String,
    old: Side,
    new: Side,
    swapped: String,
    part: DifferencePart,
    command: String,
}

pub(super) fn make(site: &Site, mut frame: Frame, fields: &Fields) -> Result<ComparePage, Problem> {
    let browse = browse(site)?;
    let place = Place::read(fields)?;
    browse.kind(&place.source)?;
    let from = Chosen::read(site, fields.get("from"))?;
    let to = Chosen::read(site, fields.get("to"))?;
    let chosen = Chosen::read(site, fields.get("at"))?;
    let item = (&place.stream, place.key.as_str());
    let compared = match browse.difference(&place.source, item, (from.at, to.at)) {
        Err(service::browse::BrowseError::NotThere) => return Err(unknown_then(&browse, &place)),
        other => other?,
    };
    let now = site.now();
    let side = |entry: &service::browse::Entry| Side {
        commit: entry.commit,
        address: place.link(&entry.commit.to_string()),
        title: entry.title.clone(),
        at: entry.at.map(|at| When::of(at, now)),
    };
    let (old, new) = (side(&compared.old), side(&compared.new));
    let title = compared.new.title.clone();
    frame.title = format!("What differs: {title}");
    let swapped = [
        ("source", place.source.as_str()),
        ("stream", place.stream.as_str()),
        ("key", &place.key),
        ("from", &to.text),
        ("to", &from.text),
    ];
    let command = format!(
        "unwipe diff {} {} --from {} --to {}",
        shell_word(&format!("{}/{}", place.source, place.stream)),
        shell_word(&format!("--item={}", place.key)),
        old.commit,
        new.commit
    );
    Ok(ComparePage {
        command,
        swapped: link("/items", &swapped),
        crumbs: crumbs(&place, &chosen),
        item_address: place.link(&chosen.text),
        part: DifferencePart::of(compared.difference, compared.is_content_same),
        frame,
        title,
        old,
        new,
    })
}

fn unknown_then(browse: &service::browse::Browse, place: &Place) -> Problem {
    let wish = service::browse::PageWish { cursor: None, limit: 1 };
    let versions = browse.versions(&place.source, (&place.stream, &place.key), &wish);
    match versions {
        Ok(versions) if !versions.versions.is_empty() => {
            Problem::from(service::browse::BrowseError::NotThere)
                .hint(Some("choose two versions from its list".to_owned()))
        }
        _ => unknown(place),
    }
}
