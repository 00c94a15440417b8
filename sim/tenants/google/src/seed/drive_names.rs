//! Names of files and folders, usual ones and such as break programs.

use super::names::pick;
use crate::drive::{Kind, WORDS};

/// Names of folders.
pub(super) const FOLDERS: &[&str] = &[
    "Projects",
    "2026",
    "Invoices",
    "Contracts",
    "Customers",
    "Board",
    "Marketing",
    "Photos",
    "Archive",
    "Hiring",
    "Templates",
    "Old stuff",
    "2025",
    "Meeting notes",
];

/// Names that file systems, databases and terminals do not like.
const ODD: &[&str] = &[
    "Q1/Q2 planning",
    "..",
    ".hidden",
    "two\nlines",
    "\u{202e}txt.detrevni",
    "ملخص الاجتماع",
    "budget \u{1f4b0}\u{1f469}\u{200d}\u{1f4bb}",
    "trailing space ",
    "CON",
    "a\\b",
    "quote ' and \" quote",
    "Übersicht",
    "U\u{308}bersicht",
    "tab\there",
    "a name that goes on and on and on and on and on and on and on and on and on and on and on and on and on and on and \
     on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on \
     and on and on and on and on and on and on",
    "-rf",
    "100% done",
    " ",
];

/// Returns an odd name now and then.
pub(super) fn odd(drawn: u64) -> Option<String> {
    drawn.is_multiple_of(8).then(|| pick(ODD, drawn >> 8).to_owned())
}

/// Returns a usual name for a kind of file.
pub(super) fn usual(kind: Kind, drawn: u64) -> String {
    const ENDINGS: &[&str] = &[
        "pdf", "pdf", "docx", "xlsx", "png", "jpg", "csv", "txt", "zip", "pptx", "mp4", "md", "json", "log",
    ];
    let word = |shift: u64| {
        let word = pick(&WORDS[..], drawn >> shift);
        if word.len() < 4 { "overview" } else { word }
    };
    let (first, second) = (word(0), word(5));
    let year = 2023 + (drawn >> 10) % 4;
    let mut name = match (drawn >> 12) % 4 {
        0 => format!("{first} {second}"),
        1 => format!("{first} {second} {year}"),
        2 => format!("{year}-{:02} {first}", 1 + (drawn >> 14) % 12),
        _ => format!("{first}_{second}_v{}", 1 + (drawn >> 18) % 9),
    };
    if let Some(letter) = name.get(..1).map(str::to_uppercase) {
        name.replace_range(..1, &letter);
    }
    if kind == Kind::Binary { format!("{name}.{}", pick(ENDINGS, drawn >> 24)) } else { name }
}
