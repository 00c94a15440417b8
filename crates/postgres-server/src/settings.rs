//! Server settings and their configuration-file form.

use std::{collections::BTreeMap, fmt::Write as _};

/// Named server settings; a later value replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value and returns the set, for chains.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts read better in a chain by value")]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.set(name, &value);
        self
    }

    /// Sets a value.
    pub fn set(&mut self, name: &str, value: &(impl ToString + ?Sized)) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    /// Returns a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes over all values of another set.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Iterates over names and values in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the settings as lines of a configuration file.
    pub fn to_lines(&self) -> String {
        self.iter().fold(String::new(), |mut text, (name, value)| {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{name} = {}", quote(value));
            text
        })
    }
}

/// Quotes a value for a configuration file, where a backslash escapes as in SQL's E'' strings.
pub fn quote(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
    format!("'{escaped}'")
}

/// Quotes a word for a POSIX shell.
pub fn quote_shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let settings = Settings::new().with("b", "it's a \\ path").with("a", 1).with("a", 2);
        assert_eq!(settings.to_lines(), "a = '2'\nb = 'it''s a \\\\ path'\n");
        assert_eq!(quote_shell("a'b"), r"'a'\''b'");
    }
}
