//! What is to be done about somebody in a group: a pure comparison.

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

/// Compares somebody's role before the window, at its end, as it became later, and now; `None` is not in the group.
pub(super) fn decide(before: &str, after: Option<&str>, later: &[String], now: Option<&str>) -> Decision {
    match (after, now) {
        (_, Some(now)) if now == before => Decision::Unchanged,
        (None, None) if later.is_empty() => Decision::Join,
        (None, None) => {
            Decision::Conflict("somebody brought it back after the window, and took it away again".to_owned())
        }
        (None, Some(_)) => {
            Decision::Conflict("somebody brought it back after the window, in another role".to_owned())
        }
        (Some(_), None) => {
            Decision::Conflict("somebody took it out of the group after the window".to_owned())
        }
        (Some(after), Some(_)) if after == before || later.iter().any(|role| role != after) => {
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
            decide("MANAGER", after, &later, now)
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
    }
}
