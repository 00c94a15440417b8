//! The domain's shared drives, who is in them, and in whose name each is read.

use std::collections::{BTreeMap, BTreeSet};

use connect::units::{KnownBelow, Unit, UnitError, UnitSink, blinded_stream, positions_stream};
use google_api::{ApiError, Get, ReadApi, method};
use model::{NameError, StreamName};
use ports::Clock;
use serde_json::{Map, Value};

use super::{
    FILE_PREFIX, shared_drive_stream, shared_drive_unit,
    wire::{PERMISSION_FIELDS, PermissionPage},
};
use crate::{
    failure::unit_error,
    feed,
    losses::{self, Losses},
    records::{self, Record},
    user::User,
};

const PAGE: &str = "100";
const DRIVE_PREFIX: &str = "drive/";
const MEMBER_PREFIX: &str = "member/";
const DRIVE_FIELDS: &str =
    "nextPageToken,drives(id,name,createdTime,colorRgb,themeId,orgUnitId,restrictions)";

/// Roles from the one that sees most to the one that sees least.
const ROLES: [&str; 5] = ["organizer", "fileOrganizer", "writer", "commenter", "reader"];

/// A shared drive with its members.
#[derive(Debug, Clone)]
pub(crate) struct SharedDrive {
    pub(crate) id: String,
    /// In whose name it is read, and whether that member sees all of it; nobody when no member may be used.
    pub(crate) reader: Option<(String, bool)>,
    document: Value,
    members: Vec<Value>,
}

/// Lists all shared drives in an administrator's name, and chooses for each in whose name of these users it is read.
pub(crate) fn list_shared_drives(
    api: &ReadApi,
    admin: &str,
    users: &[User],
) -> Result<Vec<SharedDrive>, ApiError> {
    let documents = list_drives(api, admin)?;
    let ids: Vec<&str> = documents.iter().filter_map(|document| document["id"].as_str()).collect();
    let gets: Vec<Get> = ids.iter().map(|id| members_of(id)).collect();
    let mut answers = Vec::with_capacity(gets.len());
    for gets in gets.chunks(api.batch_calls()) {
        answers.extend(api.get_many(admin, gets)?);
    }
    let mut groups = Groups { api, admin, members: BTreeMap::new() };
    let mut drives = Vec::new();
    for ((document, get), answer) in documents.iter().zip(&gets).zip(answers) {
        let first = match answer {
            Ok(body) => parsed(get, &body)?,
            // Deleted since it was listed.
            Err(ApiError::NotFound(_)) => continue,
            Err(error) => return Err(error),
        };
        let members = all_members(api, admin, get, first)?;
        let reader = choose(&members, users, |group| groups.members_of(group))?;
        let id = document["id"].as_str().unwrap_or_default().to_owned();
        drives.push(SharedDrive { id, reader, document: document.clone(), members });
    }
    Ok(drives)
}

fn list_drives(api: &ReadApi, admin: &str) -> Result<Vec<Value>, ApiError> {
    let list = Get::new(&method::DRIVE_DRIVES_LIST, "drive/v3/drives")
        .query("useDomainAdminAccess", "true")
        .query("pageSize", PAGE)
        .query("fields", DRIVE_FIELDS);
    let (mut all, mut token) = (Vec::new(), None::<String>);
    loop {
        let get = token.iter().fold(list.clone(), |get, token| get.query("pageToken", token));
        let mut page: Map<String, Value> = api.get(admin, &get)?;
        let drives = feed::entries(&mut page, "drives").map_err(|error| error.of_answer(get.method))?;
        all.extend(drives.into_iter().filter(|drive| drive["id"].is_string()));
        token = feed::token(&page, "nextPageToken");
        if token.is_none() {
            return Ok(all);
        }
    }
}

fn members_of(drive: &str) -> Get {
    let drive = connect_http::escape(drive);
    Get::new(&method::DRIVE_PERMISSIONS_LIST, format!("drive/v3/files/{drive}/permissions"))
        .query("supportsAllDrives", "true")
        .query("useDomainAdminAccess", "true")
        .query("pageSize", PAGE)
        .query("fields", PERMISSION_FIELDS)
}

fn parsed(get: &Get, body: &[u8]) -> Result<PermissionPage, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::Answer { method: get.method.name, source: Box::new(error) })
}

fn all_members(
    api: &ReadApi,
    admin: &str,
    get: &Get,
    mut page: PermissionPage,
) -> Result<Vec<Value>, ApiError> {
    let mut all = Vec::new();
    loop {
        all.extend(page.permissions.iter().filter_map(|member| serde_json::to_value(member).ok()));
        let Some(token) = page.next_page_token else { return Ok(all) };
        page = api.get(admin, &get.clone().query("pageToken", token))?;
    }
}

/// Who is in groups, asked for when it is needed.
struct Groups<'a> {
    api: &'a ReadApi,
    admin: &'a str,
    members: BTreeMap<String, Vec<String>>,
}

impl Groups<'_> {
    /// Returns the addresses of everybody in a group, and in the groups in it.
    fn members_of(&mut self, group: &str) -> Result<Vec<String>, ApiError> {
        if let Some(known) = self.members.get(group) {
            return Ok(known.clone());
        }
        let path = format!("admin/directory/v1/groups/{}/members", connect_http::escape(group));
        let list = Get::new(&method::MEMBERS_LIST, path)
            .query("includeDerivedMembership", "true")
            .query("maxResults", "200");
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let get = token.iter().fold(list.clone(), |get, token| get.query("pageToken", token));
            let page: Value = match self.api.get(self.admin, &get) {
                Ok(page) => page,
                // A group of another domain, or groups may not be read: nobody is found in it.
                Err(ApiError::NotFound(_) | ApiError::Refused(_) | ApiError::Obstacle(_)) => break,
                Err(error) => return Err(error),
            };
            let members = page["members"].as_array().into_iter().flatten();
            all.extend(members.filter_map(|member| Some(member["email"].as_str()?.to_lowercase())));
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        self.members.insert(group.to_owned(), all.clone());
        Ok(all)
    }
}

/// Chooses in whose name a shared drive is read: of those who may be used, whoever sees most. Members of groups come after
/// members by name of the same role.
fn choose(
    members: &[Value],
    users: &[User],
    mut in_group: impl FnMut(&str) -> Result<Vec<String>, ApiError>,
) -> Result<Option<(String, bool)>, ApiError> {
    let usable = |address: &str| users.iter().any(|user| !user.is_suspended && user.email == address);
    for role in ROLES {
        let of_role = |kind: &'static str| {
            let own = members.iter().filter(move |member| member["role"] == role && member["type"] == kind);
            own.filter_map(|member| Some(member["emailAddress"].as_str()?.to_lowercase()))
        };
        let mut found = of_role("user").find(|address| usable(address));
        if found.is_none() {
            for group in of_role("group") {
                found = in_group(&group)?.into_iter().find(|address| usable(address));
                if found.is_some() {
                    break;
                }
            }
        }
        if let Some(address) = found {
            return Ok(Some((address, role == "organizer")));
        }
    }
    Ok(None)
}

/// The unit of the list of shared drives.
pub(crate) struct SharedDrives {
    pub(crate) api: std::sync::Arc<ReadApi>,
    pub(crate) admin: String,
    pub(crate) stream: StreamName,
    pub(crate) clock: std::sync::Arc<dyn Clock>,
    /// The drives as they were just listed.
    pub(crate) drives: Vec<SharedDrive>,
}

impl Unit for SharedDrives {
    fn name(&self) -> &'static str {
        "shared-drives"
    }

    fn read(&self, _position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let (mut drives, mut members) = (Vec::new(), Vec::new());
        let (mut listed, mut listed_members) = (BTreeSet::new(), BTreeSet::new());
        for drive in &self.drives {
            let key = format!("{DRIVE_PREFIX}{}", drive.id);
            listed.insert(key.clone());
            drives.push(Record::new(key, drive.document["name"].as_str(), drive.document.clone()));
            for member in &drive.members {
                let key =
                    format!("{MEMBER_PREFIX}{}/{}", drive.id, member["id"].as_str().unwrap_or_default());
                if listed_members.insert(key.clone()) {
                    members.push(Record::new(key, member["emailAddress"].as_str(), member.clone()));
                }
            }
        }
        for id in self.confirm_gone(&listed, sink)? {
            self.remove_files(&id, sink)?;
        }
        records::store(&self.stream, &drives, sink)?;
        records::store(&self.stream, &members, sink)?;
        records::remove_others(&self.stream, DRIVE_PREFIX, &listed, sink)?;
        records::remove_others(&self.stream, MEMBER_PREFIX, &listed_members, sink)
    }
}

impl SharedDrives {
    /// Asks for each shared drive by name that is held and not listed: a list that leaves out what is there says nothing.
    /// Returns those that are gone.
    fn confirm_gone(
        &self,
        listed: &BTreeSet<String>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Vec<String>, UnitError> {
        let mut gone = Vec::new();
        let mut known = KnownBelow::new(DRIVE_PREFIX);
        while let Some(keys) = known.next_page(&self.stream, sink)? {
            let held = keys.iter().filter(|key| !listed.contains(*key));
            for id in held.filter_map(|key| key.strip_prefix(DRIVE_PREFIX)) {
                let path = format!("drive/v3/drives/{}", connect_http::escape(id));
                let get = Get::new(&method::DRIVE_DRIVES_GET, path).query("useDomainAdminAccess", "true");
                match self.api.get::<Value>(&self.admin, &get) {
                    Err(ApiError::NotFound(_)) => gone.push(id.to_owned()),
                    Err(error) => return Err(unit_error(&error)),
                    Ok(_) => {
                        let detail = "the shared drives were not listed completely".to_owned();
                        return Err(UnitError::Failed { detail });
                    }
                }
            }
        }
        Ok(gone)
    }

    /// Tells that everything in a shared drive is gone, as the drive is. The record of the drive goes after its files: as
    /// long as it is held, this is begun again.
    fn remove_files(&self, id: &str, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let unnamed = |error: NameError| UnitError::Failed { detail: error.to_string() };
        let stream = shared_drive_stream(id).map_err(unnamed)?;
        let mut losses = Losses::default();
        let mut known = KnownBelow::new("");
        while let Some(keys) = known.next_page(&stream, sink)? {
            for key in keys {
                losses.deleted += u64::from(key.starts_with(FILE_PREFIX));
                sink.removed(&stream, key)?;
            }
        }
        let unit = shared_drive_unit(id);
        // An administrator can bring the drive back: then it is read from its beginning.
        for of_units in [positions_stream(), blinded_stream()] {
            let of_units = of_units.map_err(unnamed)?;
            if sink.known(&of_units, vec![unit.clone()])?.into_iter().flatten().next().is_some() {
                sink.removed(&of_units, unit.clone())?;
            }
        }
        let place = losses::Place {
            position: unit.clone(),
            transaction: format!("the end of the shared drive {id}"),
            scope: stream.as_str().to_owned(),
        };
        losses.event(self.clock.now(), place).map_or(Ok(()), |event| sink.event(event))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(email: &str, is_suspended: bool) -> User {
        User { id: email.to_owned(), email: email.to_owned(), is_suspended, has_mailbox: true }
    }

    fn member(role: &str, kind: &str, address: &str) -> Value {
        json!({ "role": role, "type": kind, "emailAddress": address })
    }

    #[test]
    fn whoever_sees_most_and_may_be_used_is_chosen() {
        let users = [user("anna@x.test", false), user("ben@x.test", true), user("cleo@x.test", false)];
        let group = |_: &str| Ok(vec!["cleo@x.test".to_owned()]);
        let chosen = |members: &[Value]| choose(members, &users, group).unwrap();
        let anna = member("reader", "user", "Anna@x.test");
        assert_eq!(chosen(std::slice::from_ref(&anna)), Some(("anna@x.test".to_owned(), false)));
        let ben = member("organizer", "user", "ben@x.test");
        assert_eq!(chosen(&[anna.clone(), ben.clone()]), Some(("anna@x.test".to_owned(), false)));
        let team = member("organizer", "group", "team@x.test");
        assert_eq!(chosen(&[anna, ben.clone(), team]), Some(("cleo@x.test".to_owned(), true)));
        assert_eq!(chosen(&[ben, member("writer", "user", "guest@y.test")]), None);
    }
}
