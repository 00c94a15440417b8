//! People of the company.

use std::{net::Ipv4Addr, sync::Arc};

use model::Moment;
use serde_json::{Map, json};

use super::names::{FAMILY, GIVEN, local_part, nth, pick};
use crate::{
    audit::{Activity, Parameter},
    directory::{User, user_id},
    tenant::Tenant,
};

const DAY_MICROS: i64 = 86_400_000_000;
const PERSON: u64 = 1;
const OUTSIDER: u64 = 2;
const OUTSIDERS: u64 = 40;
const INSIDERS: usize = 20;
/// With fewer people than this, everybody is an ordinary user but for the administrator.
const SPECIAL_FROM: u64 = 6;

/// The organisational units, without the root.
pub(super) const UNITS: [&str; 7] = [
    "/Engineering",
    "/Engineering/Platform",
    "/Sales",
    "/Sales/EMEA",
    "/Finance",
    "/People & Culture",
    "/Alumni",
];

/// Makes the people.
pub(super) fn furnish(tenant: &mut Tenant) {
    let count = u64::from(tenant.settings.size.users.max(1));
    let users = (0..count).map(|number| person(tenant, number, count)).collect();
    tenant.directory.add_users(users);
    let inside = tenant
        .directory
        .everybody()
        .map(|user| (format!("{} {}", user.given_name, user.family_name), user.primary_email.clone()));
    let outside = (0..OUTSIDERS).map(|number| {
        let drawn = nth(tenant.settings.seed, OUTSIDER, number);
        let (given, family) = (pick(GIVEN, drawn), pick(FAMILY, drawn >> 16));
        let host =
            pick(&["supplier.example", "customer.example", "partner.example", "mail.example"], drawn >> 32);
        (format!("{given} {family}"), format!("{}@{host}", local_part(given, family)))
    });
    let machines = ["billing@supplier.example", "noreply@news.example", "ci@builds.example"];
    let machines = machines
        .map(|address| (address.split('@').next().unwrap_or_default().to_owned(), address.to_owned()));
    tenant.correspondents = Arc::new(inside.take(INSIDERS).chain(outside).chain(machines).collect());
    sign_in(tenant);
}

/// Everybody's last way in is in the log.
fn sign_in(tenant: &mut Tenant) {
    let signed: Vec<(Arc<str>, String, Moment)> = tenant
        .users()
        .iter()
        .filter_map(|user| Some((Arc::clone(&user.id), user.primary_email.clone(), user.last_login?)))
        .collect();
    for (id, address, time) in signed {
        tenant.add_activity(Activity {
            time,
            qualifier: 0,
            application: "login",
            actor: Arc::from(address.as_str()),
            profile: id,
            client_id: None,
            client_name: None,
            impersonation: false,
            address: Ipv4Addr::LOCALHOST.into(),
            kind: "login",
            name: "login_success",
            parameters: vec![
                Parameter::text("login_type", "google_password"),
                Parameter::texts("login_challenge_method", vec!["password".to_owned()]),
                Parameter::flag("is_suspicious", false),
            ],
        });
    }
}

fn person(tenant: &Tenant, number: u64, count: u64) -> User {
    let seed = tenant.settings.seed;
    let drawn = nth(seed, PERSON, number);
    let given = GIVEN[(number % GIVEN.len() as u64) as usize];
    let family = pick(FAMILY, drawn);
    let domain = &tenant.settings.domain;
    // Two bearers of a name are told apart by a number, as everywhere.
    let round = number / GIVEN.len() as u64;
    let local = local_part(given, family) + &if round == 0 { String::new() } else { (round + 1).to_string() };
    let special = |from_end: u64| count >= SPECIAL_FROM && number + from_end == count;
    let (suspended, mailless, archived) = (special(3), special(2), special(1));
    let days = 400 + (drawn >> 16) % 1500;
    let created = tenant.anchor.plus_micros(-(days as i64) * DAY_MICROS);
    let idle = if archived || suspended { 120 } else { (drawn >> 40) % 4 };
    let mut more = Map::new();
    if !drawn.is_multiple_of(3) {
        let phone = format!("+49 30 {:07}", (drawn >> 8) % 10_000_000);
        more.insert("phones".to_owned(), json!([{ "value": phone, "type": "work" }]));
    }
    let title =
        pick(&["Engineer", "Account Executive", "Controller", "Designer", "Office Manager"], drawn >> 24);
    more.insert(
        "organizations".to_owned(),
        json!([{ "title": title, "primary": true, "department": "Acme" }]),
    );
    User {
        id: user_id(seed, number),
        primary_email: format!("{local}@{domain}"),
        given_name: given.to_owned(),
        family_name: family.to_owned(),
        aliases: if drawn.is_multiple_of(4) {
            vec![format!(
                "{}{number}@{domain}",
                given.to_ascii_lowercase().replace(|c: char| !c.is_ascii(), "")
            )]
        } else {
            Vec::new()
        },
        org_unit: if archived {
            "/Alumni".to_owned()
        } else if number == 0 {
            "/".to_owned()
        } else {
            pick(&UNITS[..6], drawn >> 32).to_owned()
        },
        is_admin: number == 0,
        is_delegated_admin: count >= SPECIAL_FROM && number == 1,
        suspended,
        archived,
        has_mailbox: !mailless,
        created,
        last_login: Some(
            tenant.anchor.plus_micros(-(idle as i64) * DAY_MICROS - ((drawn >> 4) % 60_000_000) as i64),
        ),
        deleted: None,
        more,
    }
}
