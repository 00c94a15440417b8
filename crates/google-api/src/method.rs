//! The methods that are called, with what they cost and which scope each needs.

/// The reading scopes. Each is the least that its calls need.
pub mod scope {
    /// Reads mail, labels and settings.
    pub const GMAIL_READ: &str = "https://www.googleapis.com/auth/gmail.readonly";
    /// Reads files with their content.
    pub const DRIVE_READ: &str = "https://www.googleapis.com/auth/drive.readonly";
    /// Reads calendars and events.
    pub const CALENDAR_READ: &str = "https://www.googleapis.com/auth/calendar.readonly";
    /// Reads who may see calendars; the scope that reads everything else of them does not list that.
    pub const CALENDAR_SHARING_READ: &str = "https://www.googleapis.com/auth/calendar.acls.readonly";
    /// Reads contacts.
    pub const CONTACTS_READ: &str = "https://www.googleapis.com/auth/contacts.readonly";
    /// Reads contacts that were never saved.
    pub const OTHER_CONTACTS_READ: &str = "https://www.googleapis.com/auth/contacts.other.readonly";
    /// Lists users.
    pub const USERS_READ: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly";
    /// Lists groups and their members.
    pub const GROUPS_READ: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";
    /// Lists organizational units.
    pub const ORGUNITS_READ: &str = "https://www.googleapis.com/auth/admin.directory.orgunit.readonly";
    /// Lists roles and who has them.
    pub const ROLES_READ: &str = "https://www.googleapis.com/auth/admin.directory.rolemanagement.readonly";
    /// Reads the audit log.
    pub const AUDIT_READ: &str = "https://www.googleapis.com/auth/admin.reports.audit.readonly";
}

/// The scopes of a restore, each the least that its calls need. Those of mail cannot delete anything for good; those of
/// files, events, contacts and groups could, and no call here does.
pub mod restore_scope {
    /// Reads mail and changes its labels; moves into the trash and out of it.
    pub const GMAIL_MODIFY: &str = "https://www.googleapis.com/auth/gmail.modify";
    /// Puts messages into a mailbox.
    pub const GMAIL_INSERT: &str = "https://www.googleapis.com/auth/gmail.insert";
    /// Makes labels.
    pub const GMAIL_LABELS: &str = "https://www.googleapis.com/auth/gmail.labels";
    /// Reads and changes files. A narrower one knows only files that the same program made.
    pub const DRIVE: &str = "https://www.googleapis.com/auth/drive";
    /// Reads and writes events.
    pub const CALENDAR_EVENTS: &str = "https://www.googleapis.com/auth/calendar.events";
    /// Makes calendars and writes their names and zones.
    pub const CALENDAR_CALENDARS: &str = "https://www.googleapis.com/auth/calendar.calendars";
    /// Reads and writes a user's list of calendars.
    pub const CALENDAR_LIST: &str = "https://www.googleapis.com/auth/calendar.calendarlist";
    /// Reads and writes who may see calendars.
    pub const CALENDAR_SHARING: &str = "https://www.googleapis.com/auth/calendar.acls";
    /// Reads and writes contacts and their groups.
    pub const CONTACTS: &str = "https://www.googleapis.com/auth/contacts";
    /// Makes groups of users and writes their names.
    pub const GROUPS: &str = "https://www.googleapis.com/auth/admin.directory.group";
    /// Reads and writes who is in a group of users.
    pub const GROUP_MEMBERS: &str = "https://www.googleapis.com/auth/admin.directory.group.member";
}

/// The scopes of containment: who let which program in, and whether an account is suspended. The second one could do more
/// to accounts than suspend them, and no call here does; there is no narrower one.
pub mod containment_scope {
    /// Lists and removes the consents that users gave to programs.
    pub const CONSENTS: &str = "https://www.googleapis.com/auth/admin.directory.user.security";
    /// Reads and changes accounts.
    pub const ACCOUNTS: &str = "https://www.googleapis.com/auth/admin.directory.user";
}

/// A product with a quota and an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Gmail.
    Gmail,
    /// Drive.
    Drive,
    /// Calendar.
    Calendar,
    /// People: contacts.
    People,
    /// Directory and Reports: the administrator's APIs.
    Admin,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Gmail, Self::Drive, Self::Calendar, Self::People, Self::Admin];

    /// Returns the name that its pools of quota begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gmail => "gmail",
            Self::Drive => "drive",
            Self::Calendar => "calendar",
            Self::People => "people",
            Self::Admin => "admin",
        }
    }

    /// Returns where it is.
    pub const fn address(self) -> &'static str {
        match self {
            Self::Gmail => "https://gmail.googleapis.com",
            Self::Drive | Self::Calendar => "https://www.googleapis.com",
            Self::People => "https://people.googleapis.com",
            Self::Admin => "https://admin.googleapis.com",
        }
    }

    /// Returns the path at which it takes batches.
    pub const fn batch_path(self) -> &'static str {
        match self {
            Self::Drive => "batch/drive/v3",
            Self::Calendar => "batch/calendar/v3",
            Self::Gmail | Self::People | Self::Admin => "batch",
        }
    }
}

/// A method of an API.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name in the discovery document: `gmail.users.messages.get`.
    pub name: &'static str,
    /// Whose it is.
    pub service: Service,
    /// What one call costs, in the service's own units (published for projects made since May 2026).
    pub units: u64,
    /// The scope that it needs.
    pub scope: &'static str,
}

macro_rules! methods {
    ($(#[$list_doc:meta])* $list:ident, $scopes:ident:
     $($(#[$doc:meta])* $constant:ident = $service:ident $name:literal, $units:literal, $scope:ident;)*) => {
        $($(#[$doc])* pub const $constant: Method =
            Method { name: $name, service: Service::$service, units: $units, scope: $scopes::$scope };)*

        $(#[$list_doc])* pub const $list: &[&Method] = &[$(&$constant),*];
    };
}

methods! {
    /// Every reading method, for tables of prices and for tests.
    READING, scope:
    /// The mailbox's size and the newest id of its history.
    GMAIL_PROFILE = Gmail "gmail.users.getProfile", 1, GMAIL_READ;
    /// Ids of messages, page by page.
    GMAIL_MESSAGES_LIST = Gmail "gmail.users.messages.list", 5, GMAIL_READ;
    /// One message.
    GMAIL_MESSAGES_GET = Gmail "gmail.users.messages.get", 20, GMAIL_READ;
    /// What changed.
    GMAIL_HISTORY_LIST = Gmail "gmail.users.history.list", 2, GMAIL_READ;
    /// All labels.
    GMAIL_LABELS_LIST = Gmail "gmail.users.labels.list", 1, GMAIL_READ;
    /// One of the settings.
    GMAIL_SETTINGS_GET = Gmail "gmail.users.settings.get", 1, GMAIL_READ;
    /// The domain's users.
    USERS_LIST = Admin "directory.users.list", 1, USERS_READ;
    /// The domain's groups.
    GROUPS_LIST = Admin "directory.groups.list", 1, GROUPS_READ;
    /// A group's members.
    MEMBERS_LIST = Admin "directory.members.list", 1, GROUPS_READ;
    /// The domain's organizational units.
    ORGUNITS_LIST = Admin "directory.orgunits.list", 1, ORGUNITS_READ;
    /// The domain's administrative roles.
    ROLES_LIST = Admin "directory.roles.list", 1, ROLES_READ;
    /// Who has which role.
    ROLE_ASSIGNMENTS_LIST = Admin "directory.roleAssignments.list", 1, ROLES_READ;
    /// The calendars that a user has on the screen.
    CALENDAR_LIST = Calendar "calendar.calendarList.list", 1, CALENDAR_READ;
    /// One of them.
    CALENDAR_LIST_GET = Calendar "calendar.calendarList.get", 1, CALENDAR_READ;
    /// One calendar.
    CALENDARS_GET = Calendar "calendar.calendars.get", 1, CALENDAR_READ;
    /// A user's settings for calendars.
    CALENDAR_SETTINGS_LIST = Calendar "calendar.settings.list", 1, CALENDAR_READ;
    /// A calendar's events, page by page, or what changed of them.
    EVENTS_LIST = Calendar "calendar.events.list", 1, CALENDAR_READ;
    /// One event.
    EVENTS_GET = Calendar "calendar.events.get", 1, CALENDAR_READ;
    /// Who may see a calendar.
    CALENDAR_ACL_LIST = Calendar "calendar.acl.list", 1, CALENDAR_SHARING_READ;
    /// A user's contacts, page by page, or what changed of them.
    CONNECTIONS_LIST = People "people.people.connections.list", 1, CONTACTS_READ;
    /// One contact.
    PEOPLE_GET = People "people.people.get", 1, CONTACTS_READ;
    /// The groups of a user's contacts.
    CONTACT_GROUPS_LIST = People "people.contactGroups.list", 1, CONTACTS_READ;
    /// People whom a user wrote to and never made contacts of.
    OTHER_CONTACTS_LIST = People "people.otherContacts.list", 1, OTHER_CONTACTS_READ;
    /// The photo of a contact, which is open to whoever knows its address.
    CONTACT_PHOTO = People "people.photos.get", 0, CONTACTS_READ;
    /// Who a user is to Drive, and what can be exported as what.
    DRIVE_ABOUT = Drive "drive.about.get", 5, DRIVE_READ;
    /// Where the changes of a drive stand.
    DRIVE_START_TOKEN = Drive "drive.changes.getStartPageToken", 5, DRIVE_READ;
    /// What changed in a drive.
    DRIVE_CHANGES_LIST = Drive "drive.changes.list", 100, DRIVE_READ;
    /// Files, page by page.
    DRIVE_FILES_LIST = Drive "drive.files.list", 100, DRIVE_READ;
    /// What is known of one file.
    DRIVE_FILES_GET = Drive "drive.files.get", 5, DRIVE_READ;
    /// The bytes of a file.
    DRIVE_MEDIA_GET = Drive "drive.files.get.media", 200, DRIVE_READ;
    /// A document in another program's format.
    DRIVE_FILES_EXPORT = Drive "drive.files.export", 200, DRIVE_READ;
    /// A document that is made ready for download, however large.
    DRIVE_FILES_DOWNLOAD = Drive "drive.files.download", 200, DRIVE_READ;
    /// How far that is.
    DRIVE_OPERATIONS_GET = Drive "drive.operations.get", 5, DRIVE_READ;
    /// Who may do what with a file or a shared drive.
    DRIVE_PERMISSIONS_LIST = Drive "drive.permissions.list", 100, DRIVE_READ;
    /// What was said about a file.
    DRIVE_COMMENTS_LIST = Drive "drive.comments.list", 100, DRIVE_READ;
    /// What a file was before.
    DRIVE_REVISIONS_LIST = Drive "drive.revisions.list", 100, DRIVE_READ;
    /// The bytes that a file had before.
    DRIVE_REVISIONS_GET = Drive "drive.revisions.get", 200, DRIVE_READ;
    /// The domain's shared drives.
    DRIVE_DRIVES_LIST = Drive "drive.drives.list", 100, DRIVE_READ;
    /// One shared drive.
    DRIVE_DRIVES_GET = Drive "drive.drives.get", 5, DRIVE_READ;
    /// What was done in the domain.
    ACTIVITIES_LIST = Admin "reports.activities.list", 1, AUDIT_READ;
}

methods! {
    /// Every method of a restore: those that write, and those that read with the writing identity.
    RESTORING, restore_scope:
    /// One message, read again before and after it is changed.
    RESTORE_MESSAGES_GET = Gmail "gmail.users.messages.get", 20, GMAIL_MODIFY;
    /// Messages by a search.
    RESTORE_MESSAGES_LIST = Gmail "gmail.users.messages.list", 5, GMAIL_MODIFY;
    /// What changed since the plan was made.
    RESTORE_HISTORY_LIST = Gmail "gmail.users.history.list", 2, GMAIL_MODIFY;
    /// All labels.
    RESTORE_LABELS_LIST = Gmail "gmail.users.labels.list", 1, GMAIL_LABELS;
    /// A label that is gone.
    RESTORE_LABELS_CREATE = Gmail "gmail.users.labels.create", 5, GMAIL_LABELS;
    /// Other labels for up to 1,000 messages.
    RESTORE_BATCH_MODIFY = Gmail "gmail.users.messages.batchModify", 50, GMAIL_MODIFY;
    /// A draft, as it was.
    RESTORE_DRAFTS_CREATE = Gmail "gmail.users.drafts.create", 10, GMAIL_MODIFY;
    /// A message, as it was.
    RESTORE_INSERT = Gmail "gmail.users.messages.insert", 25, GMAIL_INSERT;
    /// One file, read again before and after it is changed.
    RESTORE_FILES_GET = Drive "drive.files.get", 5, DRIVE;
    /// Files by a search.
    RESTORE_FILES_LIST = Drive "drive.files.list", 100, DRIVE;
    /// Ids that files will have, so that none is made twice.
    RESTORE_FILES_IDS = Drive "drive.files.generateIds", 5, DRIVE;
    /// A file, as it was.
    RESTORE_FILES_CREATE = Drive "drive.files.create", 50, DRIVE;
    /// A file that is still there, set back.
    RESTORE_FILES_UPDATE = Drive "drive.files.update", 50, DRIVE;
    /// Who may do what with a file, read again.
    RESTORE_PERMISSIONS_LIST = Drive "drive.permissions.list", 100, DRIVE;
    /// A permission, given again.
    RESTORE_PERMISSIONS_CREATE = Drive "drive.permissions.create", 50, DRIVE;
    /// A permission, set back.
    RESTORE_PERMISSIONS_UPDATE = Drive "drive.permissions.update", 50, DRIVE;
    /// A permission, taken away again. No file is deleted by it.
    RESTORE_PERMISSIONS_DELETE = Drive "drive.permissions.delete", 50, DRIVE;
    /// One event, read again before and after it is changed.
    RESTORE_EVENTS_GET = Calendar "calendar.events.get", 1, CALENDAR_EVENTS;
    /// Whether anything is in a calendar.
    RESTORE_EVENTS_LIST = Calendar "calendar.events.list", 1, CALENDAR_EVENTS;
    /// Fields of an event, as they were.
    RESTORE_EVENTS_PATCH = Calendar "calendar.events.patch", 1, CALENDAR_EVENTS;
    /// An event, as it was.
    RESTORE_EVENTS_INSERT = Calendar "calendar.events.insert", 1, CALENDAR_EVENTS;
    /// An event of somebody else's, as it was.
    RESTORE_EVENTS_IMPORT = Calendar "calendar.events.import", 1, CALENDAR_EVENTS;
    /// An event back into the calendar that it was in.
    RESTORE_EVENTS_MOVE = Calendar "calendar.events.move", 1, CALENDAR_EVENTS;
    /// One calendar.
    RESTORE_CALENDARS_GET = Calendar "calendar.calendars.get", 1, CALENDAR_CALENDARS;
    /// A calendar that is gone.
    RESTORE_CALENDARS_INSERT = Calendar "calendar.calendars.insert", 1, CALENDAR_CALENDARS;
    /// Fields of a calendar, as they were.
    RESTORE_CALENDARS_PATCH = Calendar "calendar.calendars.patch", 1, CALENDAR_CALENDARS;
    /// The calendars that a user has on the screen.
    RESTORE_CALENDAR_LIST = Calendar "calendar.calendarList.list", 1, CALENDAR_LIST;
    /// How a calendar looks to a user.
    RESTORE_CALENDAR_LIST_PATCH = Calendar "calendar.calendarList.patch", 1, CALENDAR_LIST;
    /// Who may see a calendar.
    RESTORE_ACL_LIST = Calendar "calendar.acl.list", 1, CALENDAR_SHARING;
    /// Somebody's right to a calendar.
    RESTORE_ACL_INSERT = Calendar "calendar.acl.insert", 1, CALENDAR_SHARING;
    /// Contacts, page by page.
    RESTORE_CONNECTIONS_LIST = People "people.people.connections.list", 1, CONTACTS;
    /// Some contacts, read again before and after they are changed.
    RESTORE_PEOPLE_GET = People "people.people.getBatchGet", 1, CONTACTS;
    /// Contacts that are gone.
    RESTORE_CONTACTS_CREATE = People "people.people.batchCreateContacts", 1, CONTACTS;
    /// Fields of a contact, as they were.
    RESTORE_CONTACTS_UPDATE = People "people.people.updateContact", 1, CONTACTS;
    /// The photo of a contact.
    RESTORE_CONTACT_PHOTO = People "people.people.updateContactPhoto", 1, CONTACTS;
    /// The groups of a user's contacts.
    RESTORE_CONTACT_GROUPS_LIST = People "people.contactGroups.list", 1, CONTACTS;
    /// A group of contacts that is gone.
    RESTORE_CONTACT_GROUPS_CREATE = People "people.contactGroups.create", 1, CONTACTS;
    /// The name of a group of contacts.
    RESTORE_CONTACT_GROUPS_UPDATE = People "people.contactGroups.update", 1, CONTACTS;
    /// A group of users.
    RESTORE_GROUPS_GET = Admin "directory.groups.get", 1, GROUPS;
    /// A group of users that is gone.
    RESTORE_GROUPS_INSERT = Admin "directory.groups.insert", 1, GROUPS;
    /// The name of a group of users.
    RESTORE_GROUPS_PATCH = Admin "directory.groups.patch", 1, GROUPS;
    /// Who is in a group of users.
    RESTORE_MEMBERS_LIST = Admin "directory.members.list", 1, GROUP_MEMBERS;
    /// Somebody in a group of users.
    RESTORE_MEMBERS_INSERT = Admin "directory.members.insert", 1, GROUP_MEMBERS;
    /// What somebody is in a group of users.
    RESTORE_MEMBERS_PATCH = Admin "directory.members.patch", 1, GROUP_MEMBERS;
}

methods! {
    /// Every method that only drills in a sandbox call besides those of restores, for tables of prices and for tests. All of
    /// them make places of a drill's own, or take away what a drill made.
    SANDBOXED, restore_scope:
    /// A shared drive of a drill's own.
    SANDBOX_DRIVES_CREATE = Drive "drive.drives.create", 50, DRIVE;
    /// The shared drives of the sandbox.
    SANDBOX_DRIVES_LIST = Drive "drive.drives.list", 100, DRIVE;
    /// A shared drive that a drill made, with what is in it.
    SANDBOX_DRIVES_DELETE = Drive "drive.drives.delete", 50, DRIVE;
    /// A folder that a drill made, with what is in it.
    SANDBOX_FILES_DELETE = Drive "drive.files.delete", 50, DRIVE;
    /// A label that a drill made.
    SANDBOX_LABELS_DELETE = Gmail "gmail.users.labels.delete", 5, GMAIL_LABELS;
    /// A calendar that a drill made, with its events.
    SANDBOX_CALENDARS_DELETE = Calendar "calendar.calendars.delete", 1, CALENDAR_CALENDARS;
    /// Contacts that a drill made.
    SANDBOX_CONTACTS_DELETE = People "people.people.batchDeleteContacts", 1, CONTACTS;
    /// A group of contacts that a drill made.
    SANDBOX_CONTACT_GROUPS_DELETE = People "people.contactGroups.delete", 1, CONTACTS;
    /// The groups of users of the sandbox.
    SANDBOX_GROUPS_LIST = Admin "directory.groups.list", 1, GROUPS;
    /// A group of users that a drill made.
    SANDBOX_GROUPS_DELETE = Admin "directory.groups.delete", 1, GROUPS;
}

methods! {
    /// Every method that stops somebody, for tables of prices and for tests.
    CONTAINING, containment_scope:
    /// The programs that a user let in.
    CONTAIN_TOKENS_LIST = Admin "directory.tokens.list", 1, CONSENTS;
    /// A program's access for a user, all of it.
    CONTAIN_TOKENS_DELETE = Admin "directory.tokens.delete", 1, CONSENTS;
    /// An account.
    CONTAIN_USERS_GET = Admin "directory.users.get", 1, ACCOUNTS;
    /// Whether an account is suspended.
    CONTAIN_USERS_PATCH = Admin "directory.users.patch", 1, ACCOUNTS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_stops_somebody_reads_what_is_theirs() {
        for method in CONTAINING {
            assert!(method.scope.contains("/admin.directory.user"), "{}: {}", method.name, method.scope);
        }
    }

    #[test]
    fn nothing_that_reads_asks_for_a_scope_that_writes() {
        for method in READING {
            assert!(method.scope.ends_with(".readonly"), "{}: {}", method.name, method.scope);
        }
    }

    #[test]
    fn a_drill_asks_for_no_scope_that_restores_do_not_ask_for() {
        for method in SANDBOXED {
            assert!(RESTORING.iter().any(|restoring| restoring.scope == method.scope), "{}", method.name);
        }
    }

    #[test]
    fn nothing_that_restores_asks_for_more_than_it_needs() {
        // Each has narrower ones beside it.
        let may_delete = [
            "https://mail.google.com/",
            "https://www.googleapis.com/auth/calendar",
            "https://www.googleapis.com/auth/admin.directory.user",
        ];
        for method in RESTORING {
            assert!(!may_delete.contains(&method.scope), "{}", method.name);
            let deletes = method.name.ends_with("elete") || method.name.ends_with("emptyTrash");
            assert!(!deletes || method.name == "drive.permissions.delete", "{}", method.name);
        }
    }
}
