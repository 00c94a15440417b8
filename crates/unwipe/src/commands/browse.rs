//! `unwipe search`, `unwipe versions` and `unwipe diff`

use model::{SourceName, StreamName};
use render::{Change, Difference, LineChange, Piece};
use service::{
    browse::{At, Browse, BrowseError, Compared, Entry, Hit, PageWish, Past, SearchWish, Searched, Versions},
    words,
    workshop::shell_word,
};

use crate::{
    arguments::{Diff, ItemPlace, Reading, Search, VersionsOf},
    connectors::selector::Selector,
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, printable, table},
};

/// The stream of a folder's files, which need not be named.
const FILES: &str = "files";

/// `unwipe search`
pub(crate) fn search(context: &Context, options: &Search) -> Result<Exit, Failure> {
    let browse = open(context, &options.reading)?;
    let sources = options.sources.iter().map(|name| source(&browse, name)).collect::<Result<Vec<_>, _>>()?;
    let asked = if sources.is_empty() { browse.sources() } else { sources.clone() };
    refresh(context, &browse, &asked)?;
    let wish = SearchWish {
        text: options.words.join(" "),
        sources,
        streams: Vec::new(),
        at: match &options.at {
            Some(at) => Some(At::parse(at)?),
            None => (!options.removed).then_some(At::Latest),
        },
        page: PageWish { cursor: options.page.after.clone(), limit: options.page.limit },
    };
    let searched = browse.search(&wish)?;
    for behind in &searched.behind {
        context.output.say(format!("{behind}: not all of it is indexed yet, so there may be more"));
    }
    if searched.hits.is_empty() && searched.next.is_none() {
        let failure = Failure::new(Exit::Nothing, format!("nothing is called {}", printable(&wish.text)));
        let hint = "--removed looks among what was removed as well; inv* finds what begins so";
        return Err(if options.removed { failure } else { failure.hint(hint) });
    }
    context.output.result(&searched, || searched_text(context.output, &searched))?;
    Ok(Exit::Done)
}

/// `unwipe versions`
pub(crate) fn versions(context: &Context, options: &VersionsOf) -> Result<Exit, Failure> {
    let browse = open(context, &options.reading)?;
    let (source, stream) = place(&browse, &options.place)?;
    refresh(context, &browse, std::slice::from_ref(&source))?;
    let wish = PageWish { cursor: options.page.after.clone(), limit: options.page.limit };
    let found = browse.versions(&source, (&stream, &options.place.item), &wish)?;
    if found.versions.is_empty() {
        return Err(never_was(&options.place));
    }
    context.output.result(&found, || versions_text(context.output, &found, &options.place))?;
    Ok(Exit::Done)
}

/// `unwipe diff`
pub(crate) fn diff(context: &Context, options: &Diff) -> Result<Exit, Failure> {
    let browse = open(context, &options.reading)?;
    let (source, stream) = place(&browse, &options.place)?;
    refresh(context, &browse, std::slice::from_ref(&source))?;
    let item = (&stream, options.place.item.as_str());
    let newest =
        || browse.versions(&source, item, &PageWish { cursor: None, limit: 2 }).map(|found| found.versions);
    let between = match (&options.from, &options.to) {
        (Some(from), Some(to)) => (At::parse(from)?, At::parse(to)?),
        (Some(from), None) => match newest()?.first() {
            Some(newest) => (At::parse(from)?, At::Commit(newest.entry.commit)),
            None => return Err(never_was(&options.place)),
        },
        (None, _) => match newest()?.as_slice() {
            [newest, before] => (At::Commit(before.entry.commit), At::Commit(newest.entry.commit)),
            [_] => {
                return Err(Failure::new(
                    Exit::Nothing,
                    "it has one version, so there is nothing to compare",
                ));
            }
            _ => return Err(never_was(&options.place)),
        },
    };
    let compared = browse.difference(&source, item, between)?;
    context.output.result(&compared, || compared_text(context.output, &compared))?;
    Ok(Exit::Done)
}

fn open(context: &Context, reading: &Reading) -> Result<Browse, Failure> {
    Ok(Browse::of(context.installation()?, reading.key.as_deref(), &environment)?)
}

/// Brings catalogs and indexes up to date: nobody may be serving who does.
fn refresh(context: &Context, browse: &Browse, sources: &[SourceName]) -> Result<(), Failure> {
    let progress = context.progress();
    connect::Progress::phase(&*progress, "indexing what is new", None);
    let stop = stop_on_signals()?;
    for source in sources {
        browse.refresh(source, &stop, &*progress)?;
        if stop.is_requested() {
            return Err(Failure::new(
                Exit::Interrupted,
                "interrupted; the next search goes on indexing here",
            ));
        }
    }
    Ok(())
}

fn source(browse: &Browse, name: &str) -> Result<SourceName, Failure> {
    let known = browse.sources().into_iter().find(|source| source.as_str() == name);
    known.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there is no source {}", printable(name))).hint("unwipe sources")
    })
}

/// Returns the source and the stream that an item lies in.
fn place(browse: &Browse, place: &ItemPlace) -> Result<(SourceName, StreamName), Failure> {
    let Selector { source: name, stream, .. } = Selector::of(&place.what);
    let source = source(browse, name)?;
    let stream = match stream {
        Some(stream) => stream,
        None if browse.kind(&source)? == FILES => FILES,
        None => {
            return Err(Failure::new(Exit::Usage, format!("say in which part of {source} the item is"))
                .hint(format!("unwipe search WORDS --in {source} shows items with where they are")));
        }
    };
    let stream =
        StreamName::new(stream).map_err(|error| Failure::because(Exit::Usage, "no such stream", error))?;
    Ok((source, stream))
}

fn never_was(place: &ItemPlace) -> Failure {
    let item = printable(&place.item);
    Failure::new(Exit::Nothing, format!("there is no {item} in {}, and never was", printable(&place.what)))
        .hint("unwipe search WORDS --removed shows items with where they are")
}

fn searched_text(output: Output, searched: &Searched) -> String {
    let mut text: String = searched.hits.iter().map(|hit| hit_text(output, hit)).collect();
    if let Some(next) = &searched.next {
        text.push_str(&format!("more: --after {}\n", shell_word(next)));
    }
    text
}

fn hit_text(output: Output, hit: &Hit) -> String {
    let entry = &hit.entry;
    let (style, state) = match hit.until_commit {
        None => (Style::Good, "live"),
        Some(_) => (Style::Warning, "no more"),
    };
    let place = shell_word(&format!("{}/{}", hit.source, entry.stream));
    format!(
        "{}  {}  {}  {}\n    {} {}\n",
        when(entry),
        entry.kind.word(),
        output.paint(Style::Strong, &printable(&entry.title)),
        output.paint(style, state),
        printable(&place),
        printable(&shell_word(&format!("--item={}", entry.key))),
    )
}

fn versions_text(output: Output, found: &Versions, place: &ItemPlace) -> String {
    let row = |past: &Past| {
        let (style, state) = match (past.until, past.is_removed) {
            (None, _) => (Style::Good, "live".to_owned()),
            (Some(at), true) => (Style::Bad, format!("removed {}", words::moment(at))),
            (Some(at), false) => (Style::Faint, format!("replaced {}", words::moment(at))),
        };
        vec![
            past.entry.commit.to_string(),
            when(&past.entry),
            words::bytes(past.entry.size_bytes),
            output.paint(style, &state),
            printable(&past.entry.title),
        ]
    };
    let heads = ["COMMIT", "STORED", "SIZE", "STATE", "NAME"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heads).chain(found.versions.iter().map(row)).collect();
    let mut text = table(&rows);
    if let Some(next) = &found.next {
        text.push_str(&format!("more: --after {}\n", shell_word(next)));
    }
    if found.versions.len() > 1 {
        let item = shell_word(&format!("--item={}", place.item));
        text.push_str(&format!("next: unwipe diff {} {}\n", shell_word(&place.what), printable(&item)));
    }
    text
}

fn compared_text(output: Output, compared: &Compared) -> String {
    let head = |sign: &str, entry: &Entry| {
        let title = printable(&entry.title);
        output.paint(Style::Strong, &format!("{sign} {title}  commit {}  {}", entry.commit, when(entry)))
            + "\n"
    };
    let mut text = head("---", &compared.old) + &head("+++", &compared.new);
    text.push_str(&difference_text(output, &compared.difference));
    if compared.difference.is_empty() {
        let same = if compared.is_content_same {
            "the contents are the same"
        } else {
            "the bytes differ, what can be read of them does not"
        };
        text.push_str(&format!("nothing to read differs: {same}\n"));
    }
    for note in &compared.difference.notes {
        text.push_str(&output.paint(Style::Faint, &format!("note: {note}\n")));
    }
    text
}

fn difference_text(output: Output, difference: &Difference) -> String {
    let removed = |line: &str| output.paint(Style::Bad, &format!("-{line}")) + "\n";
    let added = |line: &str| output.paint(Style::Good, &format!("+{line}")) + "\n";
    let mut text = String::new();
    for field in &difference.fields {
        let line = |pieces: &[Piece]| format!("{}: {}", printable(&field.name), joined(pieces));
        if field.change != Change::Added {
            text.push_str(&removed(&line(&field.old)));
        }
        if field.change != Change::Removed {
            text.push_str(&added(&line(&field.new)));
        }
    }
    for line in &difference.lines {
        match line {
            LineChange::Same { text: same, .. } => text.push_str(&format!(" {}\n", printable(same))),
            LineChange::Removed { pieces, .. } => text.push_str(&removed(&joined(pieces))),
            LineChange::Added { pieces, .. } => text.push_str(&added(&joined(pieces))),
            LineChange::Skipped { lines } => {
                let skipped = format!("… {} more, the same in both\n", words::counted(*lines, "line"));
                text.push_str(&output.paint(Style::Faint, &skipped));
            }
        }
    }
    if difference.is_cut {
        text.push_str("there are more changes than are shown\n");
    }
    text
}

fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| printable(&piece.text)).collect()
}

fn when(entry: &Entry) -> String {
    entry.at.map_or_else(String::new, words::moment)
}

impl From<BrowseError> for Failure {
    fn from(error: BrowseError) -> Self {
        let exit = match error {
            BrowseError::Catalog(error) => return error.into(),
            BrowseError::Vault(error) => return error.into(),
            BrowseError::Refresh(error) => return (*error).into(),
            BrowseError::Write(error) => return error.into(),
            BrowseError::UnknownSource { .. } | BrowseError::NoMoment { .. } | BrowseError::Cursor => {
                Exit::Usage
            }
            BrowseError::NoRestoreKey => Exit::Authentication,
            BrowseError::NoCatalog { .. }
            | BrowseError::NothingYet { .. }
            | BrowseError::NotThere
            | BrowseError::NoContent => Exit::Nothing,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}
