//! Addresses of pages that show what is stored. Whatever is in a name, an address stays one.

use std::fmt::Write;

use model::SourceName;

/// Makes an address with a query; what is empty is left out.
pub(crate) fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let told: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(told).unwrap_or_default();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns where a stream is.
pub(crate) fn stream_path(source: &SourceName, stream: &str) -> String {
    let mut path = format!("/browse/{source}/");
    for byte in stream.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'@' | b'.' | b'-' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => drop(write!(path, "%{byte:02X}")),
        }
    }
    path
}

/// Returns where an item is.
pub(crate) fn item_link(source: &SourceName, stream: &str, key: &str, at: &str) -> String {
    link("/items", &[("source", source.as_str()), ("stream", stream), ("key", key), ("at", at)])
}

/// Returns where somebody came from, when that is a page on which things can be chosen.
pub(crate) fn back(told: Option<&str>) -> String {
    let own = |page: &&str| {
        (page.starts_with("/browse") || page.starts_with("/items?"))
            && !page.contains(['\\', '\r', '\n'])
            && !page.contains("//")
    };
    told.filter(own).unwrap_or("/basket").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_names() {
        let acme = SourceName::new("acme").unwrap();
        assert_eq!(stream_path(&acme, "gmail/a@b.test"), "/browse/acme/gmail/a@b.test");
        assert_eq!(stream_path(&acme, "a?b#c\"><d ä"), "/browse/acme/a%3Fb%23c%22%3E%3Cd%20%C3%A4");
        let address = item_link(&acme, "s", "k&at=9#\"><script>", "7");
        assert_eq!(address, "/items?source=acme&stream=s&key=k%26at%3D9%23%22%3E%3Cscript%3E&at=7");
        assert_eq!(link("/browse", &[("q", ""), ("at", "")]), "/browse");
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(back(Some("/browse/acme/files?folder=a%2F")), "/browse/acme/files?folder=a%2F");
        for elsewhere in ["https://evil.example", "//evil.example", "/browse//evil", "/logout", "/items\r\nx"]
        {
            assert_eq!(back(Some(elsewhere)), "/basket", "{elsewhere}");
        }
        assert_eq!(back(None), "/basket");
    }
}
