//! A believable company from a seed.

mod calendars;
mod company;
mod contacts;
mod drive;
mod drive_names;
pub(crate) mod mail;
mod names;
mod structure;

use crate::{oauth::scopes, tenant::Tenant};

/// The service account that reads.
pub(crate) const READER: &str = "unwipe-backup";
/// The service account that brings back.
pub(crate) const WRITER: &str = "unwipe-restore";

/// Furnishes an empty domain.
pub(crate) fn furnish(tenant: &mut Tenant) {
    company::furnish(tenant);
    structure::furnish(tenant);
    drive::furnish(tenant);
    let reader = tenant.add_service_account(READER);
    tenant.set_delegation(&reader.client_id, scopes::READING);
    let writer = tenant.add_service_account(WRITER);
    tenant.set_delegation(&writer.client_id, scopes::WRITING);
    calendars::furnish(tenant);
    contacts::furnish(tenant);
}
