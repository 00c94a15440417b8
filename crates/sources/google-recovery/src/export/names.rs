//! Names and places that every file system takes, out of what strangers chose.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A name has at most so many bytes, before a number that tells it from others.
const NAME_BYTES_MAX: usize = 180;
const ENDING_BYTES_MAX: usize = 16;
/// The path of a folder has at most so many bytes; what lies deeper goes on in a folder beside the tree.
const PATH_BYTES_MAX: usize = 900;
/// What lay in the trash.
const TRASH: &str = "Trash";
/// Folders that lie too deep for their place.
const CONTINUED: &str = "Continued";

/// Something that gets a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The ending that its content has, where its name does not say it.
    pub(super) ending: Option<&'static str>,
    pub(super) parent: Option<String>,
    pub(super) is_folder: bool,
    /// Whether it was put into the trash by itself.
    pub(super) is_trashed: bool,
}

/// Returns the place of everything, relative to the top, its parts joined by slashes. Each has one, whatever the folders
/// say: what is in no folder that is here stands at the top, and a circle of folders is cut open.
pub(super) fn places(entries: &BTreeMap<String, Entry>) -> HashMap<&str, String> {
    let mut inside: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut open: Vec<(&str, Option<&str>)> = Vec::new();
    for (id, entry) in entries {
        let parent = entry.parent.as_deref().filter(|parent| {
            entries.get(*parent).is_some_and(|parent| parent.is_folder) && *parent != id.as_str()
        });
        match parent.filter(|_| !entry.is_trashed) {
            Some(parent) => inside.entry(parent).or_default().push(id),
            None => open.push((id, None)),
        }
    }
    let mut places = Placing { places: HashMap::new(), used: HashMap::new(), continued: 0 };
    let mut rest = entries.keys();
    loop {
        // What is found last is placed first: neighbours come in the order of their ids.
        open.reverse();
        while let Some((id, folder)) = open.pop() {
            let Some(entry) = entries.get(id).filter(|_| !places.places.contains_key(id)) else { continue };
            places.place(id, entry, folder);
            if entry.is_folder {
                let below = inside.remove(id).unwrap_or_default();
                open.extend(below.into_iter().rev().map(|below| (below, Some(id))));
            }
        }
        match rest.find(|id| !places.places.contains_key(id.as_str())) {
            Some(id) => open.push((id, None)),
            None => return places.places,
        }
    }
}

struct Placing<'e> {
    places: HashMap<&'e str, String>,
    /// The names that are taken in each folder, in small letters: not every file system tells capitals apart.
    used: HashMap<String, HashSet<String>>,
    continued: u64,
}

impl<'e> Placing<'e> {
    fn place(&mut self, id: &'e str, entry: &Entry, folder: Option<&str>) {
        let above = match folder {
            Some(folder) => self.places.get(folder).cloned().unwrap_or_default(),
            None if entry.is_trashed => TRASH.to_owned(),
            None => String::new(),
        };
        let name = self.free(&above, &safe_name(&entry.name, entry.ending));
        let mut path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        if entry.is_folder && path.len() > PATH_BYTES_MAX {
            self.continued += 1;
            path = format!("{CONTINUED}/{:04} {name}", self.continued);
        }
        self.places.insert(id, path);
    }

    /// Returns a name that nothing else in a folder has.
    fn free(&mut self, folder: &str, name: &str) -> String {
        let used = self.used.entry(folder.to_owned()).or_insert_with(|| {
            let own = [super::files::INDEX, TRASH, CONTINUED].iter().filter(|_| folder.is_empty());
            own.map(|name| name.to_lowercase()).collect()
        });
        let (stem, ending) = split(name);
        let mut free = name.to_owned();
        let mut number = 1_u64;
        while !used.insert(free.to_lowercase()) {
            number += 1;
            free = format!("{stem} ({number}){ending}");
        }
        free
    }
}

/// Makes a name that can be a file's everywhere; `ending` is added where it does not end so.
pub(super) fn safe_name(name: &str, ending: Option<&str>) -> String {
    let mut safe: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if let Some(ending) = ending
        && !safe.to_lowercase().ends_with(&format!(".{ending}"))
    {
        safe = format!("{safe}.{ending}");
    }
    let mut safe = safe.trim().trim_end_matches(['.', ' ']).to_owned();
    if safe.starts_with('.') {
        safe.replace_range(..1, "_");
    }
    let device = safe.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = device.strip_prefix("COM").or_else(|| device.strip_prefix("LPT"));
    let is_device = ["CON", "PRN", "AUX", "NUL"].contains(&device.as_str())
        || numbered.is_some_and(|number| number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit()));
    if safe.is_empty() || is_device {
        safe.insert(0, '_');
    }
    let (stem, ending) = split(&safe);
    if safe.len() <= NAME_BYTES_MAX {
        return safe;
    }
    let room = NAME_BYTES_MAX - ending.len();
    let end = stem.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
    format!("{}{ending}", stem[..end.unwrap_or(0)].trim_end())
}

/// Splits a name before its ending, if it has one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= ENDING_BYTES_MAX => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Tells whether a letter may stand in a name: not what separates, controls, or turns the direction of writing.
fn is_plain(c: char) -> bool {
    const INVISIBLE: [std::ops::RangeInclusive<char>; 7] = [
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    !c.is_control() && !r#"/\:*?"<>|"#.contains(c) && !INVISIBLE.iter().any(|range| range.contains(&c))
}

/// Returns the ending of files with this content; `None` for one that has no usual one.
pub(super) fn ending(media_type: &str) -> Option<&'static str> {
    const ENDINGS: [(&str, &str); 14] = [
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
        ("application/vnd.google-apps.script+json", "json"),
        ("application/vnd.oasis.opendocument.text", "odt"),
        ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
        ("application/x-vnd.oasis.opendocument.spreadsheet", "ods"),
        ("application/vnd.oasis.opendocument.presentation", "odp"),
        ("application/pdf", "pdf"),
        ("image/svg+xml", "svg"),
        ("image/png", "png"),
        ("video/mp4", "mp4"),
        ("text/html", "html"),
        ("text/plain", "txt"),
    ];
    ENDINGS.iter().find(|(own, _)| *own == media_type).map(|(_, ending)| *ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, parent: Option<&str>, is_folder: bool) -> Entry {
        Entry {
            name: name.to_owned(),
            ending: None,
            parent: parent.map(str::to_owned),
            is_folder,
            is_trashed: false,
        }
    }

    #[test]
    fn names_are_such_as_every_file_system_takes() {
        for (name, safe) in [
            ("a/b\\c", "a_b_c"),
            ("..", "_"),
            (".", "_"),
            ("", "_"),
            (".hidden", "_hidden"),
            ("line\nbreak\0", "line_break_"),
            ("\u{202e}gpj.exe", "_gpj.exe"),
            ("con.txt", "_con.txt"),
            ("Com1", "_Com1"),
            ("com10", "com10"),
            ("trailing. . ", "trailing"),
            ("Überblick – 日本語.pdf", "Überblick – 日本語.pdf"),
        ] {
            assert_eq!(safe_name(name, None), safe, "{name:?}");
        }
        assert_eq!(safe_name("Plan", Some("docx")), "Plan.docx");
        assert_eq!(safe_name("Plan.DOCX", Some("docx")), "Plan.DOCX");
        let long = safe_name(&format!("{}.pdf", "ü".repeat(300)), None);
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ü.pdf"), "{long}");
    }

    #[test]
    fn everything_has_one_place_of_its_own() {
        let mut entries = BTreeMap::from([
            ("top".to_owned(), entry("My Drive", None, true)),
            ("1".to_owned(), entry("Same.txt", Some("top"), false)),
            ("2".to_owned(), entry("same.TXT", Some("top"), false)),
            ("3".to_owned(), entry("same (2).TXT", Some("top"), false)),
            ("left".to_owned(), entry("Left", Some("right"), true)),
            ("right".to_owned(), entry("Right", Some("left"), true)),
            ("self".to_owned(), entry("Self", Some("self"), true)),
            ("lost".to_owned(), entry("index.jsonl", Some("elsewhere"), false)),
            ("in".to_owned(), entry("in a file", Some("1"), false)),
        ]);
        entries.insert("gone".to_owned(), Entry { is_trashed: true, ..entry("gone", Some("top"), false) });
        let places = places(&entries);
        assert_eq!(places.len(), entries.len());
        let distinct: HashSet<String> = places.values().map(|place| place.to_lowercase()).collect();
        assert_eq!(distinct.len(), entries.len(), "{places:?}");
        assert_eq!(places["1"], "My Drive/Same.txt");
        assert_eq!(places["2"], "My Drive/same (2).TXT");
        assert_eq!((places["left"].as_str(), places["right"].as_str()), ("Left", "Left/Right"));
        assert_eq!((places["lost"].as_str(), places["gone"].as_str()), ("index (2).jsonl", "Trash/gone"));
    }

    #[test]
    fn what_lies_too_deep_goes_on_beside_the_tree() {
        let mut entries = BTreeMap::new();
        for depth in 0..1000_u32 {
            let parent = depth.checked_sub(1).map(|above| above.to_string());
            entries.insert(depth.to_string(), entry(&"long name ".repeat(9), parent.as_deref(), true));
        }
        let places = places(&entries);
        assert!(places.values().all(|place| place.len() <= PATH_BYTES_MAX));
        assert_eq!(places.values().collect::<HashSet<_>>().len(), 1000);
        assert!(places["999"].starts_with("Continued/"));
    }
}
