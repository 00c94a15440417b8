//! Channels of notifications: accepted and remembered; nothing is delivered.

use hyper::Method;
use model::Moment;
use serde_json::{Value, json};

use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{CALENDAR, CALENDAR_EVENTS, CALENDAR_READONLY, REPORTS_READONLY},
    refusal::Refusal,
    routes::Route,
    stamp,
    tenant::Tenant,
    text,
};

/// A channel that somebody opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The id that its opener chose.
    pub id: String,
    /// The id of what it watches.
    pub resource_id: String,
    /// The path of the list that it watches.
    pub path: String,
    /// Where notifications would go.
    pub address: String,
    /// What they would carry.
    pub token: Option<String>,
    /// Until when.
    pub expires: Moment,
    /// Who opened it, by id.
    pub user: String,
}

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        id: "calendar.channels.stop",
        method: Method::POST,
        path: "calendar/v3/channels/stop",
        scopes: &[CALENDAR, CALENDAR_READONLY, CALENDAR_EVENTS],
        units: 1,
        service: "calendar",
        handler: stop,
    },
    Route {
        id: "admin.channels.stop",
        method: Method::POST,
        path: "admin/reports_v1/channels/stop",
        scopes: &[REPORTS_READONLY],
        units: 1,
        service: "admin",
        handler: stop,
    },
];

impl Tenant {
    /// Returns the channels of calendars and of the audit log that are open now.
    pub fn channels(&self) -> Vec<&Channel> {
        let now = self.now();
        self.calendar.channels.iter().filter(|channel| now < channel.expires).collect()
    }
}

/// Opens a channel to what the call's path, without `/watch`, lists.
pub(crate) fn open(tenant: &mut Tenant, call: &Call) -> Answer {
    let body = call.object()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, address) = (text("id"), text("address"));
    if id.is_empty() || id.len() > 64 {
        return Err(Refusal::invalid_value("Channel id must be between 1 and 64 characters."));
    }
    if !matches!(text("type").as_str(), "web_hook" | "webhook") {
        return Err(Refusal::invalid_value("Unknown channel type."));
    }
    if !address.starts_with("https://") {
        let mut refusal = Refusal::invalid_value("WebHook callback must be HTTPS");
        refusal.reason = "push.webhookUrlNotHttps";
        return Err(refusal);
    }
    let now = call.now;
    if tenant.calendar.channels.iter().any(|channel| channel.id == id && now < channel.expires) {
        let mut refusal = Refusal::invalid_value(format!("Channel id {id} not unique"));
        refusal.reason = "channelIdNotUnique";
        return Err(refusal);
    }
    let latest = now.plus_micros(tenant.settings.calendar.channel_lifetime.as_micros() as i64);
    // The wish comes as a number or, as all of its width, as a text.
    let wish = body.get("expiration").and_then(|wish| match wish {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    let wish = wish.map(|millis: i64| Moment::from_micros(millis.saturating_mul(1000)));
    let path = call.path.trim_end_matches("/watch").to_owned();
    let channel = Channel {
        resource_id: text::base64url(&text::drawn(path.as_bytes()).to_be_bytes()),
        path,
        id,
        address,
        token: body.get("token").and_then(Value::as_str).map(str::to_owned),
        expires: wish.map_or(latest, |wish| wish.min(latest)),
        user: call.caller.user.to_string(),
    };
    let mut answer = json!({
        "kind": "api#channel",
        "id": channel.id,
        "resourceId": channel.resource_id,
        "resourceUri": format!("{}{}?alt=json", tenant.url, channel.path),
        "expiration": stamp::millis(channel.expires).to_string(),
    });
    if let Some(token) = &channel.token {
        answer["token"] = token.clone().into();
    }
    tenant.calendar.channels.push(channel);
    Ok(Reply::json(answer))
}

fn stop(tenant: &mut Tenant, call: &Call) -> Answer {
    let body = call.object()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let before = tenant.calendar.channels.len();
    tenant.calendar.channels.retain(|channel| {
        channel.id != text("id")
            || channel.resource_id != text("resourceId")
            || *channel.user != *call.caller.user
    });
    if tenant.calendar.channels.len() == before {
        return Err(Refusal::new(
            404,
            "notFound",
            "NOT_FOUND",
            format!("Channel '{}' not found", text("id")),
        ));
    }
    Ok(Reply::empty())
}
