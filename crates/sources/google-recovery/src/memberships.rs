//! Groups of users: who was taken out of them, what their members may do, groups that were deleted.

mod copies;
mod decide;
mod plan;
mod promise;
mod step;
mod write;

pub(crate) use promise::promises;
pub(crate) use step::MembershipStep;
