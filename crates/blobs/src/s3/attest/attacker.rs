use model::Moment;
use ureq::http::Method;

use super::super::{
    client::{document, retention_document, text},
    connection::{Answer, Call, Connection, S3Error, error_text},
    encoding,
};

/// A client with every verb that destroys. It exists for attestations, is private to them, and is given keys below
/// their folder only.
pub(super) struct Attacker {
    connection: Connection,
}

/// Lifts locks of the weaker kind, where the credential may.
const BYPASS: (&str, &str) = ("x-amz-bypass-governance-retention", "true");

/// A PUT that breaks a rule on purpose.
pub(super) struct OddPut<'a> {
    pub(super) key: &'a str,
    pub(super) content: &'a [u8],
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Attacker {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Writes a version with just these headers.
    pub(super) fn put(&self, put: OddPut<'_>) -> Result<Option<String>, S3Error> {
        let call = Call { headers: put.headers, body: put.content, ..document(Method::PUT, Some(put.key)) };
        Ok(version_id(&self.connection.send(&call)?))
    }

    /// Deletes a version for good.
    pub(super) fn delete_version(&self, key: &str, version_id: &str, bypass: bool) -> Result<(), S3Error> {
        let call = Call {
            query: vec![("versionId", version_id.to_owned())],
            headers: bypass_headers(bypass),
            ..document(Method::DELETE, Some(key))
        };
        self.connection.send(&call).map(drop)
    }

    /// Deletes a version through the call that takes many.
    pub(super) fn delete_batch(&self, key: &str, version_id: &str) -> Result<(), S3Error> {
        let body = format!(
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>{}{key}</Key>\
             <VersionId>{version_id}</VersionId></Object></Delete>",
            self.connection.prefix()
        );
        let mut headers = bypass_headers(true);
        headers.push(checksum(body.as_bytes()));
        let query = vec![("delete", String::new())];
        let call = Call { query, headers, body: body.as_bytes(), ..document(Method::POST, None) };
        let answer = self.connection.send(&call)?;
        // This call succeeds as a whole; what was refused is in its answer.
        let (code, message) = error_text(&answer.body);
        if code.is_empty() { Ok(()) } else { Err(S3Error::Answer { status: 403, code, message, date: None }) }
    }

    /// Hides a key behind a delete marker.
    pub(super) fn hide(&self, key: &str) -> Result<(), S3Error> {
        self.connection.send(&document(Method::DELETE, Some(key))).map(drop)
    }

    /// Sets a version's lock, whatever it was.
    pub(super) fn set_lock(
        &self,
        key: &str,
        version_id: &str,
        mode: &str,
        until: Moment,
        bypass: bool,
    ) -> Result<(), S3Error> {
        self.set_retention(key, version_id, &retention_document(mode, until), bypass)
    }

    /// Removes a version's lock.
    pub(super) fn clear_lock(&self, key: &str, version_id: &str) -> Result<(), S3Error> {
        let body = "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></Retention>";
        self.set_retention(key, version_id, body, true)
    }

    fn set_retention(&self, key: &str, version_id: &str, body: &str, bypass: bool) -> Result<(), S3Error> {
        let mut headers = bypass_headers(bypass);
        headers.push(checksum(body.as_bytes()));
        let query = vec![("retention", String::new()), ("versionId", version_id.to_owned())];
        let call = Call { query, headers, body: body.as_bytes(), ..document(Method::PUT, Some(key)) };
        self.connection.send(&call).map(drop)
    }

    /// Turns the bucket's versions on or off.
    pub(super) fn set_versioning(&self, status: &str) -> Result<(), S3Error> {
        let body = format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status>\
             </VersioningConfiguration>"
        );
        self.put_bucket_document("versioning", &body)
    }

    /// Writes the bucket's lock rule.
    pub(super) fn set_lock_rule(&self, body: &str) -> Result<(), S3Error> {
        self.put_bucket_document("object-lock", body)
    }

    fn put_bucket_document(&self, which: &'static str, body: &str) -> Result<(), S3Error> {
        let call = Call {
            query: vec![(which, String::new())],
            headers: vec![checksum(body.as_bytes())],
            body: body.as_bytes(),
            ..document(Method::PUT, None)
        };
        self.connection.send(&call).map(drop)
    }

    /// Writes a locked object in the way of large ones: begin, one part, end.
    pub(super) fn put_in_parts(
        &self,
        key: &str,
        content: &[u8],
        until: Moment,
    ) -> Result<Option<String>, S3Error> {
        let lock = vec![
            ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
            ("x-amz-object-lock-retain-until-date", encoding::lock_date(until)),
        ];
        let begin = Call {
            query: vec![("uploads", String::new())],
            headers: lock,
            ..document(Method::POST, Some(key))
        };
        let answer = self.connection.send(&begin)?;
        let upload = element(&answer, "UploadId")?;
        let part = Call {
            query: vec![("partNumber", "1".to_owned()), ("uploadId", upload.clone())],
            body: content,
            ..document(Method::PUT, Some(key))
        };
        let answer = self.connection.send(&part)?;
        let tag = text(&answer.headers, "etag").unwrap_or_default();
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber>\
             <ETag>{}</ETag></Part></CompleteMultipartUpload>",
            tag.replace('"', "&quot;")
        );
        let query = vec![("uploadId", upload)];
        let end = Call { query, body: body.as_bytes(), ..document(Method::POST, Some(key)) };
        let answer = self.connection.send(&end)?;
        // This call may say "success" first and fail afterwards.
        match error_text(&answer.body) {
            (code, _) if code.is_empty() => Ok(version_id(&answer)),
            (code, message) => Err(S3Error::Answer { status: 400, code, message, date: None }),
        }
    }
}

pub(super) fn checksum(body: &[u8]) -> (&'static str, String) {
    ("x-amz-checksum-sha256", encoding::base64(&encoding::sha256(body)))
}

fn bypass_headers(bypass: bool) -> Vec<(&'static str, String)> {
    if bypass { vec![(BYPASS.0, BYPASS.1.to_owned())] } else { Vec::new() }
}

fn version_id(answer: &Answer) -> Option<String> {
    text(&answer.headers, "x-amz-version-id").map(str::to_owned)
}

fn element(answer: &Answer, name: &'static str) -> Result<String, S3Error> {
    let nonsense = S3Error::Nonsense { what: "a document without what it is about" };
    let Ok(text) = std::str::from_utf8(&answer.body) else { return Err(nonsense) };
    let Ok(document) = roxmltree::Document::parse(text) else { return Err(nonsense) };
    let found = document.descendants().find(|node| node.tag_name().name() == name);
    found.and_then(|node| node.text()).map(str::to_owned).ok_or(nonsense)
}
