use connect::fidelity::{Fidelity, Way};

/// A contact.
pub(super) const CONTACT: &str = "contact";
/// A group of contacts.
pub(super) const GROUP: &str = "group of contacts";

/// Returns what becomes of contacts in each way of bringing them back.
pub(crate) fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new(CONTACT, Way::InPlace)
            .exact(&["every field that can be written", "groups", "id"])
            .equivalent("photo", "Google stores it again, perhaps in another size"),
        Fidelity::new(CONTACT, Way::MadeAnew)
            .exact(&["every field that can be written", "groups, by their names"])
            .equivalent("photo", "Google stores it again, perhaps in another size")
            .equivalent("client data", "an entry is added that keeps a restore from making somebody twice")
            .lost("id", "Google gives a new one"),
        Fidelity::new(CONTACT, Way::Export)
            .exact(&["names", "mail addresses, numbers and postal addresses", "dates", "notes", "photo"])
            .equivalent("groups", "they stand as categories")
            .equivalent("other fields", "those that vCard has no place for are in contacts.jsonl beside it"),
        Fidelity::new(GROUP, Way::InPlace).exact(&["name"]),
        Fidelity::new(GROUP, Way::MadeAnew).exact(&["name"]).lost("id", "Google gives a new one"),
    ]
}
