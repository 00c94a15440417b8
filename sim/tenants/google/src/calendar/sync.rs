//! What sync tokens of calendars' lists say.

use model::Moment;

use crate::{call::Call, refusal::Refusal, sync, tenant::Tenant};

/// Where a list was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The list's count of changes.
    pub(super) revision: u64,
    /// Which tokens of the list are good.
    pub(super) epoch: u64,
    /// The window that the first list had, as it was written.
    pub(super) window: (String, String),
}

/// Parameters that differ between the calls of one synchronization.
const FREE: [&str; 6] = ["syncToken", "showDeleted", "showHidden", "timeMin", "timeMax", "access_token"];

/// 410 for a token that leads nowhere: it is too old, or was never one.
pub(super) fn gone() -> Refusal {
    let message = "Sync token is no longer valid, a full sync is required.";
    let mut refusal = Refusal::gone("fullSyncRequired", message);
    refusal.domain = "calendar";
    refusal.location = Some(&["syncToken", "parameter"]);
    refusal
}

impl Tenant {
    /// Makes the token with which a list goes on; `list` names it: `events of a@acme.test`.
    pub(super) fn issue_mark(&self, call: &Call, list: &str, mark: &Mark) -> String {
        sync::issue(
            self.settings.seed,
            &[
                &call.sync_identity(list, &FREE),
                &call.now.as_micros().to_string(),
                &mark.revision.to_string(),
                &mark.epoch.to_string(),
                &mark.window.0,
                &mark.window.1,
            ],
        )
    }

    /// Reads the call's `syncToken`; `None` without one. `epoch` is the list's own now.
    pub(super) fn read_mark(&self, call: &Call, list: &str, epoch: u64) -> Result<Option<Mark>, Refusal> {
        let Some(token) = call.query("syncToken").filter(|token| !token.is_empty()) else { return Ok(None) };
        let parts = sync::read(self.settings.seed, token);
        let Some([own, issued, revision, its_epoch, from, to]) = parts.as_deref() else {
            return Err(gone());
        };
        if *own != call.sync_identity(list, &FREE) {
            return Err(Refusal::invalid_value(
                "Sync token cannot be used with other parameters than at first.",
            ));
        }
        let issued = Moment::from_micros(issued.parse().unwrap_or(0));
        let lifetime = self.settings.calendar.sync_lifetime.as_micros() as i64;
        let its_epoch: u64 = its_epoch.parse().unwrap_or(0);
        if call.now.micros_since(issued) > lifetime || its_epoch != epoch {
            return Err(gone());
        }
        let revision = revision.parse().unwrap_or(0);
        Ok(Some(Mark { revision, epoch, window: (from.clone(), to.clone()) }))
    }
}
