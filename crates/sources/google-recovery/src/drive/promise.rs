use connect::fidelity::{Fidelity, Way};

use super::rows::Making;

/// The kinds of items.
pub(super) const FOLDER: &str = "folder";
pub(super) const FILE: &str = "file";
pub(super) const DOCUMENT: &str = "document";
pub(super) const SHORTCUT: &str = "shortcut";
pub(super) const PERMISSION: &str = "permission";

/// Returns the kind of item that something is made of.
pub(super) const fn kind(making: Making) -> &'static str {
    match making {
        Making::Folder => FOLDER,
        Making::Binary => FILE,
        Making::Document | Making::Exported => DOCUMENT,
        Making::Shortcut => SHORTCUT,
    }
}

const ID: &str = "Drive gives a new one; links to the old one do not lead to it";
const SHARING: &str =
    "permissions of its own are given again, without mails; the owner is whoever owns the drive";
const COMMENTS: &str =
    "they are stored; the API makes new ones in the name of whoever restores, at the time of the restore";
const REVISIONS: &str = "what is stored of them comes out with `unwipe show --out`";
const APPS: &str = "other programs' properties are seen by these programs alone";

/// Returns what becomes of files in each way of bringing them back.
pub(crate) fn promises() -> Vec<Fidelity> {
    let in_place = |kind: &str| {
        Fidelity::new(kind, Way::InPlace).exact(&[
            "id",
            "name",
            "place",
            "description and properties",
            "permissions",
            "comments",
            "earlier revisions",
        ])
    };
    let anew = |kind: &str| {
        Fidelity::new(kind, Way::MadeAnew)
            .exact(&["name", "place", "times", "description and properties", "star"])
            .lost("id", ID)
            .lost("shortcuts to it that are still there", "where a shortcut leads cannot be changed")
            .equivalent("permissions", SHARING)
            .lost("properties of other programs", APPS)
    };
    vec![
        in_place(FOLDER).exact(&["colour"]),
        anew(FOLDER).exact(&["colour"]),
        in_place(FILE).exact(&["content", "media type"]),
        anew(FILE)
            .exact(&["content", "media type"])
            .lost("comments", COMMENTS)
            .lost("earlier revisions", REVISIONS),
        in_place(DOCUMENT).equivalent(
            "content",
            "taken out of the trash it is as it was; text that was overwritten comes back from the stored export as a new \
             revision, without suggestions and what the export's format cannot hold",
        ),
        anew(DOCUMENT)
            .equivalent(
                "content",
                "it is made from the stored export; a drawing, which cannot be, becomes a picture",
            )
            .lost("suggestions, formulas and scripts that the export does not hold", "the format has no place for them")
            .lost("comments", COMMENTS)
            .lost("earlier revisions", "Google hands out none of a document that can be put back"),
        in_place(SHORTCUT),
        anew(SHORTCUT).equivalent("target", "it leads to what was made anew in place of what it led to"),
        Fidelity::new(PERMISSION, Way::InPlace)
            .exact(&["who", "role", "end"])
            .lost("ownership", "ownership is not transferred")
            .lost("mails", "nobody is told by mail"),
        Fidelity::new(FILE, Way::Export)
            .exact(&["content", "changed time"])
            .equivalent("name", "what file systems cannot take is replaced; index.jsonl has the name as it was")
            .equivalent("place", "folders too deep for a file system go on beside the tree")
            .equivalent("properties and permissions", "they stand in index.jsonl"),
        Fidelity::new(DOCUMENT, Way::Export)
            .equivalent("content", "the export in the format that keeps most")
            .equivalent("name, place, properties and permissions", "as those of files"),
        Fidelity::new(SHORTCUT, Way::Export).equivalent("target", "it is a line of index.jsonl"),
    ]
}
