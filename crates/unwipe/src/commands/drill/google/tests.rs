use drill::{CheckResult, Thing};

use super::*;

const IDENTITY: &str = "anna@sandbox.test place <1@acme.test>";

fn thing(kind: &str, key: &str, text: &str) -> Thing {
    Thing {
        stream: "gmail/anna@acme.test".to_owned(),
        key: key.to_owned(),
        kind: kind.to_owned(),
        aspects: BTreeMap::from([
            ("text".to_owned(), text.to_owned()),
            ("labels".to_owned(), "INBOX".to_owned()),
        ]),
    }
}

fn stored(kind: &str, key: &str, text: &str) -> Stored {
    Stored {
        thing: thing(kind, key, text),
        identity: IDENTITY.to_owned(),
        readable: true,
        damage: None,
        bytes: 0,
    }
}

fn message(key: &str, text: &str) -> Stored {
    stored(describe::MESSAGE, key, text)
}

fn expected<const N: usize>(things: [Stored; N]) -> Expected {
    Expected { things: things.into(), ..Expected::default() }
}

fn found(texts: &[&str]) -> Found {
    Found::of(IDENTITY, texts.iter().map(|text| thing(describe::MESSAGE, "message/9", text)).collect())
}

#[test]
fn a_message_whose_text_was_changed_on_the_way_is_named() {
    let tally = compare(&expected([message("message/1", "aa")]), found(&["bb"])).tally;
    assert_eq!((tally.counts.equal, tally.total), (0, 1));
    assert_eq!(tally.named[0].subject, "gmail/anna@acme.test message/1");
    assert!(tally.named[0].what.starts_with("text is"), "{tally:?}");
    let tally = compare(&expected([message("message/1", "aa")]), found(&["aa"])).tally;
    assert_eq!((tally.counts.equal, tally.total), (1, 0));
}

#[test]
fn one_message_in_the_sandbox_answers_to_one_message_alone() {
    let twins = expected([message("message/1", "aa"), message("message/2", "aa")]);
    let tally = compare(&twins, found(&["aa"])).tally;
    assert_eq!((tally.counts.equal, tally.total), (1, 1));
    assert_eq!(tally.named[0].what, "it was not restored");
    let compared = compare(&twins, found(&["bb", "aa", "aa"]));
    let tally = &compared.tally;
    assert_eq!((tally.counts.equal, tally.total), (2, 0), "the most alike are taken");
    assert_eq!(compared.more.len(), 1, "one answers to nothing");
    let checks = compared.checks(&BTreeSet::new(), &Extent::Whole);
    let more = checks.iter().find(|check| check.subject == NOTHING_MORE).unwrap();
    assert_eq!(more.result, CheckResult::Failed);
    assert!(more.evidence.contains("message/9"), "{more:?}");
}

#[test]
fn what_the_vault_cannot_give_is_a_difference_and_what_was_never_read_is_not() {
    let mut damaged = message("message/1", "aa");
    damaged.damage = Some("the vault's copy is damaged".to_owned());
    let mut unread = message("message/2", "aa");
    unread.readable = false;
    let tally = compare(&expected([damaged, unread]), found(&["aa"])).tally;
    assert_eq!((tally.total, tally.counts.not_comparable), (1, 1), "{tally:?}");
}

#[test]
fn each_kind_is_counted_and_one_of_which_nothing_was_drawn_is_not_passed() {
    let things = expected([message("message/1", "aa"), stored(describe::GROUP, "group/1", "aa")]);
    let compared = compare(&things, found(&["aa"]));
    let checks = compared.checks(&BTreeSet::from([Part::Gmail, Part::Directory]), &Extent::Whole);
    let of = |subject: &str| {
        let check = checks.iter().find(|check| check.subject == format!("{subject} are as they were"));
        check.map(|check| check.result)
    };
    assert_eq!(of("messages"), Some(CheckResult::Passed));
    assert_eq!(of("groups of users"), Some(CheckResult::Failed), "the message answers to no group");
    assert_eq!(of("members of groups of users"), Some(CheckResult::NotChecked));
    assert_eq!(of("events"), None, "it is said elsewhere that calendars are left out");
}
