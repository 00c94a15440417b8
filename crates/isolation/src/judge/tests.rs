use connect::Standing;
use model::Redacted;

use super::*;
use crate::{
    Credential, Kind,
    access::{Facts, Survey},
    hosts::Machine,
    own::{Own, Owned, Power},
    scan::{Held, Looked, Skipped},
    system::{User, Volume},
    trial::{Answer, RoleSeen, Trial},
};

fn key(access_key: &str) -> Credential {
    let kind = Kind::Aws {
        access_key: access_key.to_owned(),
        secret_key: Some(Redacted::new("a-secret-of-production".to_owned())),
        session_token: None,
    };
    Credential { kind, found: "/srv/.env:3".to_owned(), holder: Some(7) }
}

fn bucket(writer: &str) -> Bucket {
    let (label, place) = ("the vault".to_owned(), "https://s3.example/vault".to_owned());
    Bucket { label, place, writer: writer.to_owned() }
}

fn trial(answer: Answer) -> Trial {
    Trial::new("list", answer)
}

fn refused() -> Answer {
    Answer::Refused("403 AccessDenied".to_owned())
}

fn done() -> Answer {
    Answer::Done("it answered".to_owned())
}

fn unknown() -> Answer {
    Answer::Unknown("no connection".to_owned())
}

#[test]
fn a_key_is_good_only_when_everything_was_tried_and_refused() {
    let cases = [
        (vec![refused(), refused()], Standing::Good),
        (vec![refused(), unknown()], Standing::Advice),
        (vec![], Standing::Advice),
        (vec![refused(), done()], Standing::Bad),
        (vec![unknown(), done()], Standing::Bad),
    ];
    for (answers, expected) in cases {
        let trials: Vec<Trial> = answers.into_iter().map(trial).collect();
        let finding = bucket_key(&key("AKIAIOSFODNN7EXAMPLE"), &bucket("writer"), &trials);
        assert_eq!(finding.standing, expected, "{finding:?}");
    }
    let own = bucket_key(&key("writer"), &bucket("writer"), &[trial(refused())]);
    assert_eq!(own.standing, Standing::Bad);
}

#[test]
fn accounts_are_compared_where_keys_tell_them() {
    let (one, other) = ("ASIAQNZGKIQY56JQ7WML", "AKIAY34FZKBOKMUTVV7A");
    let standing = |theirs, ours| {
        same_account(&key(theirs), &bucket(ours), &Whose::NotAsked, &Whose::NotAsked).unwrap().standing
    };
    assert_eq!(standing(one, one), Standing::Bad);
    assert_eq!(standing(one, "AKIAQNZGKIQYZAAAAAAA"), Standing::Bad);
    assert_eq!(standing(one, other), Standing::Good);
    assert_eq!(standing(one, "writer"), Standing::Advice);
}

#[test]
fn what_the_maker_of_a_key_says_counts_before_what_the_key_says() {
    let one = "ASIAQNZGKIQY56JQ7WML";
    let of = |account: &str| Whose::Known {
        account: account.to_owned(),
        arn: format!("arn:aws:iam::{account}:user/app"),
    };
    let (unknown, refused) =
        (Whose::Unknown("no answer".to_owned()), Whose::Refused("InvalidClientTokenId".to_owned()));
    let cases = [
        (of("123456789012"), of("123456789012"), Standing::Bad),
        (of("123456789012"), of("210987654321"), Standing::Good),
        // The key itself says 029608264753.
        (of("123456789012"), Whose::NotAsked, Standing::Advice),
        (Whose::NotAsked, of("029608264753"), Standing::Bad),
        (refused.clone(), unknown.clone(), Standing::Good),
        (of("123456789012"), unknown.clone(), Standing::Advice),
    ];
    for (theirs, ours, expected) in cases {
        let finding = same_account(&key(one), &bucket("writer"), &theirs, &ours).unwrap();
        assert_eq!(finding.standing, expected, "{finding:?}");
        if expected != Standing::Good {
            assert!(finding.fix.is_some_and(|fix| !fix.is_empty()));
        }
    }
    for (theirs, expected) in [
        (of("123456789012"), Standing::Advice),
        (refused, Standing::Good),
        (unknown, Standing::Advice),
        (Whose::NotAsked, Standing::Advice),
    ] {
        let finding = whose(&key(one), &theirs);
        assert_eq!(finding.standing, expected, "{finding:?}");
    }
    let hostile = Whose::Refused("no\u{1b}[2J".to_owned());
    assert!(!format!("{:?}", whose(&key(one), &hostile).evidence).contains("\\u{1b}"));
}

#[test]
fn what_was_found_and_what_was_not_looked_at_is_said() {
    let own = Own { what: "the writer's key".to_owned(), power: Power::Add, values: Vec::new() };
    let owned = Owned::new(vec![own]);
    let standings = |looked: &Looked| -> Vec<Standing> {
        super::looked(looked, &owned).iter().map(|finding| finding.standing).collect()
    };
    assert_eq!(standings(&Looked::default()), [Standing::Advice]);
    let mut seen = Looked { places: 1, ..Looked::default() };
    assert_eq!(standings(&seen), [Standing::Good]);
    seen.skipped.push(Skipped { path: "x".to_owned(), why: "it is no regular file".to_owned() });
    assert_eq!(standings(&seen), [Standing::Good, Standing::Advice]);
    let held = |power| Held { what: "a key".to_owned(), power, found: ".env:1".to_owned() };
    seen.held = vec![held(Power::Source)];
    assert_eq!(standings(&seen), [Standing::Advice, Standing::Good, Standing::Advice]);
    seen.held = vec![held(Power::Add)];
    seen.inside = vec!["/srv/unwipe".into()];
    assert_eq!(standings(&seen), [Standing::Bad, Standing::Bad, Standing::Advice]);
    // With nothing to compare with, nothing is proven.
    let blind = super::looked(&Looked { places: 1, ..Looked::default() }, &Owned::default());
    assert_eq!(blind[0].standing, Standing::Advice);
}

fn role() -> RoleSeen {
    RoleSeen {
        name: "unwipe".to_owned(),
        attributes: vec!["REPLICATION".to_owned()],
        tables: 12,
        databases: vec!["shop".to_owned()],
        trials: vec![trial(refused())],
        ..RoleSeen::default()
    }
}

#[test]
fn a_role_that_captures_is_proven_not_to_write() {
    let worst = |seen: RoleSeen| capture_role("shop", &Ok(seen)).iter().map(|f| f.standing).max().unwrap();
    assert_eq!(worst(role()), Standing::Good);
    let with = |change: fn(&mut RoleSeen)| {
        let mut seen = role();
        change(&mut seen);
        worst(seen)
    };
    assert_eq!(with(|seen| seen.attributes.push("CREATEROLE".to_owned())), Standing::Bad);
    assert_eq!(with(|seen| seen.memberships.push("pg_write_all_data".to_owned())), Standing::Bad);
    assert_eq!(with(|seen| seen.example = Some("public.orders".to_owned())), Standing::Bad);
    assert_eq!(with(|seen| seen.trials.push(trial(done()))), Standing::Bad);
    assert_eq!(with(|seen| seen.trials.clear()), Standing::Advice);
    assert_eq!(with(|seen| seen.databases.clear()), Standing::Advice);
    assert_eq!(with(|seen| seen.unseen.push("other: refused".to_owned())), Standing::Advice);
    assert_eq!(with(|seen| seen.borrowed.push("f()".to_owned())), Standing::Advice);
    assert_eq!(with(|seen| seen.schemas.push("public".to_owned())), Standing::Advice);
    assert_eq!(capture_role("shop", &Err("refused".to_owned()))[0].standing, Standing::Advice);
}

#[test]
fn a_login_reaches_a_vault_only_through_its_server() {
    let login_of = |attributes: &[&str], reach: ServerReach| {
        let mut seen = role();
        seen.attributes = attributes.iter().map(|a| (*a).to_owned()).collect();
        let kind = Kind::Database { url: Redacted::new("postgresql://app@db/x".to_owned()) };
        let credential = Credential { kind, found: ".env".to_owned(), holder: None };
        login(&credential, &Ok(seen), None, &reach)[0].standing
    };
    let way = || ServerReach::Ways(vec!["remove what is in /vault: its owner".to_owned()]);
    let apart = ServerReach::Apart("the vault is elsewhere".to_owned());
    assert_eq!(login_of(&["SUPERUSER"], apart), Standing::Good);
    assert_eq!(login_of(&["SUPERUSER"], ServerReach::Ways(Vec::new())), Standing::Good);
    assert_eq!(login_of(&["SUPERUSER"], ServerReach::Unknown("x".to_owned())), Standing::Advice);
    assert_eq!(login_of(&["REPLICATION"], ServerReach::Unknown("x".to_owned())), Standing::Good);
    assert_eq!(login_of(&["SUPERUSER"], way()), Standing::Bad);
    assert_eq!(login_of(&[], way()), Standing::Good);
}

#[test]
fn scopes_that_write_must_be_refused() {
    let of = |answers: &[Answer]| {
        capture_scopes("acme", &answers.iter().cloned().map(trial).collect::<Vec<_>>()).standing
    };
    assert_eq!(of(&[refused(), refused()]), Standing::Good);
    assert_eq!(of(&[refused(), unknown()]), Standing::Advice);
    assert_eq!(of(&[refused(), done()]), Standing::Bad);
    assert_eq!(of(&[]), Standing::Advice);
}

fn survey(uid: u32) -> Survey {
    let facts = |path: &str, folder, mode| Facts {
        path: path.into(),
        folder,
        uid,
        gid: 1,
        mode,
        list: Vec::new(),
        immutable: Some(false),
    };
    Survey {
        above: vec![facts("/", true, 0o755)],
        inside: vec![facts("/vault", true, 0o755), facts("/vault/a", false, 0o444)],
        ..Survey::default()
    }
}

#[test]
fn a_user_who_can_destroy_is_bad_and_ones_own_is_what_the_tier_says() {
    let standing = |uid, named| {
        let user = User { uid, name: None, gids: std::iter::once(uid).collect() };
        let person = Person { user, because: "owner of /srv/.env".to_owned(), named };
        folder_user("the vault", &survey(9), &person, 9).standing
    };
    assert_eq!(standing(7, true), Standing::Good);
    assert_eq!(standing(9, false), Standing::Advice);
    assert_eq!(standing(9, true), Standing::Bad);
    assert_eq!(standing(0, false), Standing::Bad);
    let person = Person {
        user: User { uid: 7, name: None, gids: std::iter::once(7).collect() },
        because: String::new(),
        named: true,
    };
    let blind = Survey { unseen: vec!["/vault: denied".to_owned()], ..Survey::default() };
    assert_eq!(folder_user("the vault", &blind, &person, 9).standing, Standing::Advice);
}

#[test]
fn what_is_shared_is_found() {
    let here = Machine::here("the vault");
    let elsewhere = Machine {
        label: "source shop".to_owned(),
        name: "db".to_owned(),
        addresses: Ok(["10.0.0.9".parse().unwrap()].into()),
        here: false,
    };
    assert_eq!(host(&here, &elsewhere, false).standing, Standing::Good);
    assert_eq!(host(&here, &here, false).standing, Standing::Advice);
    assert_eq!(host(&here, &here, true).standing, Standing::Bad);
    let nowhere = Machine { addresses: Err("no such name".to_owned()), ..elsewhere };
    assert_eq!(host(&here, &nowhere, true).standing, Standing::Advice);

    let disk = |device| Volume { device, mount: None, uuid: None };
    assert_eq!(volume("a", &Ok(disk(1)), "b", &Ok(disk(1))).standing, Standing::Advice);
    assert_eq!(volume("a", &Ok(disk(1)), "b", &Ok(disk(2))).standing, Standing::Good);
    assert_eq!(volume("a", &Ok(disk(1)), "b", &Err("not known".to_owned())).standing, Standing::Advice);

    let one = |reference: &str| KeyUse { what: "x".to_owned(), reference: reference.to_owned() };
    let apart = key_service(&[one("file:a"), one("exec:printf a")], &[one("file:b"), one("exec:printf b")]);
    assert_eq!(apart[0].standing, Standing::Good);
    let same = key_service(&[one("env:KEY")], &[one("env:KEY")]);
    assert_eq!(same[0].standing, Standing::Bad);
    let service = key_service(&[one("exec:bao read vault")], &[one("exec:bao read db")]);
    assert_eq!(service[0].standing, Standing::Advice);
    assert!(!service[0].evidence.contains("read"), "{service:?}");

    let approvers = ["anna@acme.example".to_owned(), "bert".to_owned()];
    assert_eq!(identity_provider(&approvers, &["acme.example".to_owned()]).standing, Standing::Advice);
    assert_eq!(identity_provider(&approvers, &["other.example".to_owned()]).standing, Standing::Good);
}
