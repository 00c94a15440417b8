//! Accounts, and whether they are suspended.

use google_api::{ApiError, Change, Get, WriteApi, method};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use watch::containment::ContainmentError;

use crate::failure::failed;

/// An account as the directory has it, as far as containment needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) primary_email: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    pub(crate) is_admin: bool,
    #[serde(default)]
    pub(crate) suspended: bool,
    #[serde(default)]
    suspension_reason: Option<String>,
}

/// Whether an account was suspended before: what is to be changed, and the record of what was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedAccount {
    /// The account's id, which no rename changes.
    pub id: String,
    /// Its address.
    pub email: String,
    /// Whether it was suspended.
    pub suspended: bool,
    /// Why it was, in the directory's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The directory's word for why it is suspended now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_since: Option<String>,
}

impl Account {
    /// Tells whether an address is one of this account's.
    pub(crate) fn is(&self, address: &str) -> bool {
        let mut own = self.aliases.iter().chain([&self.primary_email, &self.id]);
        own.any(|own| own.eq_ignore_ascii_case(address))
    }

    pub(crate) fn record(&self) -> SuspendedAccount {
        SuspendedAccount {
            id: self.id.clone(),
            email: self.primary_email.clone(),
            suspended: self.suspended,
            reason: self.suspension_reason.clone(),
            reason_since: None,
        }
    }

    /// Returns the directory's word for why it is suspended.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.suspension_reason.as_deref().filter(|_| self.suspended)
    }
}

fn path(account: &str) -> String {
    format!("admin/directory/v1/users/{}", connect_http::escape(account))
}

/// Reads an account; `None` when there is none.
pub(crate) fn find(api: &WriteApi, admin: &str, account: &str) -> Result<Option<Account>, ContainmentError> {
    match api.reading().get(admin, &Get::new(&method::CONTAIN_USERS_GET, path(account))) {
        Ok(account) => Ok(Some(account)),
        Err(ApiError::NotFound(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Suspends an account, or ends that; nothing else about it changes. Returns how it is then.
pub(crate) fn suspend(
    api: &WriteApi,
    admin: &str,
    id: &str,
    suspended: bool,
) -> Result<Account, ContainmentError> {
    let body: Value = json!({ "suspended": suspended });
    match api.send(admin, &Change::patch(&method::CONTAIN_USERS_PATCH, path(id), body)) {
        Ok(account) => Ok(account),
        Err(ApiError::NotFound(_)) => Err(ContainmentError::Gone { subject: id.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}
