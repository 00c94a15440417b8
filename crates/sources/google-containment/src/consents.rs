//! What users let programs do.

use google_api::{ApiError, Change, Get, WriteApi, method};
use serde::{Deserialize, Serialize};
use watch::containment::ContainmentError;

use crate::failure::failed;

/// Scopes with which a program can delete or trash, change or lock away what is a user's.
const DESTRUCTIVE: [&str; 9] = [
    "https://mail.google.com/",
    "https://www.googleapis.com/auth/gmail.modify",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/calendar",
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendars",
    "https://www.googleapis.com/auth/contacts",
    "https://www.googleapis.com/auth/admin.directory.user",
    "https://www.googleapis.com/auth/admin.directory.group",
];

/// A user's consent to a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The user's address.
    pub user: String,
    /// What the program may do.
    pub scopes: Vec<String>,
}

/// The consents of one program: what is to be taken away, and the record of what was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramConsents {
    /// The program's OAuth client.
    pub client: String,
    /// What it calls itself.
    pub name: String,
    /// Who let it in.
    pub consents: Vec<Consent>,
}

impl ProgramConsents {
    /// Says which consent a person must give again: no program can.
    pub fn to_be_given_again(&self) -> String {
        let users: Vec<&str> = self.consents.iter().map(|consent| consent.user.as_str()).collect();
        format!(
            "only the user gives a consent: {} would have to let {} ({}) in again",
            users.join(", "),
            self.name,
            self.client
        )
    }

    /// Says of a user what was consented, in the place of what was known of it before.
    pub(crate) fn note(&mut self, consent: Consent) {
        match self.consents.iter_mut().find(|known| known.user == consent.user) {
            Some(known) => *known = consent,
            None => self.consents.push(consent),
        }
    }
}

/// A program that a user let in, as the directory lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    pub(crate) client_id: String,
    #[serde(default)]
    display_text: String,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct TokenList {
    #[serde(default)]
    items: Vec<Token>,
}

impl Token {
    pub(crate) fn is_destructive(&self) -> bool {
        self.scopes.iter().any(|scope| DESTRUCTIVE.contains(&scope.as_str()))
    }

    pub(crate) fn name(&self) -> &str {
        if self.display_text.is_empty() { &self.client_id } else { &self.display_text }
    }

    pub(crate) fn consent(&self, user: &str) -> Consent {
        Consent { user: user.to_owned(), scopes: self.scopes.clone() }
    }
}

/// Lists the programs that a user let in; none where there is no such user.
pub(crate) fn of_user(api: &WriteApi, admin: &str, user: &str) -> Result<Vec<Token>, ContainmentError> {
    let path = format!("admin/directory/v1/users/{}/tokens", connect_http::escape(user));
    match api.reading().get::<TokenList>(admin, &Get::new(&method::CONTAIN_TOKENS_LIST, path)) {
        Ok(list) => Ok(list.items),
        Err(ApiError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Takes a user's consent from a program; one that is not there is gone already.
pub(crate) fn revoke(api: &WriteApi, admin: &str, user: &str, client: &str) -> Result<(), ContainmentError> {
    let (user, client) = (connect_http::escape(user), connect_http::escape(client));
    let path = format!("admin/directory/v1/users/{user}/tokens/{client}");
    match api.send_only(admin, &Change::delete(&method::CONTAIN_TOKENS_DELETE, path)) {
        Ok(()) | Err(ApiError::NotFound(_)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
