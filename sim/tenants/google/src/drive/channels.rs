//! Channels of notifications: accepted and remembered. Nothing is ever sent to anybody.

use std::{sync::Arc, time::Duration};

use model::Moment;
use serde_json::json;

use super::{
    file::Id,
    files,
    reply::{bad_request, none},
};
use crate::{
    call::{Answer, Call, Reply},
    stamp,
    tenant::Tenant,
};

/// A channel that somebody has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The id that the caller chose.
    pub id: String,
    /// The id of what is watched.
    pub resource: String,
    /// Where notifications were to go.
    pub address: String,
    /// The secret that would come with them.
    pub token: Option<String>,
    /// The id of the user who opened it.
    pub user: Arc<str>,
    /// Until when it is open.
    pub expires: Moment,
}

const HOUR: Duration = Duration::from_hours(1);

pub(super) fn watch_changes(tenant: &mut Tenant, call: &Call) -> Answer {
    if call.query("pageToken").is_none_or(|token| token.parse::<u64>().is_err()) {
        return Err(super::reply::required("pageToken"));
    }
    let uri = format!("{}/drive/v3/changes?alt=json", tenant.url);
    open(tenant, call, "changes", &uri, 7 * 24 * HOUR)
}

pub(super) fn watch_file(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _): (Id, _) = files::of_path(tenant, call)?;
    let uri = format!("{}/drive/v3/files/{id}?alt=json", tenant.url);
    open(tenant, call, &id, &uri, 24 * HOUR)
}

fn open(tenant: &mut Tenant, call: &Call, what: &str, uri: &str, longest: Duration) -> Answer {
    let fields = call.object()?;
    let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let (Some(id), Some(address)) = (text("id"), text("address")) else {
        return Err(bad_request("A channel needs an id and an address."));
    };
    if text("type").as_deref() != Some("web_hook") {
        return Err(bad_request("Unknown channel type."));
    }
    if !address.starts_with("https://") {
        let mut refusal = bad_request("WebHook callback must be HTTPS.");
        refusal.reason = "push.webhookUrlNotHttps";
        return Err(refusal);
    }
    if tenant.drive.channels.iter().any(|channel| channel.id == id && call.now < channel.expires) {
        let mut refusal = bad_request("Channel id not unique");
        refusal.reason = "channelIdNotUnique";
        return Err(refusal);
    }
    let wanted = fields.get("expiration").and_then(|value| {
        let millis = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Moment::from_micros(millis.checked_mul(1000)?))
    });
    let latest = call.now.plus_micros(longest.as_micros() as i64);
    let usual = call.now.plus_micros(HOUR.as_micros() as i64);
    let expires = wanted.filter(|wanted| *wanted > call.now).map_or(usual, |wanted| wanted.min(latest));
    let resource =
        tenant.drive.tree.ids.secret(crate::text::drawn(format!("{what}{}", call.caller.user).as_bytes()));
    let mut body = json!({
        "kind": "api#channel", "id": id, "resourceId": resource, "resourceUri": uri,
        "expiration": stamp::millis(expires).to_string(),
    });
    let token = text("token");
    if let Some(token) = &token {
        body["token"] = token.as_str().into();
    }
    let user = Arc::clone(&call.caller.user);
    tenant.drive.channels.push(Channel { id, resource, address, token, user, expires });
    Ok(Reply::json(body))
}

pub(super) fn stop(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = call.object()?;
    let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let (id, resource) = (text("id"), text("resourceId"));
    let before = tenant.drive.channels.len();
    let own = |channel: &Channel| {
        channel.id == id && channel.resource == resource && channel.user == call.caller.user
    };
    tenant.drive.channels.retain(|channel| !own(channel));
    if tenant.drive.channels.len() == before {
        return Err(none("Channel", "id", id));
    }
    Ok(Reply::empty())
}
