//! What the audit log says of calls about files.

use std::sync::Arc;

use model::Moment;

use super::{
    file::{File, Id},
    permission::Grantee,
};
use crate::{audit::Parameter, call::Call, tenant::Tenant};

/// A file as the log names it, also when it is gone already.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    id: Id,
    title: String,
    kind: &'static str,
    owner: String,
    drive: Option<Id>,
    visibility: &'static str,
}

impl Subject {
    /// Tells whether it is the file with this id.
    pub(super) fn is(&self, id: &str) -> bool {
        *self.id == *id
    }
}

/// Takes down how the log names a file.
pub(super) fn subject(tenant: &Tenant, file: &File, now: Moment) -> Subject {
    let owner = match file.drive.as_ref().and_then(|drive| tenant.drive.drives.get(drive)) {
        Some(drive) => drive.name.clone(),
        None => {
            tenant.directory.any_user(&file.owner).map_or_else(String::new, |user| user.primary_email.clone())
        }
    };
    Subject {
        id: Arc::clone(&file.id),
        title: file.name.clone(),
        kind: file.kind.audited(&file.media_type),
        owner,
        drive: file.drive.clone(),
        visibility: visibility(tenant, file, now),
    }
}

/// Returns who can see a file, in the log's words.
pub(super) fn visibility(tenant: &Tenant, file: &File, now: Moment) -> &'static str {
    let all = tenant.drive.tree.effective(file, now);
    let foreign = |address: &str| !address.ends_with(&format!("@{}", tenant.settings.domain));
    let any = |test: &dyn Fn(&Grantee, bool) -> bool| {
        all.iter().any(|one| test(&one.permission.grantee, one.permission.discoverable))
    };
    if any(&|grantee, found| matches!(grantee, Grantee::Anyone) && found) {
        "public_on_the_web"
    } else if any(&|grantee, _| matches!(grantee, Grantee::Anyone)) {
        "people_with_link"
    } else if any(&|grantee, _| match grantee {
        Grantee::User(address, None) | Grantee::Group(address) => foreign(address),
        Grantee::Domain(domain) => *domain != tenant.settings.domain,
        _ => false,
    }) {
        "shared_externally"
    } else if any(&|grantee, found| matches!(grantee, Grantee::Domain(_)) && found) {
        "public_in_the_domain"
    } else if any(&|grantee, _| matches!(grantee, Grantee::Domain(_))) {
        "people_within_domain_with_link"
    } else if all.len() > 1 || file.drive.is_some() {
        "shared_internally"
    } else {
        "private"
    }
}

/// What happened to a file.
#[derive(Debug)]
pub(super) struct Event {
    /// The type: `access`, `acl_change`.
    pub(super) kind: &'static str,
    /// The name: `trash`.
    pub(super) name: &'static str,
    /// Whether it is what the caller did, and no consequence of that.
    pub(super) primary: bool,
    /// What else is known of it.
    pub(super) more: Vec<Parameter>,
}

impl Event {
    /// What the caller did to a file itself.
    pub(super) const fn access(name: &'static str) -> Self {
        Self { kind: "access", name, primary: true, more: Vec::new() }
    }

    /// A change of who may see a file.
    pub(super) const fn sharing(name: &'static str, more: Vec<Parameter>) -> Self {
        Self { kind: "acl_change", name, primary: true, more }
    }

    /// A program read content: the log names the method.
    pub(super) fn read(method: &'static str) -> Self {
        let more = vec![Parameter::text("api_method", method)];
        Self { kind: "access", name: "access_item_content", primary: true, more }
    }

    /// A consequence of what the caller did.
    pub(super) const fn secondary(mut self) -> Self {
        self.primary = false;
        self
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, parameter: Parameter) -> Self {
        self.more.push(parameter);
        self
    }
}

impl Tenant {
    /// Notes an event of a file that is there.
    pub(super) fn drive_event(&mut self, call: &Call, id: &Id, event: Event) {
        let Some(file) = self.drive.tree.get(id) else { return };
        let subject = subject(self, file, call.now);
        self.drive_event_of(call, &subject, event);
    }

    /// Notes an event of a file that may be gone.
    pub(super) fn drive_event_of(&mut self, call: &Call, subject: &Subject, event: Event) {
        let (kind, name) = (event.kind, event.name);
        let mut parameters = subject.parameters(event);
        parameters.push(Parameter::text("originating_app_id", call.caller.project.to_string()));
        self.note(call, "drive", kind, name, parameters);
    }

    /// Notes what happened by itself to a file of somebody.
    pub(super) fn drive_event_by_itself(&mut self, owner: &str, subject: &Subject, event: Event) {
        let (kind, name) = (event.kind, event.name);
        self.note_of_person(owner, ("drive", kind, name), subject.parameters(event));
    }
}

impl Subject {
    fn parameters(&self, event: Event) -> Vec<Parameter> {
        let mut parameters = vec![
            Parameter::flag("primary_event", event.primary),
            Parameter::flag("billable", event.primary),
            Parameter::text("doc_id", self.id.to_string()),
            Parameter::text("doc_title", self.title.clone()),
            Parameter::text("doc_type", self.kind),
            Parameter::text("owner", self.owner.clone()),
            Parameter::flag("owner_is_shared_drive", self.drive.is_some()),
            Parameter::flag("is_encrypted", false),
            Parameter::flag("actor_is_collaborator_account", false),
            Parameter::text("visibility", self.visibility),
        ];
        if let Some(drive) = &self.drive {
            parameters.push(Parameter::text("shared_drive_id", drive.to_string()));
        }
        parameters.extend(event.more);
        parameters
    }
}
