//! How Google says no.

use connect_http::{
    RefusalKind, Vendor, Verdict,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;

/// Judges the answers of all Google APIs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Google;

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    error: Fault,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
    status: String,
    errors: Vec<Detail>,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
}

impl Fault {
    /// Returns the most exact word for what is wrong.
    fn reason(&self) -> &str {
        let of = |details: &'_ [Detail]| details.iter().position(|detail| !detail.reason.is_empty());
        // `details` carries the newer, finer reasons, such as EXPIRED_SYNC_TOKEN.
        match (of(&self.details), of(&self.errors)) {
            (Some(index), _) => &self.details[index].reason,
            (None, Some(index)) => &self.errors[index].reason,
            (None, None) => &self.status,
        }
    }
}

impl Vendor for Google {
    fn verdict(&self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Verdict {
        let fault = serde_json::from_slice::<Document>(body).unwrap_or_default().error;
        let reason = match fault.reason() {
            "" => status.canonical_reason().unwrap_or("unknown").to_owned(),
            reason => reason.to_owned(),
        };
        let message = fault.message;
        match status.as_u16() {
            429 => Verdict::Throttled { after: None, pool: None, reason },
            403 if is_rate(&reason) => Verdict::Throttled { after: None, pool: None, reason },
            401 => Verdict::Unauthorized { reason, message },
            408 | 500..=599 => Verdict::Transient { undone: false, reason },
            code => Verdict::Refused { kind: kind(code, &reason), reason, message },
        }
    }
}

/// Reasons that come with 403 and mean 429.
fn is_rate(reason: &str) -> bool {
    ["userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"].contains(&reason)
}

fn kind(code: u16, reason: &str) -> RefusalKind {
    match (code, reason) {
        (_, "EXPIRED_SYNC_TOKEN" | "fullSyncRequired" | "updatedMinTooLongAgo") | (410, _) => {
            RefusalKind::Expired
        }
        (404, _) => RefusalKind::NotFound,
        (_, "exportSizeLimitExceeded") | (413, _) => RefusalKind::TooLarge,
        (_, "dailyLimitExceeded" | "storageQuotaExceeded") => RefusalKind::Exhausted,
        (_, "fileNotDownloadable" | "cannotDownloadFile" | "fileNotExportable") => RefusalKind::Unsupported,
        (403, _) => RefusalKind::Denied,
        (409 | 412, _) => RefusalKind::Conflict,
        (400, _) => RefusalKind::Malformed,
        _ => RefusalKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(code: u16, body: &serde_json::Value) -> Verdict {
        Google.verdict(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.to_string().as_bytes())
    }

    fn refused(code: u16, reason: &str) -> RefusalKind {
        let body = json!({ "error": { "code": code, "message": "m", "errors": [{ "reason": reason }], "status": "X" } });
        match verdict(code, &body) {
            Verdict::Refused { kind, reason: told, message } => {
                assert_eq!((told.as_str(), message.as_str()), (reason, "m"));
                kind
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rate_is_told_from_a_missing_right() {
        for (code, reason) in [(403, "userRateLimitExceeded"), (403, "rateLimitExceeded"), (429, "anything")]
        {
            let body = json!({ "error": { "errors": [{ "reason": reason }] } });
            assert!(matches!(verdict(code, &body), Verdict::Throttled { .. }), "{reason}");
        }
        assert_eq!(refused(403, "insufficientPermissions"), RefusalKind::Denied);
        assert_eq!(refused(403, "dailyLimitExceeded"), RefusalKind::Exhausted);
    }

    #[test]
    fn a_lost_feed_is_told_from_a_missing_thing() {
        assert_eq!(refused(404, "notFound"), RefusalKind::NotFound);
        assert_eq!(refused(410, "fullSyncRequired"), RefusalKind::Expired);
        let expired = json!({ "error": { "message": "m", "status": "INVALID_ARGUMENT",
            "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "EXPIRED_SYNC_TOKEN" }] } });
        assert!(matches!(verdict(400, &expired), Verdict::Refused { kind: RefusalKind::Expired, .. }));
        assert_eq!(refused(403, "cannotDownloadFile"), RefusalKind::Unsupported);
    }

    #[test]
    fn an_answer_that_is_no_document_is_judged_by_its_status() {
        let judge = |code: u16, body: &[u8]| {
            Google.verdict(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body)
        };
        assert!(matches!(judge(503, b"<html>"), Verdict::Transient { .. }));
        assert!(matches!(judge(401, b""), Verdict::Unauthorized { .. }));
        assert!(matches!(judge(400, b"\xff"), Verdict::Refused { kind: RefusalKind::Malformed, .. }));
        assert!(matches!(judge(400, b"{\"error\":\"invalid\"}"), Verdict::Refused { .. }));
    }
}
