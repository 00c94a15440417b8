//! A tenant of one's own into which drills restore: what everything there is called, and who stands for whom.
//!
//! Nobody of the protected domain may ever be written to from there. So no address of theirs goes with what is restored:
//! members of groups who have an account in the sandbox are that account, and everybody else, guests of events above all,
//! is an address of a domain that does not exist and never will (RFC 2606).

mod drives;
mod seen;
mod sweep;

use std::collections::BTreeMap;

pub use self::{
    drives::{make_drive, may_be_member},
    seen::{Aspects, contact, contact_group, event, event_in_sandbox, group, made_for, member},
    sweep::{Swept, sweep},
};

/// The domain of the addresses that stand for people; no mail can be delivered there.
pub const NOBODY: &str = "example.invalid";
/// What a report says first of an event that is there without its guests: the sandbox does not take their stand-ins.
pub const GUESTS_REFUSED: &str = "it came without its guests";
/// What everything begins with that a drill makes and that has a name.
const NAMED: &str = "unwipe drill";
/// What the addresses of groups begin with that a drill makes.
const ADDRESSED: &str = "unwipe-drill";
/// So many letters of a hash tell installations, and addresses, apart.
const SHORT: usize = 10;

/// Where things go in a sandbox, and for whom its accounts stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The account that gets them; the administrator for shared drives and groups of users.
    pub email: String,
    /// What is called what.
    pub mark: Mark,
    /// Which account of the sandbox stands for which of the protected domain, by addresses in small letters.
    pub accounts: BTreeMap<String, String>,
    /// The shared drive there into which the files of a shared drive go.
    pub drive: Option<String>,
}

/// What everything is called that one drill makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    source: String,
    /// Tells the drills of an installation's source from those of all others.
    tag: String,
    drill: String,
}

impl Mark {
    /// Names a drill of a source; `vault` is the id of the vault that it proves.
    pub fn new(source: &str, vault: &str, drill: &str) -> Self {
        let tag = short(&format!("{vault}/{source}"));
        Self { source: source.to_owned(), tag, drill: drill.to_owned() }
    }

    /// Returns what people call the drill.
    pub fn name(&self) -> String {
        format!("{}{}", self.family(), self.drill)
    }

    /// Returns what the names of everything begin with that any drill of this source made.
    pub fn family(&self) -> String {
        format!("{NAMED} {} {}-", self.source, self.tag)
    }

    /// Returns what the addresses of groups begin with that any drill of this source made.
    pub fn address_family(&self) -> String {
        format!("{ADDRESSED}-{}-", self.tag)
    }

    /// Returns what a label, a folder, a calendar or a group of contacts is called that holds somebody's things.
    pub fn place(&self, whose: &str) -> String {
        format!("{}: {whose}", self.name())
    }

    /// Returns what begins whatever tells the copies of any drill of this source.
    pub fn copies_family(&self) -> String {
        format!("{}-", self.tag)
    }

    /// Returns what tells the copies of an account's things from those that another drill makes.
    pub fn copies_of(&self, account: &str) -> String {
        format!("{}{}/{account}", self.copies_family(), self.drill)
    }
}

impl Sandbox {
    /// Returns the address that a group of users has in the sandbox: it carries the drill's name, so that the group itself
    /// is called what it was called.
    pub fn group_address(&self, address: &str) -> String {
        let (family, drill) = (self.mark.address_family(), &self.mark.drill);
        format!("{family}{drill}-{}@{}", short(&address.to_lowercase()), domain_of(&self.email))
    }

    /// Returns the account that stands for somebody: for the first one only, where one stands for several.
    pub fn account(&self, address: &str) -> Option<&str> {
        let address = address.to_lowercase();
        let account = self.accounts.get(&address)?;
        let first = self.accounts.iter().find(|(_, other)| *other == account)?.0;
        (*first == address).then_some(account)
    }

    /// Returns who stands for a member of a group: a group for a group.
    pub fn member_address(&self, address: &str, is_group: bool) -> String {
        if is_group {
            return self.group_address(address);
        }
        self.account(address).map_or_else(|| stand_in(address), str::to_owned)
    }
}

/// Returns the address that stands for somebody's: always the same, and nobody's.
pub fn stand_in(address: &str) -> String {
    format!("{}@{NOBODY}", short(&address.to_lowercase()))
}

/// Tells whether an address stands for somebody's.
pub fn is_stand_in(address: &str) -> bool {
    domain_of(address) == NOBODY
}

/// Returns the domain of an address.
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

fn short(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..SHORT].to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sandbox() -> Sandbox {
        let account = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        Sandbox {
            email: "admin@sandbox.test".to_owned(),
            mark: Mark::new("acme", "vault-1", "0a1b2c"),
            accounts: [
                account("anna@acme.test", "one@sandbox.test"),
                account("ben@acme.test", "one@sandbox.test"),
            ]
            .into(),
            drive: None,
        }
    }

    #[test]
    fn what_a_drill_makes_is_known_by_its_name_and_another_sources_is_not() {
        let mark = sandbox().mark;
        assert!(mark.place("anna@acme.test").starts_with(&mark.family()));
        assert!(sandbox().group_address("all@acme.test").starts_with(&mark.address_family()));
        for other in [Mark::new("acme", "vault-2", "0a1b2c"), Mark::new("acme-2", "vault-1", "0a1b2c")] {
            assert!(!other.place("anna@acme.test").starts_with(&mark.family()));
            assert!(!other.address_family().starts_with(&mark.address_family()));
        }
        let next = Mark::new("acme", "vault-1", "ffffff");
        assert!(next.family() == mark.family() && next.name() != mark.name());
    }

    #[test]
    fn nobody_of_the_protected_domain_is_a_member_or_a_guest() {
        let sandbox = sandbox();
        assert_eq!(sandbox.member_address("Anna@acme.test", false), "one@sandbox.test");
        let others = ["ben@acme.test", "eve@elsewhere.test", "admin@acme.test"];
        for other in others {
            let address = sandbox.member_address(other, false);
            assert!(is_stand_in(&address), "{address}: one account stands for one person alone");
            assert_eq!(address, stand_in(&other.to_uppercase()));
        }
        let group = sandbox.member_address("all@acme.test", true);
        assert!(group.ends_with("@sandbox.test") && group.len() < 64 + "@sandbox.test".len());
        assert!(!is_stand_in("a@example.invalid.test"));
    }
}
