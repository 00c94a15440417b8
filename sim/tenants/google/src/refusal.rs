//! Refusals, in the shape that Google's services give them.

use serde_json::{Value, json};

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status, repeated as `code`.
    pub(crate) code: u16,
    /// The text for people.
    pub(crate) message: String,
    /// What a program looks at: `notFound`, `userRateLimitExceeded`.
    pub(crate) reason: &'static str,
    /// Whose reason it is: `global`, `usageLimits`.
    pub(crate) domain: &'static str,
    /// The name of the canonical status; older services leave it out.
    pub(crate) status: Option<&'static str>,
    /// Where in the request the cause is: name and kind of place.
    pub(crate) location: Option<&'static [&'static str; 2]>,
    /// A list of typed details, as `google.rpc` has them.
    pub(crate) details: Option<Box<Value>>,
    /// Seconds for a `Retry-After` header.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// Makes a refusal of any kind, in the domain `global`.
    pub(crate) fn new(
        code: u16,
        reason: &'static str,
        status: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            reason,
            domain: "global",
            status: Some(status),
            location: None,
            details: None,
            retry_after: None,
        }
    }

    /// 404 as Gmail and People say it.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "notFound", "NOT_FOUND", "Requested entity was not found.")
    }

    /// 404 as Directory says it; `what` is the name of the parameter: `userKey`.
    pub(crate) fn no_resource(what: &str) -> Self {
        let mut refusal = Self::new(404, "notFound", "NOT_FOUND", format!("Resource Not Found: {what}"));
        refusal.status = None;
        refusal
    }

    /// 404 for a path that no service has.
    pub(crate) fn no_route() -> Self {
        Self::new(404, "notFound", "NOT_FOUND", "Not Found")
    }

    /// 400 `invalidArgument`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalidArgument", "INVALID_ARGUMENT", message)
    }

    /// 400 `invalid`, as Directory and Calendar say it.
    pub(crate) fn invalid_value(message: impl Into<String>) -> Self {
        let mut refusal = Self::new(400, "invalid", "INVALID_ARGUMENT", message);
        refusal.status = None;
        refusal
    }

    /// 400 for a page token that is foreign, expired or broken.
    pub(crate) fn page_token() -> Self {
        let mut refusal = Self::new(400, "invalid", "INVALID_ARGUMENT", "Invalid value for: pageToken");
        refusal.location = Some(&["pageToken", "parameter"]);
        refusal
    }

    /// 400 `failedPrecondition`.
    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self::new(400, "failedPrecondition", "FAILED_PRECONDITION", message)
    }

    /// 401: no token, or one that is unknown, expired or revoked.
    pub(crate) fn credentials() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                       other valid authentication credential. See \
                       https://developers.google.com/identity/sign-in/web/devconsole-project.";
        let mut refusal = Self::new(401, "authError", "UNAUTHENTICATED", message);
        refusal.location = Some(&["Authorization", "header"]);
        refusal
    }

    /// 403: the token has none of the scopes that the method takes.
    pub(crate) fn scopes(service: &str, method: &str) -> Self {
        let mut refusal = Self::new(
            403,
            "insufficientPermissions",
            "PERMISSION_DENIED",
            "Request had insufficient authentication scopes.",
        );
        refusal.details = Some(Box::new(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": { "service": format!("{service}.googleapis.com"), "method": method },
        }])));
        refusal
    }

    /// 403: the caller may not do this, whatever its scopes are.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "forbidden", "PERMISSION_DENIED", message)
    }

    /// 409.
    pub(crate) fn duplicate(message: impl Into<String>) -> Self {
        Self::new(409, "duplicate", "ALREADY_EXISTS", message)
    }

    /// 410, with the service's own reason.
    pub(crate) fn gone(reason: &'static str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(410, reason, "FAILED_PRECONDITION", message);
        refusal.status = None;
        refusal
    }

    /// 403 over the user's quota.
    pub(crate) fn user_rate() -> Self {
        Self::rate(403, "userRateLimitExceeded", "PERMISSION_DENIED", "User Rate Limit Exceeded")
    }

    /// 403 over the project's quota.
    pub(crate) fn project_rate() -> Self {
        Self::rate(403, "rateLimitExceeded", "PERMISSION_DENIED", "Rate Limit Exceeded")
    }

    /// 429.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::rate(429, "rateLimitExceeded", "RESOURCE_EXHAUSTED", message)
    }

    fn rate(code: u16, reason: &'static str, status: &'static str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(code, reason, status, message);
        refusal.domain = "usageLimits";
        refusal
    }

    /// 5xx.
    pub(crate) fn backend(code: u16) -> Self {
        let (reason, status, message) = match code {
            502 => ("backendError", "UNAVAILABLE", "Bad Gateway"),
            503 => ("backendError", "UNAVAILABLE", "The service is currently unavailable."),
            504 => ("backendError", "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
            _ => ("backendError", "INTERNAL", "Internal error encountered."),
        };
        Self::new(code, reason, status, message)
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> Value {
        let mut one = json!({ "message": self.message, "domain": self.domain, "reason": self.reason });
        if let Some([location, kind]) = self.location {
            one["location"] = (*location).into();
            one["locationType"] = (*kind).into();
        }
        let mut error = json!({ "code": self.code, "message": self.message, "errors": [one] });
        if let Some(status) = self.status {
            error["status"] = status.into();
        }
        if let Some(details) = &self.details {
            error["details"] = Value::clone(details);
        }
        json!({ "error": error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_shape_that_clients_read() {
        assert_eq!(
            Refusal::not_found().body(),
            json!({ "error": {
                "code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND",
                "errors": [{ "message": "Requested entity was not found.", "domain": "global", "reason": "notFound" }],
            }})
        );
        assert_eq!(Refusal::user_rate().body()["error"]["errors"][0]["domain"], "usageLimits");
        assert_eq!(Refusal::no_resource("userKey").body()["error"]["status"], Value::Null);
    }
}
