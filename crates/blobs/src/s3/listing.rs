//! The answer to "which versions are there".

use model::Moment;
use roxmltree::{Document, Node};

use super::{connection::S3Error, encoding::unescape};

/// One version of a key, or a marker that hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedVersion {
    /// The key without the prefix of the store.
    pub(super) key: String,
    pub(super) version_id: String,
    pub(super) is_delete_marker: bool,
    pub(super) size_bytes: u64,
    pub(super) entity_tag: String,
    pub(super) modified_at: Option<Moment>,
}

/// One page of versions, and where the next one begins.
#[derive(Debug, Default)]
pub(super) struct VersionPage {
    pub(super) versions: Vec<ListedVersion>,
    /// The key (as the store wrote it) and the version id after which the next page begins.
    pub(super) next: Option<(String, String)>,
}

impl VersionPage {
    /// Reads a page. Keys outside of `prefix` are nonsense: they were not asked for.
    pub(super) fn parse(body: &[u8], prefix: &str) -> Result<Self, S3Error> {
        let nonsense = |what| S3Error::Nonsense { what };
        let text = std::str::from_utf8(body).map_err(|_| nonsense("a listing that is not UTF-8"))?;
        let document = Document::parse(text).map_err(|_| nonsense("a listing that is not XML"))?;
        let root = document.root_element();
        if root.tag_name().name() != "ListVersionsResult" {
            return Err(nonsense("no listing of versions"));
        }
        let escaped = child(root, "EncodingType") == Some("url");
        let plain = |text: &str| if escaped { unescape(text) } else { text.to_owned() };
        let mut page = Self::default();
        for node in root.children() {
            let is_delete_marker = match node.tag_name().name() {
                "Version" => false,
                "DeleteMarker" => true,
                _ => continue,
            };
            let key = plain(child(node, "Key").ok_or_else(|| nonsense("a version without a key"))?);
            let key = key.strip_prefix(prefix).ok_or_else(|| nonsense("a key that was not asked for"))?;
            page.versions.push(ListedVersion {
                key: key.to_owned(),
                version_id: child(node, "VersionId").unwrap_or("null").to_owned(),
                is_delete_marker,
                size_bytes: child(node, "Size").and_then(|size| size.parse().ok()).unwrap_or_default(),
                entity_tag: child(node, "ETag").unwrap_or_default().to_owned(),
                modified_at: child(node, "LastModified").and_then(|text| text.parse().ok()),
            });
        }
        if child(root, "IsTruncated") == Some("true") {
            let key = child(root, "NextKeyMarker").ok_or_else(|| nonsense("a listing that ends nowhere"))?;
            page.next = Some((plain(key), child(root, "NextVersionIdMarker").unwrap_or_default().to_owned()));
        }
        Ok(page)
    }
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text()
}

/// What is known of one key: the object that a vault put there, and what came after it.
#[derive(Debug)]
pub(super) struct KeyVersions {
    /// The oldest version that is no delete marker.
    pub(super) original: Option<ListedVersion>,
    /// Everything else.
    pub(super) others: Vec<ListedVersion>,
}

impl KeyVersions {
    /// Sorts the versions of one key, as they were listed.
    ///
    /// A store lists the versions of a key in the order in which they were stored, the newest first. Their dates say
    /// when a write began, which is another order when several are under way, so the dates are not looked at.
    pub(super) fn new(mut versions: Vec<ListedVersion>) -> Self {
        versions.reverse();
        let original = versions.iter().position(|version| !version.is_delete_marker);
        let original = original.map(|at| versions.remove(at));
        Self { original, others: versions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>b</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <NextKeyMarker>p/keys%2F0</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
  <DeleteMarker><Key>p/keys%2F0</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest>
    <LastModified>2026-04-25T14:00:11.000Z</LastModified></DeleteMarker>
  <Version><Key>p/keys%2F0</Key><VersionId>v2</VersionId><Size>9</Size><ETag>"b"</ETag>
    <LastModified>2026-04-25T14:00:10.000Z</LastModified></Version>
  <Version><Key>p/keys%2F0</Key><VersionId>v1</VersionId><Size>7</Size><ETag>"a"</ETag>
    <LastModified>2026-04-25T14:00:10.000Z</LastModified></Version>
</ListVersionsResult>"#;

    #[test]
    fn the_oldest_version_is_the_object_and_the_rest_is_foreign() {
        let page = VersionPage::parse(PAGE.as_bytes(), "p/").unwrap();
        assert_eq!(page.next, Some(("p/keys/0".to_owned(), "v1".to_owned())));
        let versions = KeyVersions::new(page.versions);
        let original = versions.original.unwrap();
        assert_eq!((original.version_id.as_str(), original.size_bytes), ("v1", 7));
        assert_eq!(original.key, "keys/0");
        assert_eq!(versions.others.iter().filter(|version| version.is_delete_marker).count(), 1);
        assert_eq!(versions.others.len(), 2);
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa">]><ListVersionsResult>&a;</ListVersionsResult>"#;
        for text in ["", "not xml", "<Error/>", "<ListVersionsResult><Version/></ListVersionsResult>", bomb] {
            assert!(VersionPage::parse(text.as_bytes(), "").is_err(), "{text}");
        }
        assert!(VersionPage::parse(PAGE.as_bytes(), "other/").is_err());
        let endless = "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>";
        assert!(VersionPage::parse(endless.as_bytes(), "").is_err());
    }
}
