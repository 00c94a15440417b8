//! Who may see a calendar.

use hyper::Method;
use serde_json::{Value, json};

use super::{Role, Rule, check_etag, mails::Occasion, not_found, open_channel, refuse, route, sync::Mark};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    directory::{etag, with_etag},
    oauth::scopes::{CALENDAR, CALENDAR_ACLS, CALENDAR_ACLS_READONLY, CALENDAR_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const GET: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_ACLS, CALENDAR_ACLS_READONLY];
// As the discovery document has it: the scope that reads everything else does not list rules.
const LIST: &[&str] = &[CALENDAR, CALENDAR_ACLS, CALENDAR_ACLS_READONLY];
const WRITE: &[&str] = &[CALENDAR, CALENDAR_ACLS];
const ALL: &str = "calendar/v3/calendars/{calendarId}/acl";
const ONE: &str = "calendar/v3/calendars/{calendarId}/acl/{ruleId}";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("calendar.acl.list", Method::GET, ALL, LIST, list),
    route("calendar.acl.get", Method::GET, ONE, GET, get),
    route("calendar.acl.insert", Method::POST, ALL, WRITE, insert),
    route("calendar.acl.patch", Method::PATCH, ONE, WRITE, update),
    route("calendar.acl.update", Method::PUT, ONE, WRITE, update),
    route("calendar.acl.delete", Method::DELETE, ONE, WRITE, delete),
    route(
        "calendar.acl.watch",
        Method::POST,
        "calendar/v3/calendars/{calendarId}/acl/watch",
        LIST,
        open_channel,
    ),
];

impl Rule {
    fn id(&self) -> String {
        if self.value.is_empty() { self.scope.clone() } else { format!("{}:{}", self.scope, self.value) }
    }

    fn resource(&self) -> Value {
        let mut scope = json!({ "type": self.scope });
        if !self.value.is_empty() {
            scope["value"] = self.value.clone().into();
        }
        let rule =
            json!({ "kind": "calendar#aclRule", "id": self.id(), "scope": scope, "role": self.role.name() });
        with_etag(rule)
    }
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let mark = tenant.read_mark(call, &format!("rules of {id}"), 0)?;
    if mark.is_some() && call.query("showDeleted").is_some() && !call.flag("showDeleted") {
        return Err(Refusal::invalid_value("showDeleted cannot be false with syncToken."));
    }
    let calendar = tenant.calendar(&id)?;
    let since = mark.map(|mark| mark.revision);
    let wanted = |rule: &&Rule| match since {
        Some(since) => rule.changed > since,
        None => call.flag("showDeleted") || rule.role != Role::None,
    };
    let chosen: Vec<&Rule> = calendar.rules.iter().filter(wanted).collect();
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("maxResults", 100, 250)?;
    let (shown, next, begun) = page::slice_since(&chosen, place.as_deref(), size, calendar.revision);
    let items: Vec<Value> = shown.iter().map(|rule| rule.resource()).collect();
    let mut body = json!({ "kind": "calendar#acl", "etag": etag(&json!(items)), "items": items });
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    } else {
        let mark = Mark { revision: begun, epoch: 0, window: (String::new(), String::new()) };
        body["nextSyncToken"] = tenant.issue_mark(call, &format!("rules of {id}"), &mark).into();
    }
    Ok(Reply::json(body))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let wanted = call.parameter("ruleId");
    let rule = tenant.calendar(&id)?.rules.iter().find(|rule| rule.id() == wanted);
    Ok(Reply::json(rule.ok_or_else(not_found)?.resource()))
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let body: Value = call.json()?;
    let scope = body["scope"]["type"].as_str().unwrap_or_default();
    let value = body["scope"]["value"].as_str().unwrap_or_default().to_lowercase();
    let valued = matches!(scope, "user" | "group" | "domain");
    if !(valued || scope == "default") || valued == value.is_empty() {
        return Err(Refusal::invalid_value("Invalid scope value."));
    }
    let role = body["role"].as_str().and_then(Role::parse);
    let role = role.ok_or_else(|| Refusal::new(400, "required", "INVALID_ARGUMENT", "Missing role."))?;
    let rule = Rule { scope: scope.to_owned(), value, role, changed: 0 };
    Ok(Reply::json(put(tenant, call, &id, rule)?.resource()))
}

/// Returns the name that the audit log has for what somebody may do.
const fn audited(role: Role) -> &'static str {
    match role {
        Role::None => "none",
        Role::FreeBusyReader => "freebusy",
        Role::Reader => "read",
        Role::Writer => "editor",
        Role::Owner => "owner",
    }
}

/// Writes a rule in place of an earlier one of the same scope.
fn put(tenant: &mut Tenant, call: &Call, id: &str, mut rule: Rule) -> Result<Rule, Refusal> {
    let expires = tenant.settings.calendar.sharing_expires_tokens;
    let calendar = tenant.calendar_mut(id)?;
    calendar.revision += 1;
    calendar.epoch += u64::from(expires);
    rule.changed = calendar.revision;
    let owner = calendar.rules.first().map(Rule::id);
    let earlier = calendar.rules.iter().position(|own| own.id() == rule.id());
    if earlier == Some(0) && rule.role < Role::Owner {
        let message = format!("Cannot change the access of {}", owner.unwrap_or_default());
        return Err(refuse(403, "cannotChangeOwnAcl", message));
    }
    match earlier {
        Some(at) => calendar.rules[at] = rule.clone(),
        None => calendar.rules.push(rule.clone()),
    }
    // Unlike events, sharing sends mails unless it is told not to.
    let quiet = call.query("sendNotifications").is_some() && !call.flag("sendNotifications");
    if !quiet && rule.role > Role::None && matches!(rule.scope.as_str(), "user" | "group") {
        tenant.send_mail(call, Occasion::Sharing, &rule.value, id, "");
    }
    let parameters = vec![
        Parameter::text("access_level", audited(rule.role)),
        Parameter::text("grantee_email", rule.value.clone()),
    ];
    tenant.note_calendar(call, "calendar_change", "change_calendar_acls", id, None, parameters);
    Ok(rule)
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let body: Value = call.json()?;
    let wanted = call.parameter("ruleId");
    let rule = tenant.calendar(&id)?.rules.iter().find(|rule| rule.id() == wanted).cloned();
    let mut rule = rule.ok_or_else(not_found)?;
    check_etag(call, rule.resource()["etag"].as_str().unwrap_or_default())?;
    if let Some(role) = body["role"].as_str() {
        rule.role = Role::parse(role).ok_or_else(|| Refusal::invalid_value("Invalid role."))?;
    }
    Ok(Reply::json(put(tenant, call, &id, rule)?.resource()))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let wanted = call.parameter("ruleId");
    let rules = &tenant.calendar(&id)?.rules;
    let rule = rules.iter().find(|rule| rule.id() == wanted && rule.role > Role::None).cloned();
    let mut rule = rule.ok_or_else(not_found)?;
    rule.role = Role::None;
    put(tenant, call, &id, rule)?;
    Ok(Reply::empty())
}
