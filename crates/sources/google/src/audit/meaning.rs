//! What an activity means: what was done to what, and how serious it is.

use model::{Effect, Severity, Verb};

use super::{
    activity::{Activity, Happening},
    words,
};

/// Of what is named so many characters are kept.
const CHARACTERS_MAX: usize = 300;

/// Scopes by which a program may do little. Others are broad, the unknown ones among them.
const NARROW: [&str; 14] = [
    "openid",
    "email",
    "profile",
    "userinfo.",
    "drive.file",
    "drive.appdata",
    "drive.appfolder",
    "drive.install",
    "calendar.freebusy",
    "calendar.events.freebusy",
    "calendar.settings.readonly",
    "gmail.addons.",
    "gmail.labels",
    "plus.",
];

/// What one happening means.
#[derive(Debug, Clone)]
pub(super) struct Meaning {
    /// None for what changes and reads nothing: somebody signed in.
    pub(super) verb: Option<Verb>,
    /// What it was done to, by its key where it has one, with what people call it.
    pub(super) target: String,
    pub(super) count: u64,
    /// How serious it is by itself.
    pub(super) severity: Severity,
    /// The stream in which it was done.
    pub(super) scope: String,
    /// The method of the API, or what the log calls it.
    pub(super) statement: String,
    /// Whether it is what was done, and no consequence of that.
    pub(super) primary: bool,
}

impl Meaning {
    /// Returns how many things it destroys.
    pub(super) const fn destroys(&self) -> u64 {
        match self.verb {
            Some(Verb::Delete | Verb::Trash) => self.count,
            _ => 0,
        }
    }

    pub(super) fn effect(&self) -> Option<Effect> {
        Some(Effect { verb: self.verb?, target: self.target.clone(), count: self.count })
    }
}

/// Returns what an activity means. Of one gesture the log tells several things: where it says which of them is what was
/// done, the others are left out.
pub(super) fn of(application: &str, activity: &Activity) -> Vec<Meaning> {
    let primary = |happening: &&Happening| happening.flag("primary_event") == Some(true);
    let any_primary = activity.happenings.iter().any(|happening| primary(&happening));
    let chosen = activity.happenings.iter().filter(|happening| !any_primary || primary(happening));
    chosen.map(|happening| meaning(application, activity, happening)).collect()
}

fn meaning(application: &str, activity: &Activity, happening: &Happening) -> Meaning {
    let identity = &activity.actor.identity;
    let plain = Meaning {
        verb: words::verb(&happening.name).or(Some(Verb::Update)),
        target: happening.name.clone(),
        count: 1,
        severity: Severity::Routine,
        scope: format!("{application}/{identity}"),
        statement: format!("{application} {}", happening.name),
        primary: happening.flag("primary_event") != Some(false),
    };
    match application {
        "drive" => drive(happening, plain),
        "gmail" => gmail(happening, plain),
        "calendar" => calendar(happening, plain),
        "token" => token(happening, plain),
        "admin" => admin(happening, plain),
        _ => account(happening, plain),
    }
}

/// Returns how serious a verb is where nothing else is known.
const fn usual(verb: Option<Verb>) -> Severity {
    match verb {
        Some(Verb::Delete | Verb::Share | Verb::Grant) => Severity::Notable,
        _ => Severity::Routine,
    }
}

/// Writes a key with what people call it.
fn called(key: &str, name: Option<&str>) -> String {
    let text = match name {
        Some(name) => format!("{key} \"{name}\""),
        None => key.to_owned(),
    };
    text.chars().take(CHARACTERS_MAX).collect()
}

fn drive(happening: &Happening, plain: Meaning) -> Meaning {
    let verb = match happening.name.as_str() {
        "create" | "upload" | "copy" => Verb::Insert,
        "trash" => Verb::Trash,
        "untrash" => Verb::Untrash,
        "delete" => Verb::Delete,
        "source_copy" | "access_item_content" | "email_as_attachment" | "access_url" => Verb::Read,
        "change_owner" | "publish_change" => Verb::Share,
        _ if happening.kind == "acl_change" => sharing(happening),
        name => words::verb(name).unwrap_or(Verb::Update),
    };
    let owner = match happening.flag("owner_is_shared_drive") {
        Some(true) => happening.text("shared_drive_id").or_else(|| happening.text("owner")),
        _ => happening.text("owner"),
    };
    let file = format!("file/{}", happening.text("doc_id").unwrap_or("?"));
    let whom = happening.text("target_user").or_else(|| happening.text("target_domain"));
    let mut target = called(&file, happening.text("doc_title"));
    if matches!(verb, Verb::Share | Verb::Revoke)
        && let Some(whom) = whom
    {
        let role = happening.text("new_value").unwrap_or_default();
        target = called(&format!("{target}: {whom} {role}"), None);
    }
    Meaning {
        verb: Some(verb),
        target,
        severity: usual(Some(verb)),
        scope: owner.map_or_else(|| "drive".to_owned(), |owner| format!("drive/{owner}")),
        statement: happening.text("api_method").map_or(plain.statement, str::to_owned),
        ..plain
    }
}

/// What somebody may do with a file, from the least on; the log has two names for some.
const ROLES: [&[&str]; 7] = [
    &["none"],
    &["can_view"],
    &["can_comment"],
    &["can_edit"],
    &["content_manager", "fileorganizer"],
    &["organizer", "manager"],
    &["owner"],
];

/// Tells whether a change of who may see a file lets more people do more, or fewer. What is not understood is taken for
/// more.
fn sharing(happening: &Happening) -> Verb {
    let rank = |name: &str| ROLES.iter().position(|names| names.contains(&name));
    let change = happening.text("membership_change_type").and_then(words::verb);
    let ranks = |old, new| Some(rank(new)? <= rank(old)?);
    match (happening.text("old_value"), happening.text("new_value")) {
        _ if change == Some(Verb::Delete) => Verb::Revoke,
        (_, Some("none" | "private")) => Verb::Revoke,
        (Some(old), Some(new)) if ranks(old, new) == Some(true) => Verb::Revoke,
        _ if happening.text("visibility_change") == Some("internal") => Verb::Revoke,
        _ => Verb::Share,
    }
}

fn gmail(happening: &Happening, plain: Meaning) -> Meaning {
    let count = happening.number("message_count").unwrap_or(1);
    let message = happening.text("message_id").map(|id| format!("message/{id}"));
    let target = called(message.as_deref().unwrap_or("messages"), happening.text("subject"));
    Meaning { target, count, severity: usual(plain.verb), ..plain }
}

fn calendar(happening: &Happening, plain: Meaning) -> Meaning {
    let calendar = happening.text("calendar_id").unwrap_or("?");
    let scope = format!("calendar/{calendar}");
    let target = match happening.text("event_id") {
        Some(event) => called(&format!("event/{calendar}/{event}"), happening.text("event_title")),
        None => called(&scope, happening.text("calendar_title")),
    };
    let plain = Meaning { target, scope, ..plain };
    match happening.name.as_str() {
        // With it go all its events.
        "delete_calendar" => Meaning { severity: Severity::Destructive, ..plain },
        "change_calendar_acls" => {
            let none = happening.text("access_level") == Some("none");
            let verb = if none { Verb::Revoke } else { Verb::Share };
            let whom = happening.text("grantee_email").unwrap_or("everybody");
            let level = happening.text("access_level").unwrap_or_default();
            let target = called(&format!("{}: {whom} {level}", plain.target), None);
            Meaning { verb: Some(verb), target, severity: usual(Some(verb)), ..plain }
        }
        // Taking a calendar off one's list leaves it where it is.
        "add_subscription" | "delete_subscription" => Meaning { verb: Some(Verb::Define), ..plain },
        _ => Meaning { severity: usual(plain.verb), ..plain },
    }
}

fn is_broad(scope: &str) -> bool {
    let name = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    !NARROW.iter().any(|narrow| match narrow.strip_suffix('.') {
        Some(_) => name.starts_with(narrow),
        None => name == *narrow,
    })
}

fn token(happening: &Happening, plain: Meaning) -> Meaning {
    let client = format!("client/{}", happening.text("client_id").unwrap_or("?"));
    let program = called(&client, happening.text("app_name"));
    match happening.name.as_str() {
        "activity" => {
            let method = happening.text("method_name").or_else(|| happening.text("api_name")).unwrap_or("?");
            let verb = words::method(method).unwrap_or(Verb::Update);
            let severity =
                if words::destroys_many(method) { Severity::Destructive } else { usual(Some(verb)) };
            Meaning {
                verb: Some(verb),
                target: happening.text("product_bucket").unwrap_or("an API").to_owned(),
                severity,
                statement: called(method, None),
                ..plain
            }
        }
        "authorize" => {
            let scopes = happening.texts("scope");
            let broad = scopes.iter().any(|scope| is_broad(scope));
            let severity = if broad { Severity::Notable } else { Severity::Routine };
            let target = called(&format!("{program}: {}", scopes.join(" ")), None);
            Meaning { verb: Some(Verb::Grant), target, severity, ..plain }
        }
        "revoke" => Meaning { verb: Some(Verb::Revoke), target: program, ..plain },
        // Something was asked for and not given.
        _ => Meaning { verb: None, target: program, ..plain },
    }
}

fn admin(happening: &Happening, plain: Meaning) -> Meaning {
    const NAMED: [&str; 8] = [
        "USER_EMAIL",
        "GROUP_EMAIL",
        "API_CLIENT_NAME",
        "APP_ID",
        "APP_NAME",
        "ORG_UNIT_NAME",
        "ROLE_NAME",
        "SETTING_NAME",
    ];
    let named: Vec<&str> = NAMED.iter().filter_map(|name| happening.text(name)).collect();
    let scopes = happening.texts("API_SCOPES").join(" ");
    let target = if named.is_empty() { happening.name.clone() } else { named.join(" ") };
    let target = if scopes.is_empty() { target } else { format!("{target}: {scopes}") };
    let (verb, severity) = match happening.name.as_str() {
        // With the account goes everything that is the user's.
        "DELETE_USER" => (Verb::Delete, Severity::Destructive),
        "ADD_GROUP_MEMBER" | "UNSUSPEND_USER" => (Verb::Grant, Severity::Notable),
        "REMOVE_GROUP_MEMBER" | "REVOKE_3LO_TOKEN" => (Verb::Revoke, Severity::Routine),
        "REMOVE_API_CLIENT_ACCESS" => (Verb::Revoke, Severity::Notable),
        name if name.starts_with("CHANGE_") => (Verb::Define, Severity::Notable),
        name => match words::verb(name) {
            Some(Verb::Read) => (Verb::Read, Severity::Routine),
            Some(verb) => (verb, Severity::Notable),
            None => (Verb::Define, Severity::Notable),
        },
    };
    Meaning { verb: Some(verb), target: called(&target, None), severity, scope: "admin".to_owned(), ..plain }
}

/// Logins, and changes that people make to their own accounts.
fn account(happening: &Happening, plain: Meaning) -> Meaning {
    let name = happening.name.as_str();
    if happening.kind == "login" || name.starts_with("login") || name == "logout" {
        let odd = happening.flag("is_suspicious") == Some(true) || name.contains("suspicious");
        let severity = if odd { Severity::Notable } else { Severity::Routine };
        return Meaning { verb: None, severity, ..plain };
    }
    let to = happening.text("email_forwarding_destination_address");
    if let Some(to) = to {
        let target = called(&format!("mail to {to}"), None);
        return Meaning { verb: Some(Verb::Share), target, severity: Severity::Notable, ..plain };
    }
    Meaning { verb: Some(Verb::Define), severity: Severity::Notable, ..plain }
}

#[cfg(test)]
mod tests;
