//! Whether a domain can be read, scope by scope.

use connect::Finding;
use google_api::{ApiError, Get, ReadApi, method};
use serde_json::Value;

use crate::reader::{GoogleSettings, Part};

/// The calls that show whether a scope was granted, by what they are for.
fn trials(parts: &std::collections::BTreeSet<Part>) -> Vec<(&'static str, Get)> {
    let mut trials = vec![(
        "users can be listed",
        Get::new(&method::USERS_LIST, "admin/directory/v1/users")
            .query("customer", "my_customer")
            .query("maxResults", "1"),
    )];
    if parts.contains(&Part::Directory) {
        let customer = "admin/directory/v1/customer/my_customer";
        trials.push((
            "groups can be listed",
            Get::new(&method::GROUPS_LIST, "admin/directory/v1/groups")
                .query("customer", "my_customer")
                .query("maxResults", "1"),
        ));
        trials.push((
            "organizational units can be listed",
            Get::new(&method::ORGUNITS_LIST, format!("{customer}/orgunits")),
        ));
        trials.push(("roles can be listed", Get::new(&method::ROLES_LIST, format!("{customer}/roles"))));
    }
    if parts.contains(&Part::Gmail) {
        trials.push(("mail can be read", Get::new(&method::GMAIL_PROFILE, "gmail/v1/users/me/profile")));
    }
    if parts.contains(&Part::Drive) {
        let about = Get::new(&method::DRIVE_ABOUT, "drive/v3/about").query("fields", "user");
        trials.push(("files can be read", about));
        let drives = Get::new(&method::DRIVE_DRIVES_LIST, "drive/v3/drives")
            .query("useDomainAdminAccess", "true")
            .query("pageSize", "1");
        trials.push(("shared drives can be listed", drives));
    }
    trials
}

/// Tries each scope in the administrator's name.
pub(crate) fn check(api: &ReadApi, settings: &GoogleSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (subject, get) in trials(&settings.parts) {
        let scope = get.method.scope;
        match api.get::<Value>(&settings.admin, &get) {
            Ok(_) => findings.push(Finding::good(subject, format!("with the scope {scope}"))),
            Err(ApiError::Obstacle(obstacle)) => {
                findings.push(Finding::bad(subject, obstacle.to_string(), obstacle.hint()));
                if obstacle.concerns_all() {
                    break;
                }
            }
            Err(error) => findings.push(Finding::bad(
                subject,
                error.to_string(),
                format!("make sure that {} is an administrator and that the API is enabled", settings.admin),
            )),
        }
    }
    findings
}
