/// What somebody typed, as a question that the index understands, whatever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    expression: String,
}

/// So many words and phrases count; further ones are left out.
const TERMS_MAX: usize = 16;
/// So many characters of a word or phrase count.
const CHARACTERS_MAX: usize = 100;

impl Terms {
    /// Reads words, `"phrases"`, and beginnings of words like `inv*`; all of them must occur. None when there is no word.
    ///
    /// No text is an error: what could be an operator of the index is a word, and a quotation mark that is not closed is
    /// closed at the end.
    pub fn parse(text: &str) -> Option<Self> {
        let mut terms = Vec::new();
        for (number, part) in text.split('"').enumerate() {
            if number % 2 == 1 {
                terms.extend(term(part, false));
            } else {
                // A star behind a phrase is of the next part; it would be a word of its own, which is none.
                terms.extend(part.split_whitespace().filter_map(|word| term(word, word.ends_with('*'))));
            }
        }
        terms.truncate(TERMS_MAX);
        (!terms.is_empty()).then(|| Self { expression: terms.join(" AND ") })
    }

    /// Returns the question, in these streams or in all.
    pub(super) fn expression(&self, streams: Option<&[i64]>) -> String {
        let words = format!("{{title key people}} : ({})", self.expression);
        match streams {
            None => words,
            Some(streams) => {
                let places: Vec<String> = streams.iter().map(|&stream| place(stream)).collect();
                format!("place : ({}) AND {words}", places.join(" OR "))
            }
        }
    }
}

/// Returns a stream as a word.
pub(super) fn place(stream: i64) -> String {
    format!("s{stream}")
}

fn term(text: &str, is_beginning: bool) -> Option<String> {
    let bare: String = text
        .chars()
        .filter(|character| !matches!(character, '"' | '*' | '\0'))
        .take(CHARACTERS_MAX)
        .collect();
    if !bare.chars().any(char::is_alphanumeric) {
        return None;
    }
    Some(format!("\"{bare}\"{}", if is_beginning { " *" } else { "" }))
}
