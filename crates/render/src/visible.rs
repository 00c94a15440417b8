//! Characters that deceive are shown by their numbers.

const ZERO_WIDTH_JOINER: char = '\u{200d}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';

/// Returns a text as one line of at most `max` characters, in which nothing is hidden.
///
/// Control characters, line breaks among them, become their pictures (`␊`); marks that turn the direction of writing and
/// characters without a width become their numbers (`⟨U+202E⟩`). What was cut ends with `…`.
pub fn visible(text: &str, max: usize) -> String {
    write(text, max, false).0
}

/// Returns one line of a longer text in the same way; tabs stay.
pub fn visible_line(text: &str, max: usize) -> String {
    write(text, max, true).0
}

/// The same, with whether something was cut.
pub(crate) fn cut_line(text: &str, max: usize) -> (String, bool) {
    write(text, max, true)
}

fn write(text: &str, max: usize, keeps_tabs: bool) -> (String, bool) {
    let mut line = String::with_capacity(text.len().min(4 * max));
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    let mut count = 0;
    while let Some(character) = characters.next() {
        if count == max {
            line.push('…');
            return (line, true);
        }
        count += 1;
        match character {
            '\t' if keeps_tabs => line.push('\t'),
            '\0'..='\u{1f}' => line.push(picture(character)),
            '\u{7f}' => line.push('\u{2421}'),
            _ if deceives(before, character, characters.peek().copied()) => {
                line.push_str(&format!("⟨U+{:04X}⟩", character as u32));
            }
            _ => line.push(character),
        }
        before = character;
    }
    (line, false)
}

/// Returns the picture of a control character.
fn picture(character: char) -> char {
    char::from_u32(0x2400 + character as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn deceives(before: char, character: char, after: Option<char>) -> bool {
    match character {
        // Pictures are joined to new ones, and some scripts join letters or keep them apart: there it is spelling.
        ZERO_WIDTH_JOINER => {
            let after = after.unwrap_or(' ');
            !(is_picture(before) && is_picture(after) || is_joining(before) && is_joining(after))
        }
        ZERO_WIDTH_NON_JOINER => !(is_joining(before) && is_joining(after.unwrap_or(' '))),
        // Chooses between text and picture for the character before.
        '\u{fe0f}' | '\u{fe0e}' => !(is_picture(before) || matches!(before, '0'..='9' | '#' | '*')),
        _ => is_hidden(character),
    }
}

fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'             // further control characters
        | '\u{ad}'                      // a hyphen that need not be seen
        | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'       // without width; marks of direction
        | '\u{2028}'..='\u{202e}'       // separators; embeddings and overrides of direction
        | '\u{2060}'..='\u{206f}'       // without width; isolates of direction
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'     // tags, which spell text that nobody sees
    )
}

/// Returns whether a character may be a part of a picture.
fn is_picture(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' | '\u{a9}' | '\u{ae}')
}

/// Returns whether a letter is of a script in which joining is spelling.
fn is_joining(character: char) -> bool {
    matches!(character,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_is_shown_by_its_number() {
        assert_eq!(visible("invoice\u{202e}fdp.exe", 100), "invoice⟨U+202E⟩fdp.exe");
        assert_eq!(visible("pay\u{200b}pal", 100), "pay⟨U+200B⟩pal");
        assert_eq!(visible("pay\u{200d}pal", 100), "pay⟨U+200D⟩pal");
        assert_eq!(visible("a\nb\x1b[31m\0", 100), "a␊b␛[31m␀");
        assert_eq!(visible("\u{e0068}\u{e0069}", 100), "⟨U+E0068⟩⟨U+E0069⟩");
        assert_eq!(visible("\u{9b}31m", 100), "⟨U+009B⟩31m");
    }

    #[test]
    fn spelling_stays() {
        // A family, a flag of a heart, Persian and Hindi with their joiners.
        for text in [
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "Grüße, 東京 🎉",
            "<script>alert(1)</script>",
        ] {
            assert_eq!(visible(text, 100), text);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(visible("abcdef", 3), "abc…");
        assert_eq!(visible("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>(), max in 0_usize..50) {
            let shown = visible(&text, max);
            prop_assert!(!shown.chars().any(char::is_control));
            let stays = |c: char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
            let is_visible = shown.chars().all(|c| !is_hidden(c) || stays(c));
            prop_assert!(is_visible);
            prop_assert!(shown.chars().count() <= 9 * max + 1);
        }
    }
}
