//! Rows of the log about consents of users, and about delegation to service accounts.

use crate::{audit::Parameter, oauth::Grant, tenant::Tenant};

/// Returns the product that a scope belongs to, as the log calls it.
fn product(scope: &str) -> &'static str {
    let name = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    let begins = [
        ("https://mail.google.com/", "GMAIL"),
        ("gmail", "GMAIL"),
        ("drive", "DRIVE"),
        ("calendar", "CALENDAR"),
        ("contacts", "CONTACTS"),
        ("directory", "CONTACTS"),
        ("admin", "GSUITE_ADMIN"),
    ];
    begins.iter().find(|(begin, _)| name.starts_with(begin)).map_or("OTHER", |(_, product)| product)
}

impl Tenant {
    /// Notes that a user has consented to a program (`authorize`), or withdrawn that (`revoke`). Delegation to service
    /// accounts never comes here: it is an administrator's doing.
    pub(crate) fn note_consent(&mut self, name: &'static str, grant: &Grant) {
        let scopes: Vec<String> = grant.scopes.iter().cloned().collect();
        let data = scopes
            .iter()
            .map(|scope| {
                vec![
                    Parameter::text("scope_name", scope.clone()),
                    Parameter::texts("product_bucket", vec![product(scope).to_owned()]),
                ]
            })
            .collect();
        let kind = if grant.app.native { "NATIVE_DESKTOP" } else { "WEB" };
        let parameters = vec![
            Parameter::text("client_id", grant.app.client_id.clone()),
            Parameter::text("app_name", grant.app.display_text.clone()),
            Parameter::text("client_type", kind),
            Parameter::texts("scope", scopes),
            Parameter::messages("scope_data", data),
        ];
        let user = grant.user.to_string();
        self.note_of_person(&user, ("token", "auth", name), parameters);
    }

    /// Withdraws a user's consent to a program with everything that came of it, and notes that; tells whether there
    /// was one. `user` is an id.
    pub(crate) fn revoke_consent(&mut self, user: &str, client_id: &str) -> bool {
        let of = |grant: &&Grant| *grant.user == *user && grant.app.client_id == client_id;
        let grants: Vec<Grant> = self.grants().iter().filter(of).cloned().collect();
        let withdrawn = self.oauth.withdraw(user, client_id, self.settings.access_tokens_outlive_revocation);
        for grant in &grants {
            self.note_consent("revoke", grant);
        }
        withdrawn
    }
}
