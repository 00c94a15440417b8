//! The list of activities.

use hyper::Method;
use model::Moment;
use serde_json::{Value, json};

use super::filters::{Condition, clauses};
use crate::{
    audit::Activity,
    calendar::open_channel,
    call::{Answer, Call, Reply},
    directory::{check_admin, etag},
    oauth::scopes::REPORTS_READONLY,
    page,
    refusal::Refusal,
    routes::Route,
    stamp,
    tenant::Tenant,
};

/// The logs that can be asked for.
const APPLICATIONS: [&str; 42] = [
    "access_evaluation",
    "access_transparency",
    "admin",
    "admin_data_action",
    "assignments",
    "calendar",
    "chat",
    "chrome",
    "chrome_sync",
    "classroom",
    "cloud_search",
    "contacts",
    "context_aware_access",
    "data_migration",
    "data_studio",
    "directory_sync",
    "drive",
    "gcp",
    "gemini_in_workspace_apps",
    "gemini_notebook",
    "gmail",
    "gplus",
    "graduation",
    "groups",
    "groups_enterprise",
    "jamboard",
    "keep",
    "ldap",
    "login",
    "meet",
    "meet_hardware",
    "mobile",
    "profile",
    "rules",
    "saml",
    "takeout",
    "tasks",
    "token",
    "user_accounts",
    "vault",
    "voice",
    "workspace_studio",
];

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        id: "reports.activities.list",
        method: Method::GET,
        path: "admin/reports/v1/activity/users/{userKey}/applications/{applicationName}",
        scopes: &[REPORTS_READONLY],
        units: 1,
        service: "admin",
        handler: list,
    },
    Route {
        id: "reports.activities.watch",
        method: Method::POST,
        path: "admin/reports/v1/activity/users/{userKey}/applications/{applicationName}/watch",
        scopes: &[REPORTS_READONLY],
        units: 1,
        service: "admin",
        handler: watch,
    },
];

const START: &[&str; 2] = &["startTime", "parameter"];
const END: &[&str; 2] = &["endTime", "parameter"];

fn bad(place: &'static [&'static str; 2], message: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::invalid_value(message);
    refusal.location = Some(place);
    refusal
}

/// What a list is to contain.
struct Ask<'a> {
    /// The id of a user; none for all.
    user: Option<String>,
    /// The path of an organisational unit.
    unit: Option<String>,
    /// Ids of groups of which the actor is in one.
    groups: Option<Vec<String>>,
    from: Moment,
    to: Moment,
    event: Option<&'a str>,
    address: Option<&'a str>,
    conditions: Vec<Condition>,
    client: Vec<(&'static str, String)>,
    agent: Vec<(&'static str, String)>,
    resource: Vec<(&'static str, String)>,
    /// Nothing happened elsewhere, and nothing failed.
    nothing: bool,
}

impl<'a> Ask<'a> {
    fn read(tenant: &Tenant, call: &'a Call) -> Result<Self, Refusal> {
        let application = call.parameter("applicationName");
        if !APPLICATIONS.contains(&application) {
            return Err(bad(&["applicationName", "parameter"], format!("Invalid value '{application}'.")));
        }
        if let Some(customer) = call.query("customerId") {
            tenant.directory.check_customer(customer)?;
        }
        if call.query("deviceFilter").is_some() {
            return Err(bad(&["deviceFilter", "parameter"], "Devices are not simulated."));
        }
        let (from, to) = Self::span(tenant, call, application)?;
        let clauses = |place: &'static [&'static str; 2], fields: &[&'static str]| {
            call.query(place[0]).map_or_else(|| Ok(Vec::new()), |text| clauses(place, text, fields))
        };
        let networks = clauses(&["networkInfoFilter", "parameter"], &["regionCode"])?;
        let statuses = clauses(&["statusFilter", "parameter"], &["statusCode"])?;
        let elsewhere = networks.iter().any(|(_, region)| *region != tenant.settings.reports.region);
        Ok(Self {
            user: Self::user(tenant, call.parameter("userKey"))?,
            unit: Self::unit(tenant, call)?,
            groups: call
                .query("groupIdFilter")
                .map(|ids| ids.split(',').map(|id| id.trim_start_matches("id:").to_owned()).collect()),
            from,
            to,
            event: call.query("eventName"),
            address: call.query("actorIpAddress"),
            conditions: Condition::list(call.query("filters").unwrap_or_default())?,
            client: clauses(&["applicationInfoFilter", "parameter"], &["oAuthClientId"])?,
            agent: clauses(&["agentInfoFilter", "parameter"], &["agentId", "agentName", "agentOwnerEmail"])?,
            resource: clauses(&["resourceDetailsFilter", "parameter"], &["resourceDetails.id"])?,
            nothing: elsewhere || statuses.iter().any(|(_, code)| code != "200"),
        })
    }

    /// Returns the id that a user's key means; one who was deleted is known by the id alone.
    fn user(tenant: &Tenant, key: &str) -> Result<Option<String>, Refusal> {
        if key == "all" {
            return Ok(None);
        }
        let user = tenant.directory.user(key).or_else(|| tenant.directory.any_user(key));
        let user = user.ok_or_else(|| bad(&["userKey", "parameter"], format!("Invalid value '{key}'.")))?;
        Ok(Some(user.id.to_string()))
    }

    fn unit(tenant: &Tenant, call: &Call) -> Result<Option<String>, Refusal> {
        let Some(id) = call.query("orgUnitID") else { return Ok(None) };
        let unit = tenant.directory.units.iter().find(|unit| unit.id == id);
        let unit = unit.ok_or_else(|| bad(&["orgUnitID", "parameter"], format!("Invalid value '{id}'.")))?;
        Ok(Some(unit.path.clone()))
    }

    fn span(tenant: &Tenant, call: &Call, application: &str) -> Result<(Moment, Moment), Refusal> {
        let read = |place: &'static [&'static str; 2]| match call.query(place[0]) {
            Some(text) => {
                stamp::parse(text).map(Some).ok_or_else(|| bad(place, format!("Invalid value '{text}'.")))
            }
            None => Ok(None),
        };
        let (from, to) = (read(START)?, read(END)?);
        let settings = &tenant.settings.reports;
        if application == "gmail" {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(bad(START, "startTime and endTime are required for this application."));
            };
            if to.micros_since(from) > settings.mail_span_max.as_micros() as i64 {
                return Err(bad(END, "The difference of startTime and endTime must not exceed 30 days."));
            }
        }
        let end = to.unwrap_or(call.now);
        if from.is_some_and(|from| from > end || from > call.now) {
            return Err(bad(START, "Start time must be before end time and the current time."));
        }
        let oldest = call.now.plus_micros(-(settings.window.as_micros() as i64));
        Ok((from.map_or(oldest, |from| from.max(oldest)), end))
    }

    fn takes(&self, tenant: &Tenant, activity: &Activity) -> bool {
        let agent = |(field, value): &(&str, String)| {
            tenant.agent_of(activity).is_some_and(|agent| match *field {
                "agentId" => agent.id == *value,
                "agentName" => agent.name == *value,
                _ => agent.owner == *value,
            })
        };
        let of_unit = |path: &String| {
            let user = tenant.directory.any_user(&activity.profile);
            user.is_some_and(|user| user.org_unit == *path || user.org_unit.starts_with(&format!("{path}/")))
        };
        let of_groups = |groups: &Vec<String>| {
            groups.iter().any(|group| tenant.directory.is_in_group(group, &activity.profile))
        };
        !self.nothing
            && self.unit.as_ref().is_none_or(of_unit)
            && self.groups.as_ref().is_none_or(of_groups)
            && (self.from..=self.to).contains(&activity.time)
            && self.user.as_deref().is_none_or(|user| *activity.profile == *user)
            && self.event.is_none_or(|event| activity.name == event)
            && self.address.is_none_or(|address| activity.address.to_string() == address)
            && self.conditions.iter().all(|condition| condition.takes(&tenant.parameters(activity)))
            && self.client.iter().all(|(_, id)| activity.client_id.as_deref() == Some(id))
            && self.agent.iter().all(agent)
            && self.resource.iter().all(|(_, id)| activity.text("doc_id") == Some(id))
    }
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let ask = Ask::read(tenant, call)?;
    let size = call.page_size("maxResults", 1000, 1000)?;
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    // Later pages show the log as it was when the first one was asked for.
    let (asked, offset) = match place.as_deref().and_then(|place| place.split_once(' ')) {
        Some((asked, offset)) => (Moment::from_micros(asked.parse().unwrap_or(0)), Some(offset)),
        None => (call.now, None),
    };
    let application = call.parameter("applicationName");
    let mut seen = tenant.audit.visible(application, asked);
    seen.retain(|activity| ask.takes(tenant, activity));
    let (shown, next) = page::slice(&seen, offset, size);
    let items: Vec<Value> = shown.iter().map(|activity| tenant.activity(activity)).collect();
    let mut body = json!({ "kind": "admin#reports#activities", "etag": etag(&json!(items)) });
    if !items.is_empty() {
        body["items"] = items.into();
    }
    if let Some(next) = next {
        let place = format!("{} {next}", asked.as_micros());
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &place).into();
    }
    Ok(Reply::json(body))
}

fn watch(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    Ask::read(tenant, call)?;
    open_channel(tenant, call)
}
