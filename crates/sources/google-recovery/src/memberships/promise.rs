use connect::fidelity::{Fidelity, Way};

/// Somebody in a group of users.
pub(super) const MEMBER: &str = "member of a group";
/// A group of users.
pub(super) const GROUP: &str = "group of users";

/// Returns what becomes of groups of users in each way of bringing them back.
pub(crate) fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new(MEMBER, Way::InPlace).exact(&["group", "role"]).equivalent(
            "delivery of mail",
            "Google's usual one, when the directory did not tell which it was",
        ),
        Fidelity::new(MEMBER, Way::MadeAnew).exact(&["group", "role"]).equivalent(
            "address",
            "in a sandbox an account of it stands for somebody, or an address of a domain that does not exist",
        ),
        Fidelity::new(GROUP, Way::InPlace).exact(&["name", "description"]),
        Fidelity::new(GROUP, Way::MadeAnew)
            .exact(&["address", "name", "description", "members and their roles"])
            .lost("id", "Google gives a new one; rights that were given to the old one are not the new one's")
            .lost(
                "settings, archive and further addresses",
                "the directory does not hold them, or no call here writes them",
            ),
    ]
}
