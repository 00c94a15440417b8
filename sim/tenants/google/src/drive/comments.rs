//! Comments on files, with their replies.

use std::sync::Arc;

use model::Moment;
use serde_json::{Map, Value, json};

use super::{
    file::{File, Id},
    files,
    office::escaped,
    permission::Role,
    reply::{self, bad, bad_request, insufficient, masked, none, required_mask},
    resource,
};
use crate::{
    call::{Answer, Call, Reply as HttpReply},
    page,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
};

/// What somebody said about a file.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: String,
    pub(crate) author: Id,
    pub(crate) created: Moment,
    pub(crate) modified: Moment,
    pub(crate) content: String,
    pub(crate) deleted: bool,
    pub(crate) resolved: bool,
    pub(crate) anchor: Option<String>,
    /// The words that are meant: media type and text.
    pub(crate) quoted: Option<(String, String)>,
    pub(crate) replies: Vec<Reply>,
}

/// An answer to a comment.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) author: Id,
    pub(crate) created: Moment,
    pub(crate) modified: Moment,
    pub(crate) content: String,
    pub(crate) deleted: bool,
    /// `resolve` or `reopen`.
    pub(crate) action: Option<String>,
}

fn common(
    tenant: &Tenant,
    call: &Call,
    kind: &str,
    id: &str,
    author: &str,
    times: (Moment, Moment),
) -> Value {
    let mut author = resource::user(tenant, call, author);
    if let Some(author) = author.as_object_mut() {
        // Authors of comments are not told by their addresses.
        author.remove("emailAddress");
    }
    json!({
        "kind": kind, "id": id, "author": author,
        "createdTime": stamp::rfc3339(times.0), "modifiedTime": stamp::rfc3339(times.1),
    })
}

fn say(value: &mut Value, deleted: bool, content: &str) {
    value["deleted"] = deleted.into();
    if !deleted {
        value["content"] = content.into();
        value["htmlContent"] = escaped(content).into();
    }
}

fn shown(tenant: &Tenant, call: &Call, comment: &Comment, deleted_too: bool) -> Value {
    let times = (comment.created, comment.modified);
    let mut value = common(tenant, call, "drive#comment", &comment.id, &comment.author, times);
    say(&mut value, comment.deleted, &comment.content);
    value["resolved"] = comment.resolved.into();
    if let Some(anchor) = &comment.anchor {
        value["anchor"] = anchor.as_str().into();
    }
    if let Some((media_type, text)) = &comment.quoted {
        value["quotedFileContent"] = json!({ "mimeType": media_type, "value": text });
    }
    let replies = comment.replies.iter().filter(|reply| deleted_too || !reply.deleted);
    value["replies"] = replies.map(|reply| reply_shown(tenant, call, reply)).collect();
    value
}

fn reply_shown(tenant: &Tenant, call: &Call, reply: &Reply) -> Value {
    let mut value =
        common(tenant, call, "drive#reply", &reply.id, &reply.author, (reply.created, reply.modified));
    say(&mut value, reply.deleted, &reply.content);
    if let Some(action) = &reply.action {
        value["action"] = action.as_str().into();
    }
    value
}

fn comment<'a>(file: &'a File, call: &Call, deleted_too: bool) -> Result<&'a Comment, Refusal> {
    let id = call.parameter("commentId");
    let found = file.comments.iter().find(|comment| comment.id == id && (deleted_too || !comment.deleted));
    found.ok_or_else(|| none("Comment", "commentId", id))
}

/// Finds the comment of the path to be changed; `own` asks that the caller wrote it.
fn comment_mut<'a>(
    tenant: &'a mut Tenant,
    call: &Call,
    id: &Id,
    own: bool,
) -> Result<&'a mut Comment, Refusal> {
    let wanted = call.parameter("commentId");
    let file = files::get_mut(tenant, id)?;
    let found = file.comments.iter_mut().find(|comment| comment.id == wanted && !comment.deleted);
    let found = found.ok_or_else(|| none("Comment", "commentId", wanted))?;
    if own && found.author != call.caller.user { Err(insufficient()) } else { Ok(found) }
}

fn reply_mut<'a>(tenant: &'a mut Tenant, call: &Call, id: &Id) -> Result<&'a mut Reply, Refusal> {
    let wanted = call.parameter("replyId");
    let comment = comment_mut(tenant, call, id, false)?;
    let found = comment.replies.iter_mut().find(|reply| reply.id == wanted && !reply.deleted);
    let found = found.ok_or_else(|| none("Reply", "replyId", wanted))?;
    if found.author == call.caller.user { Ok(found) } else { Err(insufficient()) }
}

fn content(fields: &Map<String, Value>) -> Result<String, Refusal> {
    let text = fields.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| bad_request("The content field is required."))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let id = files::with_role(tenant, call, Role::Reader)?;
    let since = call
        .query("startModifiedTime")
        .map(|text| stamp::parse(text).ok_or_else(|| bad("startModifiedTime", "Invalid Value")));
    let since = since.transpose()?;
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("pageSize", 20, 100)?;
    let deleted_too = call.flag("includeDeleted");
    let file = files::get(tenant, &id)?;
    let mut chosen: Vec<&Comment> = file
        .comments
        .iter()
        .filter(|comment| deleted_too || !comment.deleted)
        .filter(|comment| since.is_none_or(|since| comment.modified >= since))
        .collect();
    chosen.sort_by_key(|comment| std::cmp::Reverse(comment.modified));
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let items: Vec<Value> = items.iter().map(|one| shown(tenant, call, one, deleted_too)).collect();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    Ok(masked(&mask, reply::list("drive#commentList", "comments", items, next)))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let id = files::with_role(tenant, call, Role::Reader)?;
    let deleted_too = call.flag("includeDeleted");
    let found = comment(files::get(tenant, &id)?, call, deleted_too)?;
    Ok(masked(&mask, shown(tenant, call, found, deleted_too)))
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let fields = call.object()?;
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let number = tenant.drive.tree.next_number();
    let quoted = fields.get("quotedFileContent").map(|quoted| {
        let text = |name: &str| quoted[name].as_str().unwrap_or_default().to_owned();
        (text("mimeType"), text("value"))
    });
    let made = Comment {
        id: tenant.drive.tree.ids.comment(number),
        author: Arc::clone(&call.caller.user),
        created: call.now,
        modified: call.now,
        content: content(&fields)?,
        deleted: false,
        resolved: false,
        anchor: fields.get("anchor").and_then(Value::as_str).map(str::to_owned),
        quoted,
        replies: Vec::new(),
    };
    let body = shown(tenant, call, &made, false);
    files::get_mut(tenant, &id)?.comments.push(made);
    tenant.drive_changed(&id, call.now);
    Ok(masked(&mask, body))
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let text = content(&call.object()?)?;
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let found = comment_mut(tenant, call, &id, true)?;
    (found.content, found.modified) = (text, call.now);
    let found = found.clone();
    tenant.drive_changed(&id, call.now);
    Ok(masked(&mask, shown(tenant, call, &found, false)))
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let owner = files::get(tenant, &id)?.owner == call.caller.user;
    let found = comment_mut(tenant, call, &id, !owner)?;
    (found.deleted, found.modified) = (true, call.now);
    found.content.clear();
    tenant.drive_changed(&id, call.now);
    Ok(HttpReply::empty())
}

pub(super) fn replies(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let id = files::with_role(tenant, call, Role::Reader)?;
    let deleted_too = call.flag("includeDeleted");
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("pageSize", 20, 100)?;
    let found = comment(files::get(tenant, &id)?, call, deleted_too)?;
    let chosen: Vec<&Reply> = found.replies.iter().filter(|reply| deleted_too || !reply.deleted).collect();
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let items: Vec<Value> = items.iter().map(|one| reply_shown(tenant, call, one)).collect();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    Ok(masked(&mask, reply::list("drive#replyList", "replies", items, next)))
}

pub(super) fn get_reply(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let id = files::with_role(tenant, call, Role::Reader)?;
    let deleted_too = call.flag("includeDeleted");
    let found = comment(files::get(tenant, &id)?, call, deleted_too)?;
    let wanted = call.parameter("replyId");
    let found = found.replies.iter().find(|reply| reply.id == wanted && (deleted_too || !reply.deleted));
    let found = found.ok_or_else(|| none("Reply", "replyId", wanted))?;
    Ok(masked(&mask, reply_shown(tenant, call, found)))
}

pub(super) fn create_reply(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let fields = call.object()?;
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let action = fields.get("action").and_then(Value::as_str).map(str::to_owned);
    if action.as_deref().is_some_and(|action| !["resolve", "reopen"].contains(&action)) {
        return Err(bad_request("The action must be resolve or reopen."));
    }
    // Whoever resolves need not say anything.
    let text = if action.is_some() { content(&fields).unwrap_or_default() } else { content(&fields)? };
    let number = tenant.drive.tree.next_number();
    let made = Reply {
        id: tenant.drive.tree.ids.comment(number),
        author: Arc::clone(&call.caller.user),
        created: call.now,
        modified: call.now,
        content: text,
        deleted: false,
        action,
    };
    let found = comment_mut(tenant, call, &id, false)?;
    if let Some(action) = &made.action {
        found.resolved = action == "resolve";
    }
    found.modified = call.now;
    found.replies.push(made.clone());
    tenant.drive_changed(&id, call.now);
    Ok(masked(&mask, reply_shown(tenant, call, &made)))
}

pub(super) fn update_reply(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let text = content(&call.object()?)?;
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let found = reply_mut(tenant, call, &id)?;
    (found.content, found.modified) = (text, call.now);
    let found = found.clone();
    comment_mut(tenant, call, &id, false)?.modified = call.now;
    tenant.drive_changed(&id, call.now);
    Ok(masked(&mask, reply_shown(tenant, call, &found)))
}

pub(super) fn delete_reply(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = files::with_role(tenant, call, Role::Commenter)?;
    let found = reply_mut(tenant, call, &id)?;
    (found.deleted, found.modified) = (true, call.now);
    found.content.clear();
    comment_mut(tenant, call, &id, false)?.modified = call.now;
    tenant.drive_changed(&id, call.now);
    Ok(HttpReply::empty())
}
