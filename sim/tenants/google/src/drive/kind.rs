//! What a file is by its media type: a folder, a document of an editor, or bytes.

const GOOGLE: &str = "application/vnd.google-apps.";

/// Media types of other programs' formats.
pub(crate) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(crate) const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub(crate) const PDF: &str = "application/pdf";
pub(crate) const PLAIN: &str = "text/plain";
pub(crate) const HTML: &str = "text/html";
pub(crate) const MARKDOWN: &str = "text/markdown";
pub(crate) const CSV: &str = "text/csv";
pub(crate) const TSV: &str = "text/tab-separated-values";
pub(crate) const SVG: &str = "image/svg+xml";
pub(crate) const PNG: &str = "image/png";
pub(crate) const SCRIPT_JSON: &str = "application/vnd.google-apps.script+json";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    Shortcut,
    Document,
    Spreadsheet,
    Presentation,
    Drawing,
    Script,
    Form,
    Site,
    Map,
    Jam,
    /// Anything whose bytes are what was uploaded.
    Binary,
}

/// The editors' kinds with the last part of their media type.
const NAMES: [(Kind, &str); 11] = [
    (Kind::Folder, "folder"),
    (Kind::Shortcut, "shortcut"),
    (Kind::Document, "document"),
    (Kind::Spreadsheet, "spreadsheet"),
    (Kind::Presentation, "presentation"),
    (Kind::Drawing, "drawing"),
    (Kind::Script, "script"),
    (Kind::Form, "form"),
    (Kind::Site, "site"),
    (Kind::Map, "map"),
    (Kind::Jam, "jam"),
];

impl Kind {
    /// Reads a media type; `None` for one of Google's that the simulator does not know.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        let Some(name) = media_type.strip_prefix(GOOGLE) else { return Some(Self::Binary) };
        NAMES.iter().find(|(_, own)| *own == name).map(|(kind, _)| *kind)
    }

    /// Returns the media type; of bytes there are many.
    pub(crate) fn media_type(self) -> String {
        let name = NAMES.iter().find(|(kind, _)| *kind == self).map(|(_, name)| *name);
        name.map_or_else(|| "application/octet-stream".to_owned(), |name| format!("{GOOGLE}{name}"))
    }

    /// Tells whether it belongs to an editor: it has content that is not bytes.
    pub(crate) const fn is_edited(self) -> bool {
        !matches!(self, Self::Folder | Self::Shortcut | Self::Binary)
    }

    /// Returns the formats in which the content can be had: media type with the ending of file names.
    pub(crate) const fn exports(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Document => {
                &[(DOCX, "docx"), (PDF, "pdf"), (PLAIN, "txt"), (HTML, "html"), (MARKDOWN, "md")]
            }
            Self::Spreadsheet => &[(XLSX, "xlsx"), (PDF, "pdf"), (CSV, "csv"), (TSV, "tsv")],
            Self::Presentation => &[(PPTX, "pptx"), (PDF, "pdf"), (PLAIN, "txt")],
            Self::Drawing => &[(SVG, "svg"), (PNG, "png"), (PDF, "pdf")],
            Self::Script => &[(SCRIPT_JSON, "json")],
            Self::Jam => &[(PDF, "pdf")],
            _ => &[],
        }
    }

    /// Returns the formats from which it can be made.
    pub(crate) const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::Document => &[DOCX, PLAIN, HTML, MARKDOWN],
            Self::Spreadsheet => &[XLSX, CSV, TSV],
            Self::Presentation => &[PPTX],
            Self::Script => &[SCRIPT_JSON, "application/json"],
            _ => &[],
        }
    }

    /// All kinds of the editors.
    pub(crate) fn edited() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(kind, _)| *kind).filter(|kind| kind.is_edited())
    }

    /// Returns how the audit log calls a file.
    pub(crate) fn audited(self, media_type: &str) -> &'static str {
        if let Some((_, name)) = NAMES.iter().find(|(kind, _)| *kind == self) {
            return name;
        }
        match media_type {
            PDF => "pdf",
            PLAIN => "txt",
            HTML => "html",
            PNG => "png",
            DOCX => "msword",
            XLSX => "msexcel",
            PPTX => "mspowerpoint",
            "image/jpeg" => "jpeg",
            "video/mp4" => "mp4",
            _ => "unknown",
        }
    }
}

/// Guesses a media type from a file's name, as an upload without one is guessed.
pub(crate) fn guessed(name: &str) -> &'static str {
    const ENDINGS: [(&str, &str); 16] = [
        ("docx", DOCX),
        ("xlsx", XLSX),
        ("pptx", PPTX),
        ("pdf", PDF),
        ("txt", PLAIN),
        ("log", PLAIN),
        ("html", HTML),
        ("md", MARKDOWN),
        ("csv", CSV),
        ("svg", SVG),
        ("png", PNG),
        ("jpg", "image/jpeg"),
        ("mp4", "video/mp4"),
        ("zip", "application/zip"),
        ("json", "application/json"),
        ("sql", "application/sql"),
    ];
    let ending = extension(name).unwrap_or_default().to_ascii_lowercase();
    ENDINGS.iter().find(|(own, _)| *own == ending).map_or("application/octet-stream", |(_, kind)| kind)
}

/// Returns what follows the last dot of a name, if it looks like an ending.
pub(crate) fn extension(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    let plain = !ending.is_empty() && ending.len() <= 8 && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then_some(ending)
}
