//! Units, groups, roles, and the programs that people have let in.

use super::{
    company::UNITS,
    names::{nth, pick},
};
use crate::{
    directory::{AppPassword, Assignment, Group, SYSTEM_ROLES, Unit, group_id},
    oauth::{App, scopes},
    tenant::Tenant,
    text,
};

const DAY_MICROS: i64 = 86_400_000_000;
const CONSENT: u64 = 21;

/// Programs in the market, with what they ask for.
const APPS: [(&str, &str, &[&str]); 4] = [
    ("Meeting Notes", "410000000001-notes", &[scopes::CALENDAR_READONLY]),
    ("Tidy Inbox Agent", "410000000002-tidy", &[scopes::GMAIL_MODIFY, scopes::MAIL]),
    ("Contract Signer", "410000000003-sign", &[scopes::DRIVE_READONLY]),
    ("Desk Assistant", "410000000004-desk", &[scopes::DRIVE, scopes::CALENDAR, scopes::CONTACTS]),
];

/// Makes all of it; the people are there already.
pub(super) fn furnish(tenant: &mut Tenant) {
    let seed = tenant.settings.seed;
    tenant.directory.units = UNITS.iter().map(|path| Unit::new(seed, path)).collect();
    groups(tenant);
    let admins: Vec<(String, bool)> = tenant
        .directory
        .everybody()
        .filter(|user| user.is_admin || user.is_delegated_admin)
        .map(|user| (user.id.to_string(), user.is_admin))
        .collect();
    for (id, is_super) in admins {
        let role = SYSTEM_ROLES[usize::from(!is_super)].id;
        let number = text::drawn(id.as_bytes()) >> 8;
        tenant.directory.assignments.push(Assignment { id: number, role, assigned_to: id, kind: "user" });
    }
    consents(tenant);
}

fn groups(tenant: &mut Tenant) {
    let seed = tenant.settings.seed;
    let domain = tenant.settings.domain.clone();
    let people: Vec<(String, String)> = tenant
        .directory
        .everybody()
        .map(|user| (user.primary_email.clone(), user.org_unit.clone()))
        .collect();
    let mut make = |name: &str, description: &str, members: Vec<(String, &str)>| {
        let email = format!("{}@{domain}", name.to_lowercase().replace([' ', '&'], "-").replace("--", "-"));
        let members = members.iter().map(|(email, role)| tenant.directory.member(email, role)).collect();
        tenant.directory.groups.push(Group {
            id: group_id(seed, name),
            email: email.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            aliases: Vec::new(),
            members,
        });
        email
    };
    let of_unit = |unit: &str| -> Vec<(String, &str)> {
        let own = people.iter().filter(|(_, path)| path.starts_with(unit));
        own.enumerate()
            .map(|(at, (email, _))| (email.clone(), if at == 0 { "OWNER" } else { "MEMBER" }))
            .collect()
    };
    let mut teams = Vec::new();
    for unit in ["/Engineering", "/Sales", "/Finance", "/People & Culture"] {
        teams.push((make(unit.trim_start_matches('/'), "Everybody of the team", of_unit(unit)), "MEMBER"));
    }
    let everybody = make("Everybody", "All teams", teams);
    // A group in a group in a group, and somebody from outside.
    let guests = vec![(everybody, "MEMBER"), ("auditor@partner.example".to_owned(), "MEMBER")];
    make("Announcements", "Read by all and by our auditor", guests);
    if let Some(group) = tenant.directory.groups.first_mut() {
        group.aliases.push(format!("dev@{domain}"));
    }
}

fn consents(tenant: &mut Tenant) {
    let users: Vec<(String, u64)> = tenant
        .directory
        .everybody()
        .filter(|user| !user.suspended)
        .map(|user| {
            (user.id.to_string(), nth(tenant.settings.seed, CONSENT, text::drawn(user.id.as_bytes())))
        })
        .collect();
    for (user, drawn) in users {
        for (at, (name, client, wanted)) in APPS.iter().enumerate() {
            if !(drawn >> (at * 8)).is_multiple_of(3) {
                continue;
            }
            let app = App {
                client_id: format!("{client}.apps.googleusercontent.com"),
                client_secret: format!("GOCSPX-{client}"),
                display_text: (*name).to_owned(),
                native: false,
            };
            // A user who has just been listed is there.
            tenant.consent(&user, &app, wanted);
        }
        if (drawn >> 40).is_multiple_of(5) {
            tenant.directory.passwords.push(AppPassword {
                user: text::shared(&user),
                code: (drawn >> 44) as i32 & 0xffff,
                name: pick(&["Mail on old phone", "Scanner", "Thunderbird"], drawn >> 48).to_owned(),
                created: tenant.anchor.plus_micros(-900 * DAY_MICROS),
                last_used: (drawn >> 50)
                    .is_multiple_of(2)
                    .then(|| tenant.anchor.plus_micros(-3 * DAY_MICROS)),
            });
        }
    }
}
