//! Reading people: one, some, and the user's lists.

use hyper::Method;
use model::Moment;
use serde_json::{Value, json};

use super::{
    Book, Fields, Person,
    domain::{self, profile},
    person::FIELDS,
    route,
    sync::Mark,
};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{CONTACTS, CONTACTS_OTHER_READONLY, CONTACTS_READONLY, DIRECTORY_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const READ: &[&str] = &[CONTACTS, CONTACTS_READONLY];
const ANY: &[&str] = &[CONTACTS, CONTACTS_READONLY, CONTACTS_OTHER_READONLY, DIRECTORY_READONLY];
/// How many people one call may ask for.
const BATCH_MAX: usize = 200;

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route(
        "people.people.connections.list",
        Method::GET,
        "v1/people/{peopleId}/connections",
        READ,
        connections,
    ),
    route("people.people.get", Method::GET, "v1/people/{peopleId}", ANY, get),
    route("people.people.getBatchGet", Method::GET, "v1/people:batchGet", ANY, get_some),
    route("people.otherContacts.list", Method::GET, "v1/otherContacts", &[CONTACTS_OTHER_READONLY], others),
];

/// A list of a user's people with everything that its calls say.
struct Ask<'a> {
    fields: Fields,
    since: Option<Mark>,
    order: &'a str,
    size: usize,
}

/// What a list has chosen of a book, in order, and the mark that it ends with.
fn chosen<'a>(
    people: impl Iterator<Item = &'a Person>,
    ask: &Ask<'_>,
    now: Moment,
    lag: i64,
    kept: i64,
) -> Vec<(String, &'a Person)> {
    let wanted = |person: &&Person| match &ask.since {
        Some(mark) => {
            let age = now.micros_since(person.updated);
            person.changed > mark.revision && age >= lag && (!person.deleted || age <= kept)
        }
        None => !person.deleted,
    };
    let mut chosen: Vec<(String, &Person)> = people
        .filter(wanted)
        .map(|person| (format!("{}\u{1}{}", person.sort_text(ask.order), person.source), person))
        .collect();
    chosen.sort_by(|(a, _), (b, _)| a.cmp(b));
    chosen
}

/// Returns the last change before which nothing is hidden by the lag.
fn settled(book: &Book, now: Moment, lag: i64) -> u64 {
    let people = book.contacts.values().chain(book.others.values());
    let fresh = people.filter(|person| now.micros_since(person.updated) < lag && person.changed > 0);
    fresh.map(|person| person.changed - 1).min().unwrap_or(book.revision)
}

fn list(
    tenant: &mut Tenant,
    call: &Call,
    ask: &Ask<'_>,
    of: fn(&Book) -> Vec<&Person>,
    names: [&str; 2],
) -> Answer {
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    if place.is_none() && ask.since.is_none() && call.flag("requestSyncToken") {
        tenant.begin_full_sync(call)?;
    }
    let settings = tenant.settings.people.clone();
    let (lag, kept) = (settings.sync_lag.as_micros() as i64, settings.deleted_kept.as_micros() as i64);
    let (seed, url) = (tenant.settings.seed, tenant.url.clone());
    tenant.book(&call.caller.user);
    let book = &tenant.people.books[&call.caller.user];
    // A page leads on with when the list was begun, what had changed by then, and what was shown last.
    let begun = Mark { full: call.now, revision: settled(book, call.now, lag) };
    let parts: Option<Vec<&str>> = place.as_deref().map(|place| place.splitn(3, ' ').collect());
    let (begun, after) = match parts.as_deref() {
        Some([full, revision, after]) => {
            let full = Moment::from_micros(full.parse().unwrap_or(0));
            (Mark { full, revision: revision.parse().unwrap_or(0) }, *after)
        }
        _ => (begun, ""),
    };
    let mut all = chosen(of(book).into_iter(), ask, call.now, lag, kept);
    let total = all.len();
    all.retain(|(key, _)| key.as_str() > after);
    let shown: Vec<Value> = all
        .iter()
        .take(ask.size)
        .map(|(_, person)| ask.fields.apply(person.resource(&url, true, ask.since.is_some())))
        .collect();
    let mut body = json!({ names[1]: total });
    if !shown.is_empty() {
        body[names[0]] = shown.into();
    }
    if let Some((key, _)) = all.get(ask.size.wrapping_sub(1)).filter(|_| all.len() > ask.size) {
        let next = format!("{} {} {key}", begun.full.as_micros(), begun.revision);
        body["nextPageToken"] = page::issue(seed, call, &next).into();
    } else if call.flag("requestSyncToken") || ask.since.is_some() {
        let full = ask.since.as_ref().map_or(begun.full, |mark| mark.full);
        body["nextSyncToken"] = tenant.issue_people_mark(call, Mark { full, ..begun }).into();
    }
    Ok(Reply::json(body))
}

fn connections(tenant: &mut Tenant, call: &Call) -> Answer {
    if call.parameter("peopleId") != "me" {
        return Err(Refusal::invalid("Resource name must be \"people/me\"."));
    }
    let ask = Ask {
        fields: Fields::read(call, "personFields", &FIELDS)?,
        since: tenant.read_people_mark(call)?,
        order: call.query("sortOrder").unwrap_or_default(),
        size: call.page_size("pageSize", 100, 1000)?,
    };
    let mut answer =
        list(tenant, call, &ask, |book| book.contacts.values().collect(), ["connections", "totalItems"])?;
    if let crate::call::Body::Json(body) = &mut answer.body {
        body["totalPeople"] = body["totalItems"].clone();
    }
    Ok(answer)
}

/// What can be shown of people the user never made contacts of.
const OTHERS: [&str; 5] = ["emailAddresses", "metadata", "names", "phoneNumbers", "photos"];

fn others(tenant: &mut Tenant, call: &Call) -> Answer {
    let ask = Ask {
        fields: Fields::read(call, "readMask", &OTHERS)?,
        since: tenant.read_people_mark(call)?,
        order: "",
        size: call.page_size("pageSize", 100, 1000)?,
    };
    list(tenant, call, &ask, |book| book.others.values().collect(), ["otherContacts", "totalSize"])
}

/// Finds the person that a resource name means to the caller.
fn find(tenant: &mut Tenant, call: &Call, name: &str) -> Option<Value> {
    let url = tenant.url.clone();
    if let Some(person) = tenant.book(&call.caller.user).contact(name) {
        return Some(person.resource(&url, false, false));
    }
    let id = name.strip_prefix("people/")?;
    let id = if id == "me" { &*call.caller.user } else { id };
    let user = tenant.directory.user(id).filter(|user| *user.id == *id)?;
    Some(profile(user, domain::PROFILE))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = Fields::read(call, "personFields", &FIELDS)?;
    let name = format!("people/{}", call.parameter("peopleId"));
    let person = find(tenant, call, &name).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(fields.apply(person)))
}

fn get_some(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = Fields::read(call, "personFields", &FIELDS)?;
    let names: Vec<String> = call.queries("resourceNames").map(str::to_owned).collect();
    if names.is_empty() || names.len() > BATCH_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {BATCH_MAX} resource names must be given.")));
    }
    let mut responses = Vec::new();
    for name in names {
        responses.push(match find(tenant, call, &name) {
            Some(person) => {
                json!({ "httpStatusCode": 200, "person": fields.apply(person), "requestedResourceName": name, "status": {} })
            }
            None => json!({
                "httpStatusCode": 404, "requestedResourceName": name,
                "status": { "code": 5, "message": "Requested entity was not found." },
            }),
        });
    }
    Ok(Reply::json(json!({ "responses": responses })))
}
