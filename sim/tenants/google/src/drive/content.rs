//! Reading files: lists, metadata, bytes.

use std::sync::Arc;

use super::{
    capability::Standing,
    create,
    file::File,
    files,
    kind::Kind,
    permission::Role,
    query::{Query, Term},
    reply::{bad, forbidden, mask, none, outside},
    resource::{self, Filled},
    trail::Event,
};
use crate::{
    call::{Answer, Body, Call, Reply},
    page,
    refusal::Refusal,
    stream::{Asked, Source, Stream, asked},
    tenant::Tenant,
};
use model::Moment;

const USUAL: &str = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)";

/// Which files a list is about.
enum Corpus {
    User,
    Drive(String),
    Domain,
    All,
}

fn corpus(tenant: &Tenant, call: &Call) -> Result<Corpus, Refusal> {
    let drive = call.query("driveId").or_else(|| call.query("teamDriveId"));
    let both = call.flag("includeItemsFromAllDrives") && call.flag("supportsAllDrives");
    match (call.query("corpora").unwrap_or("user"), drive) {
        ("drive" | "teamDrive", Some(drive)) if both => {
            let member =
                tenant.drive.drives.contains_key(drive) && files::named(tenant, call, drive).is_some();
            if member {
                Ok(Corpus::Drive(drive.to_owned()))
            } else {
                Err(none("Shared drive", "driveId", drive))
            }
        }
        ("drive" | "teamDrive", Some(_)) => Err(bad(
            "includeItemsFromAllDrives",
            "The includeItemsFromAllDrives and supportsAllDrives parameters must be true for this corpus.",
        )),
        ("drive" | "teamDrive", None) => {
            Err(bad("driveId", "The driveId parameter is required for this corpus."))
        }
        (_, Some(_)) => Err(bad(
            "driveId",
            "The driveId parameter must be specified if and only if corpora is set to drive.",
        )),
        ("user", None) => Ok(Corpus::User),
        ("domain", None) => Ok(Corpus::Domain),
        ("allDrives", None) if both => Ok(Corpus::All),
        (_, None) => Err(bad("corpora", "Invalid Value")),
    }
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    files::purge(tenant, call.now);
    // The top folder is there from the first time that somebody looks.
    files::resolved(tenant, call, "root");
    let mask = mask(call, USUAL)?;
    let corpus = corpus(tenant, call)?;
    let query = Query::parse(call.query("q"), &call.caller.email)?;
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let usual = if matches!(corpus, Corpus::User | Corpus::Domain) { 1000 } else { 100 };
    let size = call.page_size("pageSize", usual, 1000)?;
    let other_space =
        call.query("spaces").is_some_and(|spaces| !spaces.split(',').any(|space| space.trim() == "drive"));
    let mut found: Vec<&File> =
        if other_space { Vec::new() } else { candidates(tenant, call, &corpus, &query) };
    found.retain(|file| query.takes(tenant, call, file));
    // Newest first; what changes between two pages neither shifts nor repeats the rest.
    found.sort_unstable_by_key(|file| std::cmp::Reverse(file.number));
    let order = call.query("orderBy").filter(|order| !order.is_empty());
    let (items, next) = match order {
        Some(order) => {
            sort(&mut found, order, &call.caller.user)?;
            page::slice(&found, place.as_deref(), size)
        }
        None => {
            let after: Option<u64> = place.as_deref().and_then(|place| place.parse().ok());
            let start = after.map_or(0, |after| found.partition_point(|file| file.number >= after));
            let end = found.len().min(start + size);
            let next = (end < found.len()).then(|| found[end - 1].number.to_string());
            (&found[start..end], next)
        }
    };
    let below = mask.down("files");
    let made: Vec<Filled> = below
        .map(|below| items.iter().map(|file| resource::make(tenant, call, file, below)).collect())
        .unwrap_or_default();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    let incomplete = matches!(corpus, Corpus::All) && tenant.drive.drives.len() > 1;
    Ok(Reply::later(move || {
        let files = made.into_iter().map(Filled::finish).collect();
        let mut body = super::reply::list("drive#fileList", "files", files, next);
        body["incompleteSearch"] = incomplete.into();
        mask.apply(body)
    }))
}

/// Returns the files among which a list searches.
fn candidates<'a>(tenant: &'a Tenant, call: &Call, corpus: &Corpus, query: &Query) -> Vec<&'a File> {
    let tree = &tenant.drive.tree;
    let me = &call.caller.user;
    if let Corpus::Drive(drive) = corpus {
        return tree.all().filter(|file| file.drive.as_deref() == Some(drive) && !file.is_top()).collect();
    }
    let both = call.flag("includeItemsFromAllDrives") && call.flag("supportsAllDrives");
    let listed = |file: &&File| {
        if file.drive.is_some() {
            return both
                && !file.is_top()
                && tree.named_role(file, &tenant.directory, me, call.now).is_some();
        }
        let named = file.owner == *me || tree.named_role(file, &tenant.directory, me, call.now).is_some();
        named || matches!(corpus, Corpus::Domain) && files::role(tenant, call, &file.id).is_some()
    };
    let mine = query
        .certain(|term| matches!(term, Term::Person(Role::Owner, person) if **person == *call.caller.email));
    if mine.is_some() {
        return tree.owned(me).collect();
    }
    if let Some(Term::Parent(parent)) = query.certain(|term| matches!(term, Term::Parent(_))) {
        let parent = if parent == "root" { tree.root_id(me) } else { Arc::from(parent.as_str()) };
        return tree.children(&parent).filter(listed).collect();
    }
    tree.all().filter(listed).collect()
}

/// What lists can be sorted by.
const ORDERS: [&str; 10] = [
    "createdTime",
    "folder",
    "modifiedByMeTime",
    "modifiedTime",
    "name",
    "name_natural",
    "quotaBytesUsed",
    "recency",
    "sharedWithMeTime",
    "starred",
];

fn sort(files: &mut [&File], order: &str, me: &str) -> Result<(), Refusal> {
    let keys: Vec<(&str, bool)> = order
        .split(',')
        .map(|key| {
            let key = key.trim();
            key.strip_suffix(" desc").map_or((key, false), |key| (key.trim(), true))
        })
        .collect();
    if keys.iter().any(|(key, _)| !ORDERS.contains(key)) {
        return Err(bad("orderBy", "Invalid Value"));
    }
    let size = |file: &File| file.revisions.iter().map(|revision| revision.content.size()).sum::<u64>();
    let shared = |file: &File| -> Option<Moment> {
        let own = file.permissions.iter().find(|own| own.id == super::permission::user_permission_id(me));
        own.map(|own| own.created)
    };
    files.sort_by(|a, b| {
        let mut ordering = std::cmp::Ordering::Equal;
        for (key, down) in &keys {
            let this = match *key {
                "folder" => (a.kind != Kind::Folder).cmp(&(b.kind != Kind::Folder)),
                "name" | "name_natural" => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
                "createdTime" => a.created.cmp(&b.created),
                "quotaBytesUsed" => size(a).cmp(&size(b)),
                "sharedWithMeTime" => shared(a).cmp(&shared(b)),
                "starred" => a.traits.starred_by.contains(me).cmp(&b.traits.starred_by.contains(me)),
                _ => a.modified.cmp(&b.modified),
            };
            ordering = ordering.then(if *down { this.reverse() } else { this });
        }
        ordering
    });
    Ok(())
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = files::of_path(tenant, call)?;
    if call.query("alt") != Some("media") {
        return create::answer(tenant, call, &id);
    }
    let file = files::get(tenant, &id)?;
    let Some(blob) = file.blob() else {
        let message = "Only files with binary content can be downloaded. Use Export with Docs Editors files.";
        return Err(forbidden("fileNotDownloadable", message));
    };
    let blob: Arc<dyn Source> = Arc::clone(blob) as _;
    check_download(file, role, call)?;
    let reply = bytes(call, &file.media_type, blob)?;
    tenant.drive_event(call, &id, Event::read("drive.files.get"));
    Ok(reply)
}

/// Refuses the content of a file to those who may not have it.
pub(super) fn check_download(file: &File, role: Role, call: &Call) -> Result<(), Refusal> {
    if !(Standing { file, role, trashed: false }).can_download() {
        return Err(forbidden("cannotDownloadFile", "This file cannot be downloaded by the user."));
    }
    let acknowledged = call.flag("acknowledgeAbuse")
        && role >= if file.drive.is_some() { Role::Organizer } else { Role::Owner };
    if file.traits.abusive && !acknowledged {
        let message = "This file has been identified as malware or spam and cannot be downloaded.";
        return Err(forbidden("cannotDownloadAbusiveFile", message));
    }
    Ok(())
}

/// Answers with bytes, or with the run of them that is asked for.
pub(super) fn bytes(call: &Call, media_type: &str, source: Arc<dyn Source>) -> Answer {
    let length = source.length();
    let reply = match asked(call.header("range"), length) {
        Asked::Whole => Reply::stream(media_type, Stream::whole(source)),
        Asked::Run(first, last) => {
            let body = Body::Stream(media_type.to_owned(), Stream::run(source, first, last));
            let range = format!("bytes {first}-{last}/{length}");
            Reply { code: 206, headers: vec![("content-range", range)], body }
        }
        Asked::Outside => return Err(outside()),
    };
    Ok(reply.header("accept-ranges", "bytes"))
}
