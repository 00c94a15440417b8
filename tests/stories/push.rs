//! A production host pushes into a vault on another host, and cannot harm it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use ports::{Clock as _, SystemClock};
use rustix::process::{Signal, geteuid};

use crate::{
    comeback::Comeback,
    production::{Production, newest_major},
    unwipe::{Running, Unwipe, exit, wait_until},
};

/// Starts the vault's server and returns its address.
///
/// Its reserve is small: what is tested here must not depend on how full this machine's disk is.
pub(crate) fn serve(host: &Unwipe) -> (Running, String) {
    let server = host.start(&["vault", "serve", "--listen", "127.0.0.1:0", "--reserve-bytes", "67108864"]);
    let address = || {
        let said = server.said();
        let rest = said.split_once("https://")?.1.to_owned();
        Some(rest.split(';').next()?.to_owned())
    };
    wait_until("the vault's server", || address().is_some());
    let address = address().unwrap();
    (server, format!("https://{address}"))
}

/// The day of the vault server's quotas.
fn today() -> i64 {
    SystemClock::new().now().as_micros() / 86_400_000_000
}

/// Lists the packs and commits of a vault's folder.
fn objects(vault: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![vault.join("data"), vault.join("log")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(vault).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
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
    let plain = ["vault", "enrol", "shop", "--url", "http://127.0.0.1:1", "--out", &enrolment];
    host.run(&plain).refused(exit::USAGE, "no address of a vault server");
    let enrolled = host.json(&["vault", "enrol", "shop", "--url", &url, "--out", &enrolment]);

    let postgres = Production::start(newest_major());
    postgres.open_shop(200);
    let production = Unwipe::nowhere();
    let joined = production.json(&["init", "--enrolment", &enrolment]);
    assert_eq!(joined["tier"], 2, "{joined}");
    production.json(&["protect", "shop", "postgres", "--url", &postgres.capture_url()]);
    let captured_on = today();
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
    // Unless today has become yesterday in between.
    let added = status["sources"][0]["objects_today"].as_u64().unwrap();
    assert!(added >= 2 || today() != captured_on, "{status}");

    // A third host restores through the server, with a certificate that reads and the restore key.
    let third = Unwipe::nowhere();
    fs::create_dir(third.home()).unwrap();
    host.json(&["vault", "authority", "issue", "restore", "--out", &third.argument("home")]);
    fs::copy(host.home().join("keys/restore.key"), third.home().join("reading.key")).unwrap();
    fs::copy(host.home().join("authority/authority.crt"), third.home().join("authority.crt")).unwrap();
    let configuration = format!(
        "[vault]\ncapture_key = \"file:none\"\n[vault.place]\nkind = \"server\"\nurl = \"{url}\"\n\
         certificate = \"file:restore.crt\"\nkey = \"file:restore.key\"\nauthority = \"file:authority.crt\"\n\
         [restore]\nkey = \"file:reading.key\"\n[sources.shop]\nkind = \"postgres\"\n[sources.shop.settings]\n\
         url = \"postgresql://nobody@127.0.0.1/postgres\"\n"
    );
    fs::write(third.home().join("unwipe.toml"), configuration).unwrap();
    let verified = third.json(&["verify", "--read-data"]);
    assert_eq!((&verified["sound"], &verified["with_key"]), (&true.into(), &true.into()));
    let before = postgres.content(&["customers", "orders"]);
    let comeback = Comeback::to(&third, "latest", "back");
    assert_eq!(crate::production::content(comeback.url(), &["customers", "orders"]), before);
    comeback.stop();

    // A third host mirrors what the server has, with a certificate that adds nothing but proofs.
    let third = Unwipe::nowhere();
    let issued = host.json(&["vault", "authority", "issue", "mirror", "--out", &host.argument("mirror")]);
    let file = |path: &str| format!("'file:{path}'");
    let place = format!(
        "{{ kind = 'server', url = '{url}', certificate = {}, key = {}, authority = {} }}",
        file(issued["certificate"].as_str().unwrap()),
        file(issued["key"].as_str().unwrap()),
        file(&host.argument("home/authority/authority.crt")),
    );
    let copy = third.argument("copy");
    let pulled = third.json(&["mirror", "pull", "--from", &place, "--into", &copy]);
    assert_eq!(pulled["complete"], true, "{pulled}");
    let again = third.json(&["mirror", "pull", "--from", &place, "--into", &copy]);
    assert_eq!(again["copied_objects"], 0, "{again}");
    assert_eq!(objects(&third.path("copy")), objects(&host.path("home/vault")));

    // The vault knows the key that production signs with, and that it counts for this source alone. Retired or revoked,
    // it adds nothing more.
    let listed = host.json(&["keys", "list"]);
    let signers = listed["signers"].as_array().unwrap();
    let bound = signers.iter().find(|signer| signer["signer"] == enrolled["signer"]).unwrap();
    assert_eq!(bound["source"], "shop");
    host.json(&["vault", "authority", "revoke", enrolled["serial"].as_str().unwrap()]);
    production.run(&["capture", "shop", "--once"]).not_done();
    server.end(Signal::TERM).expect(exit::DONE);
}

/// A user with no capability but one, as in `unwipe-sealer.service`.
const SEALER: [&str; 12] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
    "--inh-caps",
    "-all,+linux_immutable",
    "--ambient-caps",
    "-all,+linux_immutable",
    "--bounding-set",
    "-all,+linux_immutable",
];

/// Folders whose flags are taken off in the end, so that the story's folder can be removed.
struct Unsealed([String; 2]);

impl Drop for Unsealed {
    fn drop(&mut self) {
        for flags in ["-i", "-a"] {
            drop(Command::new("chattr").args(["-R", flags]).args(&self.0).output());
        }
    }
}

#[test]
fn a_sealed_vault_takes_what_is_captured_and_resists_its_own_user() {
    if !geteuid().is_root() {
        println!("not run: setting immutable flags takes root");
        return;
    }
    let host = Unwipe::nowhere();
    let (vault, state, run) = (host.argument("vault"), host.argument("state"), host.argument("run"));
    for folder in [&vault, &state, &run] {
        fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(65534), Some(65534)).unwrap();
    }
    let _unsealed = Unsealed([vault.clone(), state.clone()]);
    let socket = format!("{run}/socket");
    let uid = geteuid().as_raw().to_string();
    let arguments =
        ["vault", "sealer", "--vault", &vault, "--state", &state, "--socket", &socket, "--allow", &uid];
    let sealer =
        host.start_through(&SEALER, &["--home", &run].into_iter().chain(arguments).collect::<Vec<_>>());
    wait_until("the sealer", || fs::exists(&socket).unwrap() || sealer.said().contains("error"));
    assert!(sealer.said().contains("tier 1"), "{}", sealer.said());
    let kit = host.argument("kit.txt");
    host.json(&["init", "--vault", &vault, "--sealer", &socket, "--kit", &kit]);
    assert_eq!(fs::metadata(format!("{vault}/vault.json")).unwrap().uid(), 65534);

    let postgres = Production::start(newest_major());
    postgres.open_shop(50);
    host.json(&["protect", "shop", "postgres", "--url", &postgres.capture_url()]);
    host.capture_once();
    for drop in ["-linux_immutable,-sys_admin,-sys_rawio", "-all"] {
        let mut weak = Command::new("setpriv");
        weak.args(["--bounding-set", drop, "--inh-caps", drop, "rm", "-rf", &vault]);
        assert!(!weak.output().unwrap().status.success());
    }
    let verified = host.json(&["verify", "--read-data"]);
    assert_eq!((&verified["sound"], &verified["with_key"]), (&true.into(), &true.into()));
    sealer.end(Signal::TERM).expect(exit::DONE);
    let doctor = host.run(&["--json", "doctor"]).document();
    let findings = doctor.as_array().unwrap().iter().flat_map(|part| part["findings"].as_array().unwrap());
    let sealer = findings.into_iter().find(|finding| finding["subject"] == "the sealer answers");
    assert_eq!(sealer.expect("the sealer is asked")["standing"], "bad");
    // Nobody writes while the sealer is away.
    postgres.sql("delete from orders");
    host.run(&["capture", "shop", "--once"]).not_done();
}

#[test]
fn without_the_capability_there_is_no_sealer() {
    if !geteuid().is_root() {
        println!("not run: dropping a capability takes root");
        return;
    }
    let host = Unwipe::nowhere();
    let (vault, state, socket) = (host.argument("vault"), host.argument("state"), host.argument("socket"));
    let wrapper = ["setpriv", "--bounding-set", "-linux_immutable", "--inh-caps", "-linux_immutable"];
    let arguments =
        ["vault", "sealer", "--vault", &vault, "--state", &state, "--socket", &socket, "--allow", "0"];
    let ended = host.start_through(&wrapper, &arguments).wait();
    ended.refused(exit::AUTHENTICATION, "no CAP_LINUX_IMMUTABLE");
    assert!(!fs::exists(&vault).unwrap(), "something was made although nothing could be guarded");
}
