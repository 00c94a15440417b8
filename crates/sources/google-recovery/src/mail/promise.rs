use connect::fidelity::{Fidelity, Way};

/// The kind of item.
pub(super) const KIND: &str = "message";

/// Returns what becomes of a message in each way of bringing it back.
pub(crate) fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new(KIND, Way::InPlace).exact(&[
            "text",
            "labels",
            "thread",
            "received date",
            "id",
            "read state",
        ]),
        Fidelity::new(KIND, Way::MadeAnew)
            .exact(&["text", "labels", "read state"])
            .equivalent("received date", "it becomes that of the message's Date header")
            .equivalent("thread", "it joins its thread while that exists and subject and references agree")
            .lost("id", "the mailbox gives a new one; links to the old one do not lead to it"),
        Fidelity::new(KIND, Way::Export)
            .exact(&["text"])
            .equivalent(
                "labels",
                "they stand in an X-Gmail-Labels header of an mbox, and nowhere in single files",
            )
            .equivalent(
                "received date",
                "it stands in the From line of an mbox, and is the date of a single file",
            )
            .lost("thread", "other programs form threads by the references in the text"),
    ]
}
