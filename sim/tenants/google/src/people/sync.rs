//! Sync tokens of people's lists: good for a week from the full list that began their row.

use model::Moment;
use serde_json::json;

use crate::{call::Call, refusal::Refusal, sync, tenant::Tenant};

/// Where a list was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the full list was begun.
    pub(super) full: Moment,
    /// The count of changes.
    pub(super) revision: u64,
}

/// Parameters that differ between the calls of one row.
const FREE: [&str; 3] = ["syncToken", "requestSyncToken", "access_token"];

impl Tenant {
    /// Reads the call's `syncToken`; `None` without one.
    pub(super) fn read_people_mark(&self, call: &Call) -> Result<Option<Mark>, Refusal> {
        let Some(token) = call.query("syncToken").filter(|token| !token.is_empty()) else { return Ok(None) };
        let parts = sync::read(self.settings.seed, token);
        let Some([service, own, full, revision]) = parts.as_deref() else {
            return Err(Refusal::invalid("Invalid sync token."));
        };
        if service != "people" || *own != call.sync_identity(&call.path, &FREE) {
            return Err(Refusal::invalid(
                "Sync token request parameters must match the parameters of the first request.",
            ));
        }
        let full = Moment::from_micros(full.parse().unwrap_or(0));
        if call.now.micros_since(full) > self.settings.people.sync_lifetime.as_micros() as i64 {
            return Err(self.expired());
        }
        Ok(Some(Mark { full, revision: revision.parse().unwrap_or(0) }))
    }

    fn expired(&self) -> Refusal {
        let message = "Sync token is expired. Clear local cache and retry call without the sync token.";
        let mut refusal = Refusal::precondition(message);
        refusal.code = self.settings.people.expired_code;
        refusal.details = Some(Box::new(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "EXPIRED_SYNC_TOKEN",
            "domain": "people.googleapis.com",
        }])));
        refusal
    }

    /// Makes the token with which the list of this call goes on.
    pub(super) fn issue_people_mark(&self, call: &Call, mark: Mark) -> String {
        let parts = [
            "people",
            &call.sync_identity(&call.path, &FREE),
            &mark.full.as_micros().to_string(),
            &mark.revision.to_string(),
        ];
        sync::issue(self.settings.seed, &parts)
    }

    /// Counts a full list that is begun, and refuses one too many.
    pub(super) fn begin_full_sync(&mut self, call: &Call) -> Result<(), Refusal> {
        let Some(max) = self.settings.people.full_syncs_per_minute else { return Ok(()) };
        let book = self.book(&call.caller.user);
        book.full_syncs.retain(|at| call.now.micros_since(*at) < 60_000_000);
        if book.full_syncs.len() >= max as usize {
            return Err(Refusal::too_many(
                "Quota exceeded for quota metric 'FBS quota' and limit 'Full sync per minute per user'.",
            ));
        }
        book.full_syncs.push_back(call.now);
        Ok(())
    }
}
