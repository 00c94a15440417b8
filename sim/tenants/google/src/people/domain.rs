//! The people of the domain, as the directory has them.

use hyper::Method;
use serde_json::{Value, json};

use super::{Fields, person, route, sync::Mark};
use crate::{
    call::{Answer, Call, Reply},
    directory::{User, etag},
    oauth::scopes::DIRECTORY_READONLY,
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

/// The routes.
pub(super) const ROUTES: &[Route] = &[route(
    "people.people.listDirectoryPeople",
    Method::GET,
    "v1/people:listDirectoryPeople",
    &[DIRECTORY_READONLY],
    list,
)];

/// The source of a user's own profile.
pub(super) const PROFILE: &str = "PROFILE";
const DOMAIN_PROFILE: &str = "DOMAIN_PROFILE";

/// Makes the person of a user.
pub(super) fn profile(user: &User, kind: &str) -> Value {
    let source = json!({ "type": kind, "id": *user.id });
    let mut value = json!({
        "resourceName": format!("people/{}", user.id),
        "metadata": { "sources": [source], "objectType": "PERSON" },
        "names": [{ "givenName": user.given_name, "familyName": user.family_name }],
        "emailAddresses": [{ "value": user.primary_email }],
    });
    for name in ["phones", "organizations"] {
        if let Some(field) = user.more.get(name) {
            let shown = if name == "phones" { "phoneNumbers" } else { name };
            value[shown] = field.clone();
        }
    }
    for name in ["names", "emailAddresses", "phoneNumbers", "organizations"] {
        for (at, item) in value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            if let Some(item) = item.as_object_mut() {
                item.remove("primary");
            }
            item["metadata"] = person::marked(&source, at == 0);
            person::complete(name, item);
        }
    }
    value["etag"] = format!("%{}", etag(&value).trim_matches('"')).into();
    value
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = Fields::read(call, "readMask", &person::FIELDS)?;
    let sources: Vec<&str> = call.queries("sources").collect();
    let known = |source: &&str| source.starts_with("DIRECTORY_SOURCE_TYPE_DOMAIN_");
    if sources.is_empty() || !sources.iter().all(known) {
        return Err(Refusal::invalid("Must provide at least one source in the request."));
    }
    let since = tenant.read_people_mark(call)?;
    // Contacts that the domain shares are a source of their own, and there are none.
    let people = sources.contains(&"DIRECTORY_SOURCE_TYPE_DOMAIN_PROFILE");
    let living = |user: &&User| people && user.deleted.is_none() && !user.suspended && since.is_none();
    let chosen: Vec<&User> = tenant.users().iter().filter(living).collect();
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let (shown, next) = page::slice(&chosen, place.as_deref(), call.page_size("pageSize", 100, 1000)?);
    let shown: Vec<Value> = shown.iter().map(|user| fields.apply(profile(user, DOMAIN_PROFILE))).collect();
    let mut body = json!({});
    if !shown.is_empty() {
        body["people"] = shown.into();
    }
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    } else if call.flag("requestSyncToken") || since.is_some() {
        let mark = since.unwrap_or(Mark { full: call.now, revision: 0 });
        body["nextSyncToken"] = tenant.issue_people_mark(call, mark).into();
    }
    Ok(Reply::json(body))
}
