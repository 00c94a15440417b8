//! A believable company from a seed.

mod calendars;
mod company;
mod contacts;
mod names;

use crate::{oauth::scopes, tenant::Tenant};

/// The service account that reads.
pub(crate) const READER: &str = "unwipe-backup";
/// The service account that brings back.
pub(crate) const WRITER: &str = "unwipe-restore";

/// Furnishes an empty domain.
pub(crate) fn furnish(tenant: &mut Tenant) {
    company::furnish(tenant);
    let reader = tenant.add_service_account(READER);
    tenant.delegate(&reader.client_id, scopes::READING.iter().copied());
    let writer = tenant.add_service_account(WRITER);
    tenant.delegate(&writer.client_id, scopes::WRITING.iter().copied());
    calendars::furnish(tenant);
    contacts::furnish(tenant);
}
