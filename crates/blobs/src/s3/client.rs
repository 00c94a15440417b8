//! The verbs that a store has: a closed list, in which nothing deletes, shortens or configures.

use std::collections::HashSet;

use model::Moment;
use ureq::http::{HeaderMap, Method};

use super::{
    connection::{Answer, Call, Connection, S3Error, date},
    encoding::{self, Sha256},
    listing::{KeyVersions, ListedVersion, VersionPage},
};

/// A bucket with the verbs of a store that only grows.
pub(super) struct Client {
    connection: Connection,
}

/// How strongly a version is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody can remove or shorten the lock.
    Compliance,
    /// Somebody with a permission can.
    Governance,
}

/// What a store tells about one version of an object.
#[derive(Debug, Clone)]
pub(super) struct VersionHead {
    pub(super) size_bytes: u64,
    pub(super) mode: Option<LockMode>,
    pub(super) locked_until: Option<Moment>,
    pub(super) sha256: Option<Sha256>,
    /// What the store's clock said.
    pub(super) date: Option<Moment>,
}

/// Part of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Documents of the store: errors, listings, settings.
pub(super) const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// Objects are 64 MiB at most; what is planted may be longer and is not read to its end.
const OBJECT_BYTES_MAX: u64 = 256 << 20;

impl Client {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes a new version with its lock and its checksum, only if the name is free. Sends it once: whether an
    /// unanswered call took effect is the caller's question.
    pub(super) fn put_locked(
        &self,
        key: &str,
        content: &[u8],
        digest: &Sha256,
        until: Moment,
    ) -> Result<Option<String>, S3Error> {
        let call = Call {
            headers: vec![
                ("if-none-match", "*".to_owned()),
                ("x-amz-checksum-sha256", encoding::base64(digest)),
                ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
                ("x-amz-object-lock-retain-until-date", encoding::lock_date(until)),
            ],
            body: content,
            ..document(Method::PUT, Some(key))
        };
        let answer = self.connection.send_once(&call, digest)?;
        Ok(text(&answer.headers, "x-amz-version-id").map(str::to_owned))
    }

    /// Returns size, lock and checksum of a version.
    pub(super) fn head_version(&self, key: &str, version_id: &str) -> Result<VersionHead, S3Error> {
        let call = Call {
            query: vec![("versionId", version_id.to_owned())],
            headers: vec![("x-amz-checksum-mode", "ENABLED".to_owned())],
            ..document(Method::HEAD, Some(key))
        };
        version_head(&self.connection.send(&call)?)
    }

    /// Reads a version, whole or in part; a part that lies behind the end is empty.
    pub(super) fn get_version(
        &self,
        key: &str,
        version_id: &str,
        range: Option<ByteRange>,
    ) -> Result<Vec<u8>, S3Error> {
        let mut call = Call {
            query: vec![("versionId", version_id.to_owned())],
            answer_bytes_max: OBJECT_BYTES_MAX,
            ..document(Method::GET, Some(key))
        };
        if let Some(ByteRange { offset, length }) = range {
            if length == 0 {
                return Ok(Vec::new());
            }
            let last = offset.saturating_add(length - 1).min(i64::MAX as u64);
            call.headers.push(("range", format!("bytes={offset}-{last}")));
        }
        match (self.connection.send(&call), range) {
            (Err(error), Some(_)) if error.status() == Some(416) => Ok(Vec::new()),
            (Err(error), _) => Err(error),
            (Ok(answer), None) => Ok(answer.body),
            (Ok(answer), Some(range)) => cut(answer, range),
        }
    }

    /// Moves the lock of a version to a later date.
    pub(super) fn extend_retention(&self, key: &str, version_id: &str, until: Moment) -> Result<(), S3Error> {
        let body = retention_document("COMPLIANCE", until);
        let call = Call {
            query: vec![("retention", String::new()), ("versionId", version_id.to_owned())],
            headers: vec![("x-amz-checksum-sha256", encoding::base64(&encoding::sha256(body.as_bytes())))],
            body: body.as_bytes(),
            ..document(Method::PUT, Some(key))
        };
        self.connection.send(&call).map(drop)
    }

    /// Returns all versions and delete markers whose names begin with `prefix`, the newest of each key first.
    pub(super) fn versions(&self, prefix: &str) -> Result<Vec<ListedVersion>, S3Error> {
        self.versions_while(prefix, |_| true)
    }

    /// Returns what is under one key.
    pub(super) fn versions_of(&self, key: &str) -> Result<KeyVersions, S3Error> {
        // Keys that merely begin with this one come after it; their pages are not fetched.
        let mut versions = self.versions_while(key, |version| version.key == key)?;
        versions.retain(|version| version.key == key);
        Ok(KeyVersions::new(versions))
    }

    /// Fetches pages as long as the last version of each is wanted.
    fn versions_while(
        &self,
        prefix: &str,
        wanted: impl Fn(&ListedVersion) -> bool,
    ) -> Result<Vec<ListedVersion>, S3Error> {
        let (mut versions, mut seen, mut after) = (Vec::new(), HashSet::new(), None);
        loop {
            let page = self.page_of_versions(prefix, after.as_ref())?;
            versions.extend(page.versions);
            let Some(next) = page.next else { return Ok(versions) };
            if !versions.last().is_none_or(&wanted) {
                return Ok(versions);
            }
            // A store that sends the same page for ever must not hold a vault up for ever.
            if !seen.insert(next.clone()) {
                return Err(S3Error::Nonsense { what: "a listing that goes back" });
            }
            after = Some(next);
        }
    }

    fn page_of_versions(
        &self,
        prefix: &str,
        after: Option<&(String, String)>,
    ) -> Result<VersionPage, S3Error> {
        let own = self.connection.prefix();
        let mut query = vec![
            ("versions", String::new()),
            ("encoding-type", "url".to_owned()),
            ("prefix", format!("{own}{prefix}")),
        ];
        if let Some((key, version_id)) = after {
            query.push(("key-marker", key.clone()));
            if !version_id.is_empty() {
                query.push(("version-id-marker", version_id.clone()));
            }
        }
        let answer = self.connection.send(&Call { query, ..document(Method::GET, None) })?;
        VersionPage::parse(&answer.body, own)
    }

    /// Returns a document that describes the bucket: `object-lock`, `versioning`, `lifecycle`.
    pub(super) fn bucket_document(&self, which: &'static str) -> Result<String, S3Error> {
        let call = Call { query: vec![(which, String::new())], ..document(Method::GET, None) };
        let answer = self.connection.send(&call)?;
        String::from_utf8(answer.body).map_err(|_| S3Error::Nonsense { what: "a document that is not UTF-8" })
    }

    /// Asks what time it is there. A refusal carries the time as well.
    pub(super) fn time(&self) -> Result<Moment, S3Error> {
        let no_date = S3Error::Nonsense { what: "an answer without a date" };
        match self.connection.send(&document(Method::HEAD, None)) {
            Ok(answer) => date(&answer.headers).ok_or(no_date),
            Err(S3Error::Answer { date: Some(date), .. }) => Ok(date),
            Err(error) => Err(error),
        }
    }
}

/// Makes a call with neither query nor headers nor body, whose answer is a document.
pub(super) const fn document(method: Method, key: Option<&str>) -> Call<'_> {
    Call {
        method,
        key,
        query: Vec::new(),
        headers: Vec::new(),
        body: &[],
        answer_bytes_max: DOCUMENT_BYTES_MAX,
    }
}

/// Writes the document that sets a lock.
pub(super) fn retention_document(mode: &str, until: Moment) -> String {
    format!(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{mode}</Mode>\
         <RetainUntilDate>{}</RetainUntilDate></Retention>",
        encoding::lock_date(until)
    )
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn version_head(answer: &Answer) -> Result<VersionHead, S3Error> {
    let headers = &answer.headers;
    let size = text(headers, "content-length").and_then(|size| size.parse().ok());
    let mode = match text(headers, "x-amz-object-lock-mode") {
        Some("COMPLIANCE") => Some(LockMode::Compliance),
        Some("GOVERNANCE") => Some(LockMode::Governance),
        _ => None,
    };
    let until = text(headers, "x-amz-object-lock-retain-until-date");
    Ok(VersionHead {
        size_bytes: size.ok_or(S3Error::Nonsense { what: "an object without a size" })?,
        mode,
        locked_until: until.and_then(|text| text.parse().ok()),
        sha256: text(headers, "x-amz-checksum-sha256").and_then(encoding::digest_from_base64),
        date: date(headers),
    })
}

/// Checks that a part is the part that was asked for.
fn cut(answer: Answer, range: ByteRange) -> Result<Vec<u8>, S3Error> {
    let told = text(&answer.headers, "content-range").and_then(|text| {
        let (span, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, size.parse::<u64>().ok()?))
    });
    let Some((first, last, size)) = told else {
        // A store may ignore the range and send everything.
        let start = usize::try_from(range.offset).unwrap_or(usize::MAX).min(answer.body.len());
        let end = range.offset.saturating_add(range.length).min(answer.body.len() as u64) as usize;
        return Ok(answer.body[start..end.max(start)].to_vec());
    };
    let end = range.offset.saturating_add(range.length).min(size);
    if first != range.offset || last.checked_add(1) != Some(end) || answer.body.len() as u64 != end - first {
        return Err(S3Error::Nonsense { what: "another part than was asked for" });
    }
    Ok(answer.body)
}
