//! What names tell: an extension that was put behind all of them, and a letter with demands.

/// Parts of names under which demands were left, in small letters with separators taken out.
const NOTES: &[&str] = &[
    "howtodecrypt",
    "howtorecover",
    "howtorestore",
    "howtounlock",
    "howtobackfiles",
    "decryptinstruction",
    "decryptreadme",
    "readmetodecrypt",
    "readmefordecrypt",
    "readmetorestore",
    "decryptmyfiles",
    "decryptyourfiles",
    "decryptfiles",
    "decryptinfo",
    "restoremyfiles",
    "restoreyourfiles",
    "restorefiles",
    "recoveryourfiles",
    "recovermyfiles",
    "recoverfiles",
    "recoverinstructions",
    "filesencrypted",
    "filesareencrypted",
    "yourfilesarelocked",
    "ransomnote",
    "ransomware",
    "helpdecrypt",
    "helprecover",
    "helprestore",
    "unlockfiles",
    "unlockinstructions",
    "pleasereadme",
    "warningreadme",
    "readmenow",
    "akirareadme",
    "lockbit",
    "cl0preadme",
    "wheremyfiles",
    "wanadecryptor",
];
/// Names that were used as they stand.
const WHOLE: &[&str] =
    &["_readme.txt", "!readme!.txt", "!!!readme!!!.txt", "#readme#.txt", "read_it.txt", "info.hta"];
/// What a note may be.
const FORMS: &[&str] = &["txt", "html", "htm", "hta", "rtf", "md", "url", "pdf", "bmp", "png", "jpg"];

/// Tells whether a file's name is like those of the letters that ransomware leaves.
pub fn is_ransom_note(name: &str) -> bool {
    let name = last_part(name).to_lowercase();
    if WHOLE.contains(&name.as_str()) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let stem: String = stem.chars().filter(|character| character.is_alphanumeric()).collect();
    FORMS.contains(&extension) && NOTES.iter().any(|note| stem.contains(note))
}

/// Returns the extension that a name has and had not before, in small letters: `locked` for `a.doc` and `a.doc.locked`.
pub fn new_extension(previous: &str, present: &str) -> Option<String> {
    let extension = |name: &str| {
        let (stem, extension) = last_part(name).rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty() && extension.len() <= 32).then(|| extension.to_lowercase())
    };
    let now = extension(present)?;
    (extension(previous).as_ref() != Some(&now)).then_some(now)
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_with_demands_are_known_by_their_names() {
        for name in [
            "shared/HOW_TO_DECRYPT.txt",
            "Restore-My-Files.txt",
            "_readme.txt",
            "!!!_READ_ME_NOW_!!!.html",
            "DECRYPT_INSTRUCTIONS.HTML",
            "akira_readme.txt",
            "RECOVER-YOUR-FILES.hta",
        ] {
            assert!(is_ransom_note(name), "{name}");
        }
        for name in ["README.txt", "readme.md", "restore.rs", "how to cook.txt", "recovery.pdf", "notes", ""]
        {
            assert!(!is_ransom_note(name), "{name}");
        }
    }

    #[test]
    fn an_extension_is_new_when_it_was_not_there() {
        assert_eq!(new_extension("a/b.docx", "a/b.docx.LOCKED").as_deref(), Some("locked"));
        assert_eq!(new_extension("b.docx", "x1f.crypt").as_deref(), Some("crypt"));
        assert_eq!(new_extension("b.docx", "c.docx"), None);
        assert_eq!(new_extension("b.docx", "b"), None);
        assert_eq!(new_extension("b", ".hidden"), None);
    }
}
