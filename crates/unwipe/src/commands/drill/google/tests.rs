use drill::Thing;
use model::StreamName;

use super::*;

fn thing(stream: &str, key: &str, text: &str) -> Thing {
    Thing {
        stream: stream.to_owned(),
        key: key.to_owned(),
        kind: "message".to_owned(),
        aspects: BTreeMap::from([
            ("text".to_owned(), text.to_owned()),
            ("labels".to_owned(), "INBOX".to_owned()),
        ]),
    }
}

fn moves() -> Vec<Move> {
    let account = StoredAccount {
        part: Part::Gmail,
        account: "anna@acme.test".to_owned(),
        stream: StreamName::new("gmail/anna@acme.test").unwrap(),
    };
    vec![Move { account, receiver: "anna@sandbox.test".to_owned(), keys: Vec::new() }]
}

fn stored(key: &str, text: &str) -> Stored {
    Stored::new(thing("gmail/anna@acme.test", key, text), "<1@acme.test>")
}

fn found(texts: &[&str]) -> Found {
    let things = texts.iter().map(|text| thing("gmail/anna@sandbox.test", "message/9", text));
    Found::of("anna@sandbox.test <1@acme.test>", things.collect())
}

#[test]
fn a_message_whose_text_was_changed_on_the_way_is_named() {
    let tally = compare(&[stored("message/1", "aa")], found(&["bb"]), &moves());
    assert_eq!((tally.counts.equal, tally.total), (0, 1));
    assert_eq!(tally.named[0].subject, "gmail/anna@acme.test message/1");
    assert!(tally.named[0].what.starts_with("text is"), "{tally:?}");
    let tally = compare(&[stored("message/1", "aa")], found(&["aa"]), &moves());
    assert_eq!((tally.counts.equal, tally.total), (1, 0));
}

#[test]
fn one_message_in_the_sandbox_answers_to_one_message_alone() {
    let twins = [stored("message/1", "aa"), stored("message/2", "aa")];
    let tally = compare(&twins, found(&["aa"]), &moves());
    assert_eq!((tally.counts.equal, tally.total), (1, 1));
    assert_eq!(tally.named[0].what, "it was not restored");
    let tally = compare(&twins, found(&["bb", "aa", "aa"]), &moves());
    assert_eq!((tally.counts.equal, tally.total), (2, 0), "the most alike are taken");
}

#[test]
fn what_the_vault_cannot_give_is_a_difference_and_what_was_never_read_is_not() {
    let mut damaged = stored("message/1", "aa");
    damaged.damage = Some("the vault's copy is damaged".to_owned());
    let mut unread = stored("message/2", "aa");
    unread.readable = false;
    let tally = compare(&[damaged, unread], found(&["aa"]), &moves());
    assert_eq!((tally.total, tally.counts.not_comparable), (1, 1), "{tally:?}");
}
