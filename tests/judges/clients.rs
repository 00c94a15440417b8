//! Clients of others against the simulated domain.

use std::collections::BTreeSet;

use google_api::method::{CONTAINING, READING, RESTORING, SANDBOXED};

use crate::{
    domain::{Domain, Program},
    tools::{python, python_trusting},
};

/// Our names of several methods, or of a part of one.
fn in_documents(name: &str) -> Vec<String> {
    const SETTINGS: [&str; 9] = [
        "filters.list",
        "forwardingAddresses.list",
        "delegates.list",
        "sendAs.list",
        "getAutoForwarding",
        "getImap",
        "getPop",
        "getLanguage",
        "getVacation",
    ];
    match name {
        "gmail.users.settings.get" => {
            SETTINGS.iter().map(|setting| format!("gmail.users.settings.{setting}")).collect()
        }
        // An address that answers give, and no method of an API.
        "people.photos.get" => Vec::new(),
        name => vec![name.strip_suffix(".media").unwrap_or(name).to_owned()],
    }
}

fn judged(script: &str) -> BTreeSet<String> {
    let told = python(script, &["methods"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_method_that_the_connector_calls_and_that_the_simulator_has_is_judged() {
    let judged = judged("google_client.py");
    for method in READING.iter().chain(RESTORING).chain(SANDBOXED).chain(CONTAINING) {
        for name in in_documents(method.name) {
            assert!(judged.contains(&name), "{name} is not judged: add it to tools/judges/google_client.py");
        }
    }
    // Tokens and pictures are no methods of an API.
    let of_apis = |id: &&str| !id.starts_with("oauth") && *id != "people.photos.get";
    for id in google_tenant::offered().iter().map(|one| one.id).filter(of_apis) {
        assert!(judged.contains(id), "{id} is not judged: add it to tools/judges/google_client.py");
    }
}

#[test]
fn the_comparison_with_schemas_finds_what_is_wrong() {
    let checked = python("check_schemas.py", &[]);
    let said = [String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr)].concat();
    assert!(checked.status.success(), "{said}");
}

#[test]
fn googles_own_client_finds_nothing_that_google_would_not_answer() {
    let domain = Domain::start();
    domain.lay_faults();
    let judgement = python("google_client.py", &["judge", domain.world().to_str().unwrap()]);
    let said =
        [String::from_utf8_lossy(&judgement.stdout), String::from_utf8_lossy(&judgement.stderr)].concat();
    assert!(judgement.status.success(), "{said}");
    // The judge's word is not enough: the simulator counted the calls.
    domain.running.with_tenant(|tenant| {
        for method in
            READING.iter().chain(RESTORING).chain(SANDBOXED).flat_map(|method| in_documents(method.name))
        {
            assert!(tenant.traffic().calls(&method) > 0, "{method} was never called");
        }
    });
}

#[test]
fn a_client_of_others_finds_its_way_through_the_program_over_tls() {
    let program = Program::start();
    let [reading, writing] = ["reading.json", "writing.json"].map(|name| program.path(name));
    let arguments = [&program.url, reading.to_str().unwrap(), writing.to_str().unwrap(), &program.admin];
    let judgement = python_trusting(
        Some(&program.path("authority.pem")),
        "other_client.py",
        &arguments.map(|text| text as &str),
    );
    let said =
        [String::from_utf8_lossy(&judgement.stdout), String::from_utf8_lossy(&judgement.stderr)].concat();
    assert!(judgement.status.success(), "{said}");
    assert!(said.contains(" 0 problems"), "{said}");
}
