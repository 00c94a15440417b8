//! A drill of a folder tree: restored into a scratch folder, compared byte by byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use connect::{
    StoredBody, StoredError, StoredItem, StoredItems,
    fidelity::{Fidelity, Way},
};
use drill::{Against, Check, Comparison, Extent, Findings, Ground, Swept, Tally, Thing};
use files_recovery::{RestoreError, RestoreOptions, restore_tree};
use postgres_recovery::drill::room_free;
use source_files::{Attributes, Kind, bytes_of_key};

use super::{
    Drilling,
    certify::not_held,
    over_budget,
    room::{self, ScratchFolder},
};
use crate::{
    connectors::files::{FilesConfig, StoredTree, failed, stream},
    connectors::selector::commit_of,
    exit::Exit,
    failure::Failure,
    output::counted,
};

const RESTORES: &str = "the tree can be restored";
const CAPTURED: &str = "every entry could be read when it was captured";
const NOTHING_MORE: &str = "nothing is there that was not stored";
/// Room for folders and links, which have no size of their own.
const SPARE_BYTES: u64 = 16 << 20;
const UNREAD_NAMED_MAX: u32 = 20;
const PAGE: u32 = 1000;

/// What comes back how, without the privilege to give files away.
fn promise() -> Fidelity {
    Fidelity::new("entry", Way::MadeAnew)
        .exact(&["content", "kind", "permissions", "modified", "target"])
        .lost("owner", "only with --owners, which takes a privilege")
        .lost("set-id bits", "only with --set-id-bits")
}

/// A scratch folder into which a tree is restored.
pub(super) struct FolderGround<'d> {
    drilling: &'d Drilling<'d>,
    restored: Option<Restored>,
}

/// A tree that was brought back, or what the vault could not give.
struct Restored {
    tree: StoredTree,
    scratch: ScratchFolder,
    check: Check,
    bytes: Option<u64>,
}

impl<'d> FolderGround<'d> {
    pub(super) const fn new(drilling: &'d Drilling<'d>) -> Self {
        Self { drilling, restored: None }
    }
}

/// Returns where a tree is restored in a scratch folder.
fn tree_folder(scratch: &ScratchFolder) -> PathBuf {
    scratch.0.join("tree")
}

impl Ground for FolderGround<'_> {
    type Error = Failure;

    fn refuse_production(&mut self) -> Result<(), Failure> {
        let Drilling { installation, asked, .. } = self.drilling;
        let (name, source) = installation.config().source(asked.source.as_str())?;
        let Some(config) = FilesConfig::of(&name, source)? else { return Ok(()) };
        let Ok(root) = std::fs::canonicalize(&config.path) else { return Ok(()) };
        let home = std::fs::canonicalize(installation.home())?;
        let place = room::place(installation);
        // The home folder may lie in the tree: a capture leaves it out.
        if place.starts_with(&root) && !place.starts_with(&home) {
            return Err(room::of_production(installation, &root));
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<Swept, Failure> {
        self.restored = None;
        room::sweep(self.drilling.context, self.drilling.installation)
    }

    fn put(&mut self) -> Result<(), Failure> {
        let Drilling { context, installation, asked, limits, progress, .. } = self.drilling;
        let name = &asked.source;
        let stored = context.stored(installation, name, asked.reading)?;
        let at = commit_of(&stored, name.as_str(), &asked.moment)?;
        let tree = StoredTree { name: name.clone(), stream: stream()?, stored, at };
        let scratch = ScratchFolder::create(context, installation)?;
        let free = room_free(&scratch.0)?;
        limits.budget.admit(room_needed(&tree)?, free).map_err(over_budget)?;
        progress.phase("bringing files back", None);
        let timed = WhileTime { stored: &tree.stored, drilling: self.drilling };
        let folder = tree_folder(&scratch);
        let restored =
            restore_tree(&timed, &tree.stream, tree.at, &folder, RestoreOptions::default(), *progress);
        let (check, bytes) = match restored {
            Ok(restored) => {
                let text =
                    format!("{}, {}", counted(restored.files, "file"), counted(restored.folders, "folder"));
                (Check::passed(RESTORES, text), Some(restored.bytes))
            }
            Err(RestoreError::Stored(error)) => {
                // What was broken off because the time is over says nothing of the vault.
                self.drilling.check_time()?;
                (Check::failed(RESTORES, vault::error_text(&error)), None)
            }
            Err(error) => return Err(not_held(name, error)),
        };
        self.restored = Some(Restored { tree, scratch, check, bytes });
        Ok(())
    }

    fn compare(&mut self) -> Result<Findings, Failure> {
        let Some(Restored { tree, scratch, check, bytes }) = &self.restored else {
            return Err(Failure::new(Exit::Failed, "nothing was brought back"));
        };
        let mut findings = Findings {
            kind: crate::connectors::files::KIND,
            simulated: false,
            restored_commit: tree.at,
            moment: None,
            position: format!("commit {}", tree.at),
            extent: Extent::Whole,
            against: Against::Stored,
            tally: Tally::default(),
            checks: vec![check.clone()],
            probes: Vec::new(),
            serving_ms: None,
            space_bytes: bytes.unwrap_or_default(),
            tables: BTreeMap::new(),
        };
        if bytes.is_none() {
            return Ok(findings);
        }
        self.drilling.progress.phase("comparing files", None);
        compare(self.drilling, tree, &tree_folder(scratch), &mut findings)?;
        let unread = tree
            .stored
            .unread(&tree.stream, tree.at, UNREAD_NAMED_MAX)
            .map_err(|error| failed(error, "what could not be read is not known"))?;
        findings.checks.push(if unread.is_empty() {
            Check::passed(CAPTURED, "")
        } else {
            Check::not_checked(CAPTURED, format!("not read then: {}", unread.join(", ")))
        });
        Ok(findings)
    }
}

/// Returns about how much room a tree takes, in bytes.
fn room_needed(tree: &StoredTree) -> Result<u64, Failure> {
    let (mut bytes, mut after) = (SPARE_BYTES, None::<String>);
    loop {
        let page = tree.stored.catalog().listed_at(&tree.stream, tree.at, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(bytes) };
        after = Some(last.key.clone());
        bytes = page.iter().fold(bytes, |sum, (_, size)| sum.saturating_add(*size));
    }
}

/// Compares every stored entry with the restored one, and looks for what was not stored.
fn compare(
    drilling: &Drilling<'_>,
    tree: &StoredTree,
    folder: &Path,
    held: &mut Findings,
) -> Result<(), Failure> {
    let (promise, seen) = (promise(), Mutex::new((Tally::default(), BTreeSet::<PathBuf>::new())));
    let timed = WhileTime { stored: &tree.stored, drilling };
    let take = |item: &StoredItem, body: &mut dyn StoredBody| {
        let Some(path) = path_of(folder, &item.item.key) else { return Ok(()) };
        let comparison = compare_one(item, body, &path, &promise)?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let subject = format!("{} {}", item.item.stream, item.item.key);
        seen.0.add(&subject, &comparison);
        seen.1.insert(path);
        Ok(())
    };
    let compared = timed.each(&tree.stream, tree.at, &take, drilling.progress);
    if let Err(error) = compared {
        drilling.check_time()?;
        held.checks.push(Check::failed("every stored entry can be read", vault::error_text(&error)));
    }
    let (tally, known) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    held.tally = tally;
    let more = others(folder, &known)?;
    held.checks.push(match more.first() {
        None => Check::passed(NOTHING_MORE, ""),
        Some(first) => {
            Check::failed(NOTHING_MORE, format!("{} and {} more", first.display(), more.len() - 1))
        }
    });
    Ok(())
}

fn compare_one(
    item: &StoredItem,
    body: &mut dyn StoredBody,
    path: &Path,
    promise: &Fidelity,
) -> Result<Comparison, StoredError> {
    let thing = |aspects: BTreeMap<String, String>| Thing {
        stream: item.item.stream.to_string(),
        key: item.item.key.clone(),
        kind: "entry".to_owned(),
        aspects,
    };
    let Some(attributes) = Attributes::of_text(&item.item.attributes) else {
        return Ok(Comparison::Different(Vec::new()));
    };
    if attributes.kind == Kind::Special {
        return Ok(Comparison::NotComparable);
    }
    let mut expected = aspects_of(&attributes);
    let mut found = std::fs::symlink_metadata(path).ok().map(|metadata| found_aspects(path, &metadata));
    if attributes.kind == Kind::File {
        expected.insert("content".to_owned(), "as stored".to_owned());
        let same = has_content(path, body)?;
        if let Some(found) = &mut found {
            found.insert("content".to_owned(), if same { "as stored" } else { "otherwise" }.to_owned());
        }
    }
    Ok(drill::compare(&thing(expected), found.map(thing).as_ref(), promise))
}

fn aspects_of(attributes: &Attributes) -> BTreeMap<String, String> {
    let word = match attributes.kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Special => "special",
    };
    let mut aspects = BTreeMap::from([("kind".to_owned(), word.to_owned())]);
    aspects.insert("owner".to_owned(), format!("{}:{}", attributes.owner, attributes.group));
    if attributes.kind == Kind::Link {
        aspects.insert("target".to_owned(), attributes.target.clone().unwrap_or_default());
    } else {
        aspects.insert("permissions".to_owned(), format!("{:o}", attributes.mode & 0o1777));
        aspects.insert("set-id bits".to_owned(), format!("{:o}", attributes.mode & 0o6000));
        aspects.insert("modified".to_owned(), attributes.modified_ns.to_string());
    }
    aspects
}

fn found_aspects(path: &Path, metadata: &std::fs::Metadata) -> BTreeMap<String, String> {
    let kind = metadata.file_type();
    let attributes = Attributes {
        kind: if kind.is_symlink() {
            Kind::Link
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Special
        },
        mode: metadata.mode() & 0o7777,
        modified_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        owner: metadata.uid(),
        group: metadata.gid(),
        target: std::fs::read_link(path)
            .ok()
            .map(|target| source_files::key_of_bytes(target.as_os_str().as_bytes())),
        names: None,
        changed_while_read: false,
    };
    aspects_of(&attributes)
}

/// Returns whether a file has this content and no more.
fn has_content(path: &Path, body: &mut dyn StoredBody) -> Result<bool, StoredError> {
    let mut file = File::open(path).ok();
    let mut same = file.is_some();
    let mut buffer = Vec::new();
    // The body is read to its end in any case: only then is its digest checked.
    while let Some(portion) = body.next_portion()? {
        let Some(file) = file.as_mut().filter(|_| same) else { continue };
        buffer.resize(portion.len(), 0);
        same = file.read_exact(&mut buffer).is_ok() && buffer == portion;
    }
    if let Some(file) = file.as_mut().filter(|_| same) {
        same = file.read(&mut [0; 1]).is_ok_and(|more| more == 0);
    }
    Ok(same)
}

fn path_of(folder: &Path, key: &str) -> Option<PathBuf> {
    let bytes = bytes_of_key(key)?;
    Some(folder.join(std::ffi::OsStr::from_bytes(&bytes)))
}

/// Lists what is in the folder and was not stored.
fn others(folder: &Path, known: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let (mut more, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if !known.contains(&path) {
                more.push(path.clone());
            }
            if entry.file_type()?.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(more)
}

/// Hands out what is stored as long as there is time.
struct WhileTime<'t> {
    stored: &'t dyn StoredItems,
    drilling: &'t Drilling<'t>,
}

impl StoredItems for WhileTime<'_> {
    fn each(
        &self,
        stream: &model::StreamName,
        at: u64,
        take: &connect::TakeItem<'_>,
        progress: &dyn connect::Progress,
    ) -> Result<(), StoredError> {
        let limits = &self.drilling.limits;
        let take = |item: &StoredItem, body: &mut dyn StoredBody| {
            limits.left().map_err(|over| StoredError::Write {
                what: item.item.key.clone(),
                source: std::io::Error::new(std::io::ErrorKind::TimedOut, over),
            })?;
            take(item, body)
        };
        self.stored.each(stream, at, &take, progress)
    }

    fn unread(&self, stream: &model::StreamName, at: u64, limit: u32) -> Result<Vec<String>, StoredError> {
        self.stored.unread(stream, at, limit)
    }
}
