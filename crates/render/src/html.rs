//! HTML as text: what a person would read, and where links really lead.

use mail_parser::decoders::html::add_html_token;

/// Elements whose content nobody reads.
const SILENT: [&str; 7] = ["script", "style", "head", "title", "template", "noscript", "svg"];
/// Elements that begin a line.
const BLOCKS: [&str; 22] = [
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "table",
    "tr",
    "ul",
];
/// An entity is no longer than this.
const ENTITY_BYTES: usize = 32;
/// Links are shown up to so many characters.
const LINK_CHARACTERS: usize = 300;

/// Returns the text of a page. Whatever the page is, this takes time in proportion to its length.
pub(crate) fn to_text(html: &str) -> String {
    let mut page = Page { text: String::with_capacity(html.len() / 2), link: None, space: false };
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        page.words(&rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        // What is not followed by a name is an ordinary character.
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            page.words("<");
            rest = &rest[1..];
            continue;
        }
        let Some(end) = end_of_tag(rest) else {
            // Never closed: a browser would show nothing of it.
            rest = "";
            break;
        };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let name = name_of(tag);
        page.tag(tag, &name);
        if SILENT.contains(&name.as_str()) && !tag.ends_with('/') {
            rest = behind(rest, &name);
        }
    }
    page.words(rest);
    page.end_link();
    page.text
}

struct Page {
    text: String,
    /// Where the link leads that is open, and where its words begin.
    link: Option<(String, usize)>,
    space: bool,
}

impl Page {
    fn words(&mut self, words: &str) {
        for (number, word) in words.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            self.space |= number > 0;
            if word.is_empty() {
                continue;
            }
            if self.space && !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push(' ');
            }
            self.space = false;
            self.entities(word);
        }
    }

    fn entities(&mut self, word: &str) {
        let mut rest = word;
        while let Some(start) = rest.find('&') {
            self.text.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.as_bytes().iter().take(ENTITY_BYTES).position(|byte| *byte == b';');
            match end {
                Some(end) => {
                    add_html_token(&mut self.text, &rest.as_bytes()[..=end], false);
                    rest = &rest[end + 1..];
                }
                None => {
                    self.text.push('&');
                    rest = &rest[1..];
                }
            }
        }
        self.text.push_str(rest);
    }

    fn tag(&mut self, tag: &str, name: &str) {
        let closes = tag.starts_with('/');
        if BLOCKS.contains(&name) {
            self.line(name == "br" || (name == "p" && closes));
        }
        match name {
            "li" if !closes => self.text.push_str("• "),
            "td" | "th" if closes => self.space = true,
            "a" if closes => self.end_link(),
            "a" => {
                self.end_link();
                self.link = attribute(tag, "href").map(|href| (href, self.text.len()));
            }
            "img" => {
                if let Some(alternative) = attribute(tag, "alt").filter(|text| !text.trim().is_empty()) {
                    self.words(&format!(" [{alternative}] "));
                }
            }
            _ => {}
        }
    }

    /// Ends the line; two at most are empty.
    fn line(&mut self, always: bool) {
        self.space = false;
        if self.text.is_empty() || self.text.ends_with("\n\n") || (!always && self.text.ends_with('\n')) {
            return;
        }
        self.text.push('\n');
    }

    /// Says where a link leads, unless its words say so.
    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else { return };
        let words = self.text.get(start..).unwrap_or_default().trim();
        let href: String = href.trim().chars().take(LINK_CHARACTERS).collect();
        let bare = href.strip_prefix("mailto:").unwrap_or(&href);
        if bare.is_empty() || bare.starts_with('#') || words == href || words == bare {
            return;
        }
        self.text.push_str(" <");
        self.text.push_str(&href);
        self.text.push('>');
    }
}

/// Finds the end of a tag, past quoted values.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut after_equals = false;
    for (position, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (None, b'"' | b'\'') if after_equals => quote = Some(byte),
            (None, b'>') => return Some(position),
            _ => {}
        }
        after_equals = byte == b'=' || (after_equals && byte.is_ascii_whitespace());
    }
    // A quotation mark that is never closed would swallow all that follows.
    text.find('>')
}

fn name_of(tag: &str) -> String {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
    tag[..end].to_ascii_lowercase()
}

/// Returns what comes behind the end of an element whose content is not read.
fn behind<'a>(text: &'a str, name: &str) -> &'a str {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("</")).map(|start| from + start) {
        let end = start + 2 + name.len();
        if bytes.get(start + 2..end).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
            return text[end..].find('>').map_or("", |close| &text[end + close + 1..]);
        }
        from = start + 2;
    }
    ""
}

/// Returns the value of an attribute.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let mut from = 0;
    while let Some(start) = lower.get(from..)?.find(wanted).map(|start| from + start) {
        from = start + wanted.len();
        let before = tag.as_bytes().get(start.wrapping_sub(1));
        let value = tag[from..].trim_start().strip_prefix('=').map(str::trim_start);
        let (Some(value), true) =
            (value, before.is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-'))
        else {
            continue;
        };
        let value = match value.as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => value[1..].split(char::from(*quote)).next(),
            _ => value.split(|c: char| c.is_ascii_whitespace()).next(),
        };
        return value.map(|value| {
            let mut page = Page { text: String::new(), link: None, space: false };
            page.words(value);
            page.text
        });
    }
    None
}

#[cfg(test)]
mod tests;
