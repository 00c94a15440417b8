//! Drive's refusals, and the looks of its answers.

use serde_json::{Value, json};

use crate::{
    call::{Call, Reply},
    fields::Mask,
    refusal::Refusal,
};

fn refusal(code: u16, reason: &'static str, message: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::new(code, reason, "", message);
    refusal.status = None;
    refusal
}

/// Parameters that refusals name.
static PARAMETERS: [[&str; 2]; 20] = [
    ["allowItemDeletion", "parameter"],
    ["commentId", "parameter"],
    ["corpora", "parameter"],
    ["driveId", "parameter"],
    ["expirationTime", "parameter"],
    ["fields", "parameter"],
    ["fileId", "parameter"],
    ["id", "parameter"],
    ["includeItemsFromAllDrives", "parameter"],
    ["mimeType", "parameter"],
    ["name", "parameter"],
    ["orderBy", "parameter"],
    ["pageToken", "parameter"],
    ["parents", "parameter"],
    ["permissionId", "parameter"],
    ["q", "parameter"],
    ["replyId", "parameter"],
    ["requestId", "parameter"],
    ["revisionId", "parameter"],
    ["startModifiedTime", "parameter"],
];

fn parameter(name: &str) -> Option<&'static [&'static str; 2]> {
    PARAMETERS.iter().find(|[own, _]| *own == name)
}

fn of_parameter(mut refusal: Refusal, name: &'static str) -> Refusal {
    refusal.location = parameter(name);
    refusal
}

/// 404: there is no such file, or the caller may not know of it.
pub(super) fn no_file(id: &str) -> Refusal {
    of_parameter(refusal(404, "notFound", format!("File not found: {id}.")), "fileId")
}

/// 404 for what belongs to a file.
pub(super) fn none(what: &'static str, parameter: &'static str, id: &str) -> Refusal {
    of_parameter(refusal(404, "notFound", format!("{what} not found: {id}.")), parameter)
}

/// 403: the caller sees the file and may not do this with it.
pub(super) fn insufficient() -> Refusal {
    refusal(
        403,
        "insufficientFilePermissions",
        "The user does not have sufficient permissions for this file.",
    )
}

/// 403 with a reason of its own.
pub(super) fn forbidden(reason: &'static str, message: impl Into<String>) -> Refusal {
    refusal(403, reason, message)
}

/// 400 for a parameter.
pub(super) fn bad(name: &'static str, message: impl Into<String>) -> Refusal {
    of_parameter(refusal(400, "invalid", message), name)
}

/// 400 `badRequest`.
pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
    refusal(400, "badRequest", message)
}

/// 400: a parameter is missing.
pub(super) fn required(name: &'static str) -> Refusal {
    let message = format!("The '{name}' parameter is required for this method.");
    of_parameter(refusal(400, "required", message), name)
}

/// 409.
pub(super) fn conflict(reason: &'static str, message: impl Into<String>) -> Refusal {
    refusal(409, reason, message)
}

/// 416: the range is not there.
pub(super) fn outside() -> Refusal {
    refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
}

/// Returns the mask of a call, or the usual one of the method.
pub(super) fn mask(call: &Call, usual: &str) -> Result<Mask, Refusal> {
    Mask::parse(call.query("fields").unwrap_or(usual))
}

/// Returns the mask of a call of a method that has no usual one.
pub(super) fn required_mask(call: &Call) -> Result<Mask, Refusal> {
    call.query("fields").map_or_else(|| Err(required("fields")), Mask::parse)
}

/// Answers with as much of a resource as the mask takes.
pub(super) fn masked(mask: &Mask, value: Value) -> Reply {
    Reply::json(mask.apply(value))
}

/// Makes a list's answer.
pub(super) fn list(kind: &str, name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut body = json!({ "kind": kind });
    body[name] = Value::Array(items);
    if let Some(next) = next {
        body["nextPageToken"] = next.into();
    }
    body
}
