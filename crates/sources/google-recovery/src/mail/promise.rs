use connect::fidelity::{Fidelity, Way};

/// Returns what becomes of a message in each way of bringing it back.
pub fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new("message", Way::InPlace).exact(&[
            "text",
            "labels",
            "thread",
            "received date",
            "id",
            "read state",
        ]),
        Fidelity::new("message", Way::MadeAnew)
            .exact(&["text", "labels", "read state"])
            .equivalent("received date", "it becomes that of the message's Date header")
            .equivalent("thread", "it joins its thread while that exists and subject and references agree")
            .lost("id", "the mailbox gives a new one; links to the old one do not lead to it"),
        Fidelity::new("message", Way::Export)
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

/// Returns the promises for some ways only.
pub(super) fn promises_for(ways: &[Way]) -> Vec<Fidelity> {
    promises().into_iter().filter(|promise| ways.contains(&promise.way)).collect()
}
