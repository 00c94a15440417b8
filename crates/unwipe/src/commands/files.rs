//! What the verbs do with folder trees.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use connect::{Finding, StoredItems};
use files_recovery::{RestoreError, RestoreOptions, restore_tree};
use model::Moment;
use serde::Serialize;
use service::StoredSource;
use source_files::{Attributes, Kind, Pattern, bytes_of_key};

use crate::{
    arguments::{Find, ProtectFiles, Rewind, Show},
    connectors::files::{FilesConfig, StoredTree, failed},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{Format, bytes, counted, printable},
};

const PAGE_ROWS: u32 = 1000;
const UNREAD_SHOWN_MAX: u32 = 20;

/// Checks a folder that is to be protected, and returns its settings with what was found.
pub(crate) fn protect(options: ProtectFiles) -> Result<(FilesConfig, Vec<Finding>), Failure> {
    let path = std::path::absolute(&options.path)?;
    let config = FilesConfig { path, exclude: options.exclude, every_s: options.every_s };
    let findings = vec![config.check()];
    Ok((config, findings))
}

#[derive(Serialize)]
struct Restored {
    source: String,
    folder: String,
    commit: u64,
    files: u64,
    folders: u64,
    links: u64,
    bytes: u64,
    left_out: u64,
    refused: u64,
    refused_keys: Vec<String>,
    unread_keys: Vec<String>,
}

/// Brings a whole tree back into a new folder.
pub(crate) fn rewind(context: &Context, tree: &StoredTree, options: &Rewind) -> Result<Exit, Failure> {
    let Some(folder) = &options.to else {
        return Err(Failure::new(Exit::Usage, "say where the files are to go").hint("--to FOLDER"));
    };
    let folder = std::path::absolute(folder)?;
    let progress = context.progress();
    connect::Progress::phase(&*progress, "bringing files back", None);
    let how = RestoreOptions { owners: options.files.owners, set_id_bits: options.files.set_id_bits };
    let restored =
        restore_tree(&tree.stored, &tree.stream, tree.at, &folder, how, &*progress).map_err(|error| {
            match error {
                RestoreError::Stored(error) => failed(error, "the files were not brought back"),
                other => {
                    let hint = other.hint();
                    Failure::because(Exit::Failed, "the files were not brought back", other).hint_opt(hint)
                }
            }
        })?;
    drop(progress);
    let unread = tree
        .stored
        .unread(&tree.stream, tree.at, UNREAD_SHOWN_MAX)
        .map_err(|error| failed(error, "what could not be read is not known"))?;
    let result = Restored {
        source: tree.name.to_string(),
        folder: folder.display().to_string(),
        commit: tree.at,
        files: restored.files,
        folders: restored.folders,
        links: restored.links,
        bytes: restored.bytes,
        left_out: restored.left_out,
        refused: restored.refused_count,
        refused_keys: restored.refused,
        unread_keys: unread,
    };
    context.output.result(&result, || {
        let mut text = format!(
            "restored  {} as of commit {}\nfolder    {}\nsize      {} in {}, {}, {}\n",
            result.source,
            result.commit,
            result.folder,
            bytes(result.bytes),
            counted(result.files, "file"),
            counted(result.folders, "folder"),
            counted(result.links, "link"),
        );
        if result.left_out > 0 {
            let left = counted(result.left_out, "special file");
            text.push_str(&format!("left out  {left}: no pipe, socket or device is made again\n"));
        }
        for key in &result.unread_keys {
            text.push_str(&format!(
                "not there {}: it could not be read when it was captured\n",
                printable(key)
            ));
        }
        for key in &result.refused_keys {
            text.push_str(&format!("refused   {}: no safe name, or its place is taken\n", printable(key)));
        }
        text
    })?;
    Ok(match (result.refused, result.unread_keys.is_empty()) {
        (0, true) => Exit::Done,
        (0, false) => Exit::Incomplete,
        _ => Exit::Tampering,
    })
}

#[derive(Serialize)]
struct Shown {
    key: String,
    kind: Kind,
    size_bytes: u64,
    mode: String,
    modified: Moment,
    commit: u64,
    target: Option<String>,
    written_to: Option<String>,
}

/// Shows one entry, and writes its content where that is asked for.
pub(crate) fn show(context: &Context, tree: &StoredTree, options: &Show) -> Result<Exit, Failure> {
    let Some(key) = &options.item else {
        return Err(Failure::new(Exit::Usage, "say which file is to be shown")
            .hint(format!("unwipe show {} --item PATH [--out FILE]; unwipe find lists them", options.what)));
    };
    let found = tree
        .stored
        .item_at(&tree.stream, key, tree.at)
        .map_err(|error| failed(error, "the file cannot be found"))?;
    let Some((item, content)) = found else {
        return Err(Failure::new(
            Exit::Nothing,
            format!("{} is not stored as of this moment", printable(key)),
        )
        .hint(format!("unwipe find {}", options.what)));
    };
    let attributes = Attributes::of_text(&item.item.attributes)
        .ok_or_else(|| Failure::new(Exit::Failed, "the stored attributes cannot be understood"))?;
    if let Some(out) = &options.out {
        write_content(&tree.stored, key, &content, out)?;
    }
    let shown = Shown {
        key: key.clone(),
        kind: attributes.kind,
        size_bytes: item.size_bytes,
        mode: format!("{:o}", attributes.mode),
        modified: Moment::from_micros(attributes.modified_ns.div_euclid(1000)),
        commit: item.sequence,
        target: attributes.target,
        written_to: options.out.as_ref().map(|out| out.display().to_string()),
    };
    if shown.written_to.as_deref() == Some("-") {
        return Ok(Exit::Done);
    }
    context.output.result(&shown, || {
        format!(
            "{}  {}  {}  {}  commit {}\n",
            shown.mode,
            bytes(shown.size_bytes),
            shown.modified,
            printable(&shown.key),
            shown.commit
        )
    })?;
    Ok(Exit::Done)
}

pub(crate) fn write_content(
    stored: &StoredSource,
    key: &str,
    content: &vault::Content,
    out: &Path,
) -> Result<(), Failure> {
    let mut target: Box<dyn Write> = if out == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(
            std::fs::File::create_new(out)
                .map_err(|error| ports::files::FileError::new("create", out, error))?,
        )
    };
    let mut reader = stored.reader().read_content(content);
    while let Some(portion) = reader.next_portion().map_err(|error| {
        Failure::because(Exit::Failed, format!("{} cannot be read", printable(key)), error)
    })? {
        target.write_all(portion)?;
    }
    Ok(target.flush()?)
}

#[derive(Serialize)]
struct FoundItem<'a> {
    key: &'a str,
    size_bytes: u64,
    attributes: Option<Attributes>,
}

/// Lists what is stored.
pub(crate) fn find(context: &Context, tree: &StoredTree, options: &Find) -> Result<Exit, Failure> {
    let pattern = options.pattern.as_deref().map(Pattern::new);
    let mut out = BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    let json = context.output.format == Format::Json;
    let (mut after, mut found) = (None::<String>, 0_u64);
    let limit = options.limit.unwrap_or(u64::MAX);
    if json {
        out.write_all(b"[")?;
    }
    'pages: loop {
        let page = tree.stored.catalog().listed_at(&tree.stream, tree.at, after.as_deref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.key.clone());
        for (item, size_bytes) in &page {
            let wanted =
                |pattern: &Pattern| bytes_of_key(&item.key).is_some_and(|path| pattern.matches(&path));
            if !pattern.as_ref().is_none_or(wanted) {
                continue;
            }
            if found == limit {
                break 'pages;
            }
            if json {
                out.write_all(if found == 0 { b"\n" } else { b",\n" })?;
                let attributes = Attributes::of_text(&item.attributes);
                let row = FoundItem { key: &item.key, size_bytes: *size_bytes, attributes };
                serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
            } else {
                writeln!(out, "{size_bytes:>12}  {}", item.key)?;
            }
            found += 1;
        }
    }
    if json {
        out.write_all(b"]\n")?;
    }
    out.flush()?;
    Ok(if found == 0 { Exit::Nothing } else { Exit::Done })
}

/// `unwipe find`
pub(crate) fn run_find(context: &Context, options: &Find) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    if let Some(domain) =
        crate::connectors::google::open(context, &installation, &options.what, &options.reading)?
    {
        return crate::commands::google::find(context, &domain, options);
    }
    let tree = crate::connectors::files::open(context, &installation, &options.what, &options.reading)?
        .ok_or_else(|| {
            Failure::new(Exit::Usage, "only the entries of a folder tree can be listed")
                .hint("unwipe timeline SOURCE shows what happened in a database")
        })?;
    find(context, &tree, options)
}
