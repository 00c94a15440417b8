//! What is to be done about somebody in a group: a pure comparison.

use crate::planner::TAKEN_AGAIN;

/// What is to be done about somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Unchanged,
    /// Comes into the group again.
    Join,
    /// Becomes again what it was.
    Role,
    Conflict(String),
}

/// The roles that somebody got in a group after the window.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaterRoles<'l> {
    pub(super) roles: &'l [String],
    /// Whether there was anything of it after the window, readable or not.
    pub(super) is_any: bool,
    /// Whether it was taken out and came in again, even in the same role.
    pub(super) came_anew: bool,
}

/// Compares somebody's role before the window, at its end, as it became later, and now; `None` is not in the group.
pub(super) fn decide(
    before: &str,
    after: Option<&str>,
    later: LaterRoles<'_>,
    now: Option<&str>,
) -> Decision {
    match (after, now) {
        (_, Some(now)) if now == before => Decision::Unchanged,
        (None, None) if !later.is_any => Decision::Join,
        (None, None) => Decision::Conflict(TAKEN_AGAIN.to_owned()),
        (None, Some(_)) => {
            Decision::Conflict("somebody brought it back after the window, in another role".to_owned())
        }
        (Some(_), None) => {
            Decision::Conflict("somebody took it out of the group after the window".to_owned())
        }
        (Some(after), Some(_))
            if after == before || later.came_anew || later.roles.iter().any(|role| role != after) =>
        {
            Decision::Conflict("its role was changed after the window".to_owned())
        }
        (Some(_), Some(_)) => Decision::Role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_taken_out_comes_back_and_who_was_taken_out_later_does_not() {
        let decide = |after, later: &[&str], now| {
            let later: Vec<String> = later.iter().map(|role| (*role).to_owned()).collect();
            let later = LaterRoles { roles: &later, is_any: !later.is_empty(), came_anew: false };
            decide("MANAGER", after, later, now)
        };
        assert_eq!(decide(None, &[], None), Decision::Join);
        assert_eq!(decide(Some("MEMBER"), &[], Some("MEMBER")), Decision::Role);
        assert_eq!(decide(None, &["MANAGER"], Some("MANAGER")), Decision::Unchanged);
        for left_alone in [
            decide(None, &["MANAGER"], None),
            decide(None, &["MEMBER"], Some("MEMBER")),
            decide(Some("MANAGER"), &[], None),
            decide(Some("OWNER"), &["MEMBER"], Some("MEMBER")),
            decide(Some("MANAGER"), &["MEMBER"], Some("MEMBER")),
        ] {
            assert!(matches!(left_alone, Decision::Conflict(_)), "{left_alone:?}");
        }
        // Taken out by a person, and let in again as little.
        let roles = ["MEMBER".to_owned()];
        let anew = LaterRoles { roles: &roles, is_any: true, came_anew: true };
        let left_alone = super::decide("MANAGER", Some("MEMBER"), anew, Some("MEMBER"));
        assert!(matches!(left_alone, Decision::Conflict(_)), "{left_alone:?}");
    }
}
