//! A production host pushes into a vault on another host, and cannot harm it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use rustix::process::Signal;

use crate::{
    production::{Production, newest_major},
    unwipe::{Running, Unwipe, exit, wait_until},
};

/// Starts the vault's server and returns its address.
fn serve(host: &Unwipe) -> (Running, String) {
    let server = host.start(&["vault", "serve", "--listen", "127.0.0.1:0"]);
    let address = || {
        let said = server.said();
        let rest = said.split_once("https://")?.1.to_owned();
        Some(rest.split(';').next()?.to_owned())
    };
    wait_until("the vault's server", || address().is_some());
    let address = address().unwrap();
    (server, format!("https://{address}"))
}

#[test]
fn production_pushes_with_an_enrolment_and_the_vaults_host_restores() {
    let host = Unwipe::initialised();
    host.json(&["vault", "authority", "init"]);
    let issued = host.json(&["vault", "authority", "issue", "server", "--name", "127.0.0.1"]);
    let key = issued["key"].as_str().unwrap();
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let (server, url) = serve(&host);
    let enrolment = host.argument("shop.enrolment");
    let enrolled = host.json(&["vault", "enrol", "shop", "--url", &url, "--out", &enrolment]);

    let postgres = Production::start(newest_major());
    postgres.open_shop(200);
    let production = Unwipe::nowhere();
    let joined = production.json(&["init", "--enrolment", &enrolment]);
    assert_eq!(joined["tier"], 2, "{joined}");
    production.json(&["protect", "shop", "postgres", "--url", &postgres.capture_url()]);
    let captured = production.capture_once();
    assert!(captured["commits"].as_u64().unwrap() >= 1, "{captured}");

    // The vault's host has it all, sound to the last byte; production reads nothing back.
    let verified = host.json(&["verify", "--read-data"]);
    assert_eq!((&verified["sound"], &verified["with_key"]), (&true.into(), &true.into()));
    assert!(verified["contents"].as_u64().unwrap() > 100, "{verified}");
    production.run(&["export", "shop@latest", "--to", &production.argument("stolen")]).not_done();
    let doctor = production.run(&["--json", "doctor"]).document();
    let findings = doctor.to_string();
    for held in ["this host cannot overwrite vault.json", "this host cannot read what is stored"] {
        assert!(findings.contains(held), "{held}: {findings}");
    }

    let status = production.json(&["vault", "status"]);
    assert_eq!(status["capability"], "capture/shop");
    assert!(status["sources"][0]["objects_today"].as_u64().unwrap() >= 2, "{status}");

    // A revoked certificate adds nothing more.
    host.json(&["vault", "authority", "revoke", enrolled["serial"].as_str().unwrap()]);
    production.run(&["capture", "shop", "--once"]).not_done();
    server.end(Signal::TERM).expect(exit::DONE);
}

#[test]
fn a_sealed_vault_takes_what_is_captured_and_resists_its_own_user() {
    let host = Unwipe::nowhere();
    let (vault, state, socket) = (host.argument("vault"), host.argument("state"), host.argument("socket"));
    let uid = rustix::process::geteuid().as_raw().to_string();
    let arguments =
        ["vault", "sealer", "--vault", &vault, "--state", &state, "--socket", &socket, "--allow", &uid];
    let sealer = host.start(&arguments);
    wait_until("the sealer", || fs::exists(&socket).unwrap());
    assert!(sealer.said().contains("tier 1"), "{}", sealer.said());
    let kit = host.argument("kit.txt");
    host.json(&["init", "--vault", &vault, "--sealer", &socket, "--kit", &kit]);
    let drop = "-linux_immutable,-sys_admin,-sys_rawio";
    let removed = Command::new("setpriv")
        .args(["--bounding-set", drop, "--inh-caps", drop, "rm", "-rf", &vault])
        .status();
    assert!(!removed.unwrap().success());
    assert_eq!(host.json(&["verify"])["sound"], true);
    sealer.end(Signal::TERM).expect(exit::DONE);
    // Nobody writes while the sealer is away.
    assert!(fs::write(format!("{vault}/planted"), "x").is_err());
    for flags in ["-i", "-a"] {
        assert!(Command::new("chattr").args(["-R", flags, &vault, &state]).status().unwrap().success());
    }
}
