//! Tokens of service identities.

use std::time::Duration;

use access::{Access, AccessError, Principal, Role, Scope};

use crate::house::{HOUR, House, host, name, service};

const HOURS: Duration = Duration::from_hours(1);

#[test]
fn a_token_is_shown_once_and_lapses() {
    let (house, _) = House::with_owner();
    let scopes = [Scope::See, Scope::Request].into();
    let new = house.access.create_token(&service("agent"), scopes, Access::TOKEN_LIFETIME, &host()).unwrap();
    assert!(new.token.starts_with("unwipe_") && new.token.len() >= 7 + 43);
    let identity = house.another(5).token(&new.token).unwrap().unwrap();
    assert_eq!(identity.name, service("agent"));
    assert_eq!(identity.scopes, [Scope::See, Scope::Request].into());
    for entry in std::fs::read_dir(house.folder().join("tokens")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&new.token));
        assert!(!path.to_str().unwrap().contains(&new.token[7..]));
    }
    house.pass(HOUR);
    assert_eq!(house.access.token(&new.token).unwrap(), None);
    assert!(house.access.tokens().unwrap().is_empty());
}

#[test]
fn a_clock_that_is_put_back_revives_no_token() {
    let (house, _) = House::with_owner();
    let make =
        |text: &str| house.access.create_token(&service(text), [Scope::See].into(), HOURS, &host()).unwrap();
    let (lapsed, revoked, swept) = (make("lapsed"), make("revoked"), make("swept"));
    house.access.revoke_token(&service("revoked"), &host()).unwrap();
    house.pass(HOUR);
    assert_eq!(house.access.token(&lapsed.token).unwrap(), None);
    house.clock.jump_micros(-HOUR / 2);
    assert_eq!(house.access.token(&lapsed.token).unwrap(), None);
    assert_eq!(house.access.token(&revoked.token).unwrap(), None);
    // What nobody looked at is still good; once the house was swept it is gone as well, whatever the clock says then.
    assert!(house.access.token(&swept.token).unwrap().is_some());
    house.clock.jump_micros(HOUR);
    house.access.sweep().unwrap();
    house.clock.jump_micros(-HOUR);
    assert_eq!(house.access.token(&swept.token).unwrap(), None);
    assert_eq!(std::fs::read_dir(house.folder().join("tokens")).unwrap().count(), 0);
}

#[test]
fn a_revoked_token_opens_nothing_and_its_name_is_free() {
    let (house, _) = House::with_owner();
    let make = || house.access.create_token(&service("agent"), [Scope::See].into(), HOURS, &host());
    let old = make().unwrap();
    assert!(matches!(make(), Err(AccessError::TokenExists { .. })));
    house.access.revoke_token(&service("agent"), &host()).unwrap();
    assert_eq!(house.access.token(&old.token).unwrap(), None);
    assert!(matches!(
        house.access.revoke_token(&service("agent"), &host()),
        Err(AccessError::NoToken { .. })
    ));
    let new = make().unwrap();
    assert!(house.access.token(&new.token).unwrap().is_some());
    assert_eq!(house.access.token(&old.token).unwrap(), None);
    assert_eq!(house.access.tokens().unwrap().len(), 2);
    assert!(house.log.words().ends_with(&[
        "token_created".to_owned(),
        "token_revoked".to_owned(),
        "token_created".to_owned()
    ]));
}

#[test]
fn who_makes_tokens_and_for_how_long() {
    let (house, _) = House::with_owner();
    house.join("ben", &[Role::Operator]);
    let make = |by: &Principal, hours: u32| {
        house.access.create_token(&service("agent"), [Scope::See].into(), HOURS * hours, by)
    };
    for by in [Principal::Service(service("agent")), Principal::Person(name("ben"))] {
        assert!(matches!(make(&by, 1), Err(AccessError::NotAllowed { .. })), "{by}");
    }
    assert!(matches!(make(&Principal::Person(name("nobody")), 1), Err(AccessError::NoPerson { .. })));
    for hours in [0, 90 * 24 + 1] {
        assert!(matches!(make(&host(), hours), Err(AccessError::Lifetime)), "{hours}");
    }
    let none = house.access.create_token(&service("agent"), [].into(), HOURS, &host());
    assert!(matches!(none, Err(AccessError::NoScopes)));
    assert!(make(&Principal::Person(name("anna")), 90 * 24).is_ok());
}

#[test]
fn nobody_guesses_a_token() {
    let (house, _) = House::with_owner();
    let new = house.access.create_token(&service("agent"), [Scope::See].into(), HOURS, &host()).unwrap();
    for guess in ["", "unwipe_", "unwipe_../people/anna", &new.token[7..], &format!("{} ", new.token)] {
        assert_eq!(house.access.token(guess).unwrap(), None, "{guess:?}");
    }
    // A session's token is none of a service, and the other way round.
    assert_eq!(house.access.session(&new.token).unwrap(), None);
}
