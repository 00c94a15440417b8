//! Shared drives of a drill's own.

use connect::{StoredHistory, plan::WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, WriteApi, method};
use serde_json::{Value, json};

use super::Sandbox;
use crate::{
    drive::drive_name,
    step::{Answer, answer, failed, unread},
};

/// What a member is in a shared drive.
const ROLES: [&str; 5] = ["organizer", "fileOrganizer", "writer", "commenter", "reader"];

/// Makes a shared drive in the sandbox for one of the protected domain, and lets those of its members in whom an account of
/// the sandbox stands for, with their roles. Returns its id.
///
/// The name tells the drill, and what the drive was called. Google lets somebody without an account in only by writing them
/// a mail, so nobody else is let in.
pub fn make_drive(
    api: &WriteApi,
    past: &dyn StoredHistory,
    sandbox: &Sandbox,
    drive: &str,
    members: &[Value],
    at: u64,
) -> Result<String, WriteError> {
    let name = drive_name(past, drive, at).map_err(|error| unread("the name of a shared drive", error))?;
    let name = sandbox.mark.place(name.as_deref().unwrap_or(drive));
    // The same request makes the drive once.
    let change = Change::post(&method::SANDBOX_DRIVES_CREATE, "drive/v3/drives", json!({ "name": name }))
        .query("requestId", sandbox.mark.copies_of(drive));
    let made: Result<Value, ApiError> = api.send(&sandbox.email, &change);
    let made = made.map_err(|error| failed("make a shared drive", error))?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    for member in members {
        let Some(account) = may_be_member(sandbox, member) else { continue };
        let body = json!({ "type": "user", "role": member["role"], "emailAddress": account });
        let change = Change::post(
            &method::RESTORE_PERMISSIONS_CREATE,
            format!("drive/v3/files/{}/permissions", escape(&id)),
            body,
        )
        .query("supportsAllDrives", "true")
        .query("sendNotificationEmail", "false");
        let sent: Result<Value, ApiError> = api.send(&sandbox.email, &change);
        // One that is refused is not there, and is named where members are compared.
        match answer("let a member into a shared drive", sent)? {
            Answer::Done(_) | Answer::Taken | Answer::Refused(_) | Answer::Gone | Answer::Unknown => {}
        }
    }
    Ok(id)
}

/// Returns the account of the sandbox that stands for a member of a shared drive; nothing where none can: whoever makes the
/// drive manages it, whatever the member may do.
pub fn may_be_member<'s>(sandbox: &'s Sandbox, member: &Value) -> Option<&'s str> {
    let is_person = member["type"] == "user" && member["deleted"] != true;
    let has_role = member["role"].as_str().is_some_and(|role| ROLES.contains(&role));
    sandbox
        .account(member["emailAddress"].as_str()?)
        .filter(|account| is_person && has_role && *account != sandbox.email)
}
