//! Keeping the one capability, and dropping the rest.

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

/// Why the process cannot be the sealer.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// It may not set immutable flags.
    #[error("this process has no CAP_LINUX_IMMUTABLE")]
    Missing,
    /// The system did not let it drop the others.
    #[error("the other capabilities cannot be dropped")]
    Drop(#[source] Errno),
}

impl PrivilegeError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some("start it with packaging/systemd/unwipe-sealer.service".to_owned()),
            Self::Drop(_) => None,
        }
    }
}

/// Drops every capability but CAP_LINUX_IMMUTABLE, for this thread and those that it starts; it cannot get them back.
///
/// To be called before there are other threads.
pub fn keep_only_immutable() -> Result<(), PrivilegeError> {
    let sets = capabilities(None).map_err(PrivilegeError::Drop)?;
    let one = CapabilitySet::LINUX_IMMUTABLE;
    if !sets.permitted.contains(one) {
        return Err(PrivilegeError::Missing);
    }
    if sets.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter().filter(|capability| *capability != one) {
            match capability_is_in_bounding_set(capability) {
                Ok(true) => {
                    remove_capability_from_bounding_set(capability).map_err(PrivilegeError::Drop)?;
                }
                // An older kernel does not know all of them.
                Ok(false) | Err(Errno::INVAL) => {}
                Err(error) => return Err(PrivilegeError::Drop(error)),
            }
        }
    }
    let kept = CapabilitySets { effective: one, permitted: one, inheritable: CapabilitySet::empty() };
    set_capabilities(None, kept).map_err(PrivilegeError::Drop)?;
    set_no_new_privs(true).map_err(PrivilegeError::Drop)
}
