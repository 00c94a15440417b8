//! Taking away what drills made in a sandbox, and nothing else.
//!
//! Whatever a drill makes carries its name; whatever carries the name of a drill of this source is taken away, also what one
//! made that was killed. Mail goes into the trash, which Google empties: deleting it for good takes a scope that nothing
//! here asks for.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::WriteError;
use connect_http::escape;
use google_api::{ApiError, Change, Get, Method, WriteApi, method};
use serde_json::{Value, json};
use source_google::Part;

use super::Mark;
use crate::step::failed;

const LABELS: &str = "gmail/v1/users/me/labels";
const FOLDER: &str = "application/vnd.google-apps.folder";
const TRASH: &str = "TRASH";
/// So many things are named in one call: People takes no more.
const NAMED_MAX: usize = 500;
/// The key of the entry that tells whom a contact was made for.
const CONTACT_MARK: &str = "unwipe";

/// How many things were taken away, by what they are called.
pub type Swept = BTreeMap<&'static str, u64>;

/// Takes away what drills of this source made: with these accounts, and, of the parts of a service that belong to the whole
/// domain, in the name of the administrator. Only these parts are looked at.
pub fn sweep(
    api: &WriteApi,
    mark: &Mark,
    admin: &str,
    accounts: &BTreeSet<String>,
    parts: &BTreeSet<Part>,
) -> Result<Swept, WriteError> {
    let mut sweep = Sweep { api, family: mark.family(), mark, swept: Swept::new() };
    for account in accounts {
        for part in parts {
            match part {
                Part::Gmail => sweep.mail(account)?,
                Part::Drive => sweep.folders(account)?,
                Part::Calendar => sweep.calendars(account)?,
                Part::Contacts => sweep.contacts(account)?,
                Part::Directory | Part::Audit => {}
            }
        }
    }
    if parts.contains(&Part::Drive) {
        sweep.drives(admin)?;
    }
    if parts.contains(&Part::Directory) {
        sweep.groups(admin)?;
    }
    Ok(sweep.swept)
}

struct Sweep<'s> {
    api: &'s WriteApi,
    /// What the names of everything begin with that is taken away.
    family: String,
    mark: &'s Mark,
    swept: Swept,
}

impl Sweep<'_> {
    fn pages(&self, user: &str, get: &Get, member: &str) -> Result<Vec<Value>, WriteError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let get = token.iter().fold(get.clone(), |get, token| get.query("pageToken", token));
            let page: Result<Value, ApiError> = self.api.reading().get(user, &get);
            let mut page = page.map_err(|error| failed("list what drills made", error))?;
            if let Value::Array(items) = page[member].take() {
                all.extend(items);
            }
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Makes a call that takes something away; what is gone already is as it should be.
    fn take(
        &mut self,
        user: &str,
        what: &'static str,
        change: &Change,
        count: u64,
    ) -> Result<(), WriteError> {
        match self.api.send_only(user, change) {
            Ok(()) | Err(ApiError::NotFound(_) | ApiError::Expired(_)) => {}
            Err(error) => return Err(failed("take away what a drill made", error)),
        }
        *self.swept.entry(what).or_default() += count;
        Ok(())
    }

    fn delete(
        &mut self,
        user: &str,
        what: &'static str,
        method: &'static Method,
        path: String,
    ) -> Result<(), WriteError> {
        self.take(user, what, &Change::delete(method, path), 1)
    }

    /// Returns the ids of those whose name says that a drill of this source made them.
    fn own(&self, items: &[Value], name: &str, id: &str) -> Vec<String> {
        let is_own = |item: &&Value| item[name].as_str().is_some_and(|name| name.starts_with(&self.family));
        items.iter().filter(is_own).filter_map(|item| item[id].as_str().map(str::to_owned)).collect()
    }

    fn mail(&mut self, user: &str) -> Result<(), WriteError> {
        let labels = self.pages(user, &Get::new(&method::RESTORE_LABELS_LIST, LABELS), "labels")?;
        for label in self.own(&labels, "name", "id") {
            let list = Get::new(&method::RESTORE_MESSAGES_LIST, "gmail/v1/users/me/messages")
                .query("labelIds", &label)
                .query("includeSpamTrash", "true")
                .query("maxResults", "500");
            let messages = self.pages(user, &list, "messages")?;
            let ids: Vec<&Value> = messages.iter().map(|message| &message["id"]).collect();
            for ids in ids.chunks(NAMED_MAX) {
                let body = json!({ "ids": ids, "addLabelIds": [TRASH], "removeLabelIds": [label] });
                let path = "gmail/v1/users/me/messages/batchModify";
                let change = Change::post(&method::RESTORE_BATCH_MODIFY, path, body);
                self.take(user, "messages", &change, ids.len() as u64)?;
            }
            let path = format!("{LABELS}/{}", escape(&label));
            self.delete(user, "labels", &method::SANDBOX_LABELS_DELETE, path)?;
        }
        Ok(())
    }

    fn folders(&mut self, user: &str) -> Result<(), WriteError> {
        let list = Get::new(&method::RESTORE_FILES_LIST, "drive/v3/files")
            .query("q", format!("'root' in parents and mimeType = '{FOLDER}'"))
            .query("pageSize", "1000")
            .query("fields", "nextPageToken,files(id,name)");
        let folders = self.pages(user, &list, "files")?;
        for folder in self.own(&folders, "name", "id") {
            let path = format!("drive/v3/files/{}", escape(&folder));
            self.delete(user, "folders", &method::SANDBOX_FILES_DELETE, path)?;
        }
        Ok(())
    }

    fn calendars(&mut self, user: &str) -> Result<(), WriteError> {
        let list = Get::new(&method::RESTORE_CALENDAR_LIST, "calendar/v3/users/me/calendarList")
            .query("showHidden", "true")
            .query("minAccessRole", "owner")
            .query("maxResults", "250");
        let mut calendars = self.pages(user, &list, "items")?;
        calendars.retain(|calendar| calendar["primary"] != true);
        for calendar in self.own(&calendars, "summary", "id") {
            let path = format!("calendar/v3/calendars/{}", escape(&calendar));
            self.delete(user, "calendars", &method::SANDBOX_CALENDARS_DELETE, path)?;
        }
        Ok(())
    }

    fn contacts(&mut self, user: &str) -> Result<(), WriteError> {
        let list = Get::new(&method::RESTORE_CONNECTIONS_LIST, "v1/people/me/connections")
            .query("personFields", "clientData,metadata")
            .query("pageSize", "1000");
        let family = self.mark.copies_family();
        let is_own = |person: &&Value| {
            let mut data = person["clientData"].as_array().into_iter().flatten();
            data.any(|entry| {
                entry["key"] == CONTACT_MARK
                    && entry["value"].as_str().is_some_and(|mark| mark.starts_with(&family))
            })
        };
        let people = self.pages(user, &list, "connections")?;
        let names: Vec<&Value> = people.iter().filter(is_own).map(|person| &person["resourceName"]).collect();
        for names in names.chunks(NAMED_MAX) {
            let body = json!({ "resourceNames": names });
            let change =
                Change::post(&method::SANDBOX_CONTACTS_DELETE, "v1/people:batchDeleteContacts", body);
            self.take(user, "contacts", &change, names.len() as u64)?;
        }
        let list = Get::new(&method::RESTORE_CONTACT_GROUPS_LIST, "v1/contactGroups")
            .query("groupFields", "name,groupType")
            .query("pageSize", "1000");
        let groups = self.pages(user, &list, "contactGroups")?;
        for group in self.own(&groups, "name", "resourceName") {
            let path = format!("v1/{group}");
            self.delete(user, "groups of contacts", &method::SANDBOX_CONTACT_GROUPS_DELETE, path)?;
        }
        Ok(())
    }

    fn drives(&mut self, admin: &str) -> Result<(), WriteError> {
        let list = Get::new(&method::SANDBOX_DRIVES_LIST, "drive/v3/drives")
            .query("useDomainAdminAccess", "true")
            .query("pageSize", "100")
            .query("fields", "nextPageToken,drives(id,name)");
        let drives = self.pages(admin, &list, "drives")?;
        for drive in self.own(&drives, "name", "id") {
            let path = format!("drive/v3/drives/{}", escape(&drive));
            let change = Change::delete(&method::SANDBOX_DRIVES_DELETE, path)
                .query("useDomainAdminAccess", "true")
                .query("allowItemDeletion", "true");
            self.take(admin, "shared drives", &change, 1)?;
        }
        Ok(())
    }

    fn groups(&mut self, admin: &str) -> Result<(), WriteError> {
        let list = Get::new(&method::SANDBOX_GROUPS_LIST, "admin/directory/v1/groups")
            .query("customer", "my_customer")
            .query("maxResults", "200");
        let family = self.mark.address_family();
        for group in self.pages(admin, &list, "groups")? {
            let is_own = group["email"].as_str().is_some_and(|address| address.starts_with(&family));
            if let Some(id) = group["id"].as_str().filter(|_| is_own) {
                let path = format!("admin/directory/v1/groups/{}", escape(id));
                self.delete(admin, "groups of users", &method::SANDBOX_GROUPS_DELETE, path)?;
            }
        }
        Ok(())
    }
}
