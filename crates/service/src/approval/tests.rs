use ports::SeededRandom;

use super::*;

const PLAN: PlanHash = PlanHash([7; 32]);
const OTHER: PlanHash = PlanHash([8; 32]);

fn key(folder: &Path, name: &str, random: &SeededRandom) -> SigningKey {
    SigningKey::create(&folder.join(name), random).unwrap()
}

fn sign(folder: &Path, key: &SigningKey, plan: PlanHash) {
    Approval::sign(key, plan, Moment::from_micros(1)).write(folder).unwrap();
}

/// Accounts: a passkey's assertion is the statement, and the name of the key.
struct Accounts(Vec<&'static str>);

impl Passkeys for Accounts {
    fn verify(
        &self,
        statement: &[u8],
        person: &str,
        assertion: &serde_json::Value,
    ) -> Result<Holder, ProofError> {
        let signed: Vec<u8> = serde_json::from_value(assertion["signed"].clone()).unwrap_or_default();
        if signed != statement {
            return Err(ProofError::Signature { person: person.to_owned() });
        }
        let credential = assertion["credential"].as_str().unwrap_or_default().to_owned();
        Ok(Holder { credential, approver: self.0.contains(&person) })
    }

    fn approvers(&self) -> Vec<String> {
        self.0.iter().map(|&name| name.to_owned()).collect()
    }
}

fn by_passkey(folder: &Path, person: &str, credential: &str, plan: PlanHash) {
    let case = CaseId::new("c1").unwrap();
    let signed = statement(&case, SubjectHash::of_plan(plan), Decision::Approve);
    let proof = Proof::Passkey {
        person: person.to_owned(),
        assertion: serde_json::json!({ "signed": signed, "credential": credential }),
    };
    CaseApproval { case, plan, proof }.write(folder, person).unwrap();
}

#[test]
fn only_a_listed_person_s_signature_over_this_very_plan_counts() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let anna = key(folder.path(), "anna.key", &random);
    let eve = key(folder.path(), "eve.key", &random);
    let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
    let asked = |plan| approvers_of(plan, folder.path(), &Quorum::one_of(&listed));

    assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })));
    sign(folder.path(), &eve, PLAN);
    assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "a stranger's signature counted");
    sign(folder.path(), &anna, OTHER);
    assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "another plan's approval counted");
    sign(folder.path(), &anna, PLAN);
    assert_eq!(asked(PLAN).unwrap(), ["anna"]);
    assert!(matches!(asked(OTHER), Err(ApprovalError::Missing { .. })));
}

#[test]
fn a_changed_approval_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let anna = key(folder.path(), "anna.key", &SeededRandom::new(1));
    let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
    let mut approval = Approval::sign(&anna, PLAN, Moment::from_micros(1));
    approval.at = Moment::from_micros(2);
    approval.write(folder.path()).unwrap();
    assert!(approvers_of(PLAN, folder.path(), &Quorum::one_of(&listed)).is_err());
}

#[test]
fn without_approvers_nothing_counts() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = BTreeMap::new();
    let asked = approvers_of(PLAN, folder.path(), &Quorum::one_of(&nobody));
    assert!(matches!(asked, Err(ApprovalError::NoApprovers { .. })));
}

#[test]
fn two_of_three_people_must_sign_and_who_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let keys = ["anna", "ben", "cleo"].map(|name| (name, key(folder.path(), name, &random)));
    let listed = keys.iter().map(|(name, key)| ((*name).to_owned(), key.public())).collect();
    let asked = || {
        let quorum = Quorum { needed: 2, ..Quorum::one_of(&listed) };
        approvers_of(PLAN, folder.path(), &quorum)
    };
    sign(folder.path(), &keys[1].1, PLAN);
    sign(folder.path(), &keys[1].1, PLAN);
    let said = asked().unwrap_err().to_string();
    assert!(said.ends_with("1 of 2 approvals; missing: anna, cleo"), "{said}");
    sign(folder.path(), &keys[2].1, PLAN);
    assert_eq!(asked().unwrap(), ["ben", "cleo"]);
}

#[test]
fn one_key_under_two_names_is_one_person() {
    let folder = tempfile::tempdir().unwrap();
    let anna = key(folder.path(), "anna.key", &SeededRandom::new(1));
    let listed = BTreeMap::from([
        ("anna".to_owned(), anna.public()),
        ("ben".to_owned(), anna.public().to_uppercase()),
    ]);
    sign(folder.path(), &anna, PLAN);
    let case = CaseId::new("c1").unwrap();
    let said = statement(&case, SubjectHash::of_plan(PLAN), Decision::Approve);
    CaseApproval { case, plan: PLAN, proof: Proof::sign(&anna, &said) }.write(folder.path(), "ben").unwrap();
    let quorum = Quorum { needed: 2, ..Quorum::one_of(&listed) };
    assert!(matches!(approvers_of(PLAN, folder.path(), &quorum), Err(ApprovalError::Missing { .. })));
    assert_eq!(approvers_of(PLAN, folder.path(), &Quorum::one_of(&listed)).unwrap(), ["anna"]);
}

#[test]
fn whoever_asked_for_a_plan_is_not_among_its_approvers() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let keys = ["anna", "ben"].map(|name| (name, key(folder.path(), name, &random)));
    let listed = keys.iter().map(|(name, key)| ((*name).to_owned(), key.public())).collect();
    let request = Request {
        case: CaseId::new("c1").unwrap(),
        requested_by: Principal::Person("Anna".to_owned()),
        requested_at: Moment::from_micros(1),
    };
    request.write(folder.path()).unwrap();
    sign(folder.path(), &keys[0].1, PLAN);
    let said = approvers_of(PLAN, folder.path(), &Quorum::one_of(&listed)).unwrap_err().to_string();
    assert!(said.ends_with("0 of 1 approvals; missing: ben"), "{said}");
    sign(folder.path(), &keys[1].1, PLAN);
    assert_eq!(approvers_of(PLAN, folder.path(), &Quorum::one_of(&listed)).unwrap(), ["ben"]);

    // The file is gone, and a case says the same.
    std::fs::remove_file(folder.path().join(REQUEST)).unwrap();
    let quorum = Quorum { requesters: vec![request.requested_by], ..Quorum::one_of(&listed) };
    assert_eq!(approvers_of(PLAN, folder.path(), &quorum).unwrap(), ["ben"]);
    // A file that cannot be read is no file that says nothing.
    files::replace(&folder.path().join(REQUEST), b"{}").unwrap();
    assert!(matches!(
        approvers_of(PLAN, folder.path(), &Quorum::one_of(&listed)),
        Err(ApprovalError::Unreadable { .. })
    ));
}

#[test]
fn passkeys_count_beside_key_files_and_each_person_once() {
    let folder = tempfile::tempdir().unwrap();
    let anna = key(folder.path(), "anna.key", &SeededRandom::new(1));
    let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
    let accounts = Accounts(vec!["Anna", "ben"]);
    let asked = |needed| {
        let people = People { keys: &listed, passkeys: &accounts };
        approvers_of(PLAN, folder.path(), &Quorum { people, needed, requesters: Vec::new() })
    };
    sign(folder.path(), &anna, PLAN);
    by_passkey(folder.path(), "Anna", "k1", PLAN);
    let said = asked(2).unwrap_err().to_string();
    assert!(said.ends_with("1 of 2 approvals; missing: ben"), "{said}");
    by_passkey(folder.path(), "vera", "k2", PLAN);
    assert!(asked(2).is_err(), "somebody without the role counted");
    by_passkey(folder.path(), "ben", "k3", OTHER);
    assert!(asked(2).is_err(), "another plan's approval counted");
    by_passkey(folder.path(), "ben", "k3", PLAN);
    assert_eq!(asked(2).unwrap().len(), 2);
}
