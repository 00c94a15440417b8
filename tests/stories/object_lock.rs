//! A vault in a bucket with Object Lock, on a real server.

use buckets::{LockServer, Planted};
use serde_json::Value;

use crate::unwipe::{Unwipe, exit};

/// Makes a vault in a bucket, with a credential that may only write and one that may do everything.
pub(crate) fn init(
    unwipe: &Unwipe,
    server: &LockServer,
    bucket: &str,
    attacker: &str,
) -> crate::unwipe::Outcome {
    let url = format!("{}/{bucket}/vaults/shop", server.endpoint());
    let (kit, key) = (unwipe.argument("kit.txt"), format!("exec:printf {attacker}"));
    let secret = format!("exec:printf {attacker}-secret");
    unwipe.run(&[
        "init",
        "--json",
        "--kit",
        &kit,
        "--s3",
        &url,
        "--s3-access-key",
        "exec:printf writer",
        "--s3-secret-key",
        "exec:printf writer-secret",
        "--s3-attest-access-key",
        &key,
        "--s3-attest-secret-key",
        &secret,
    ])
}

#[test]
fn a_bucket_is_attested_and_holds_a_vault() {
    let (unwipe, server) = (Unwipe::nowhere(), LockServer::start());
    let made: Value =
        serde_json::from_str(&init(&unwipe, &server, LockServer::BUCKET, "root").expect(exit::DONE).stdout)
            .unwrap();
    assert_eq!(made["tier"], 3, "{made}");
    assert!(made["vault"].as_str().unwrap().ends_with("/vault/vaults/shop"), "{made}");
    let configuration = std::fs::read_to_string(unwipe.home().join("unwipe.toml")).unwrap();
    assert!(!configuration.contains("\"writer-secret\""), "{configuration}");
    unwipe.run(&["verify", "--read-data"]).expect(exit::DONE);

    // Somebody hides the manifest: it is read all the same, and both verify and doctor tell.
    server.plant(LockServer::BUCKET, "vaults/shop/vault.json", Planted::DeleteMarker);
    let verified = unwipe.run(&["verify"]).expect(exit::TAMPERING);
    assert!(verified.stdout.contains("vault.json: a delete marker"), "{}", verified.stdout);
    let doctor = unwipe.run(&["doctor", "--json"]).expect(exit::FAILED);
    let examined: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let findings = examined[0]["findings"].as_array().unwrap();
    assert!(findings.len() >= 30, "{}", findings.len());
    let of = |text: &str| {
        let found = findings.iter().find(|finding| finding["subject"].as_str().unwrap().contains(text));
        found.unwrap_or_else(|| panic!("doctor says nothing about {text}: {examined}"))
    };
    assert_eq!(of("a locked version cannot be deleted")["standing"], "good");
    assert_eq!(of("what was locked long ago")["standing"], "good");
    let traces = of("nobody tried to hide");
    assert_eq!(traces["standing"], "advice");
    assert!(traces["evidence"].as_str().unwrap().contains("a delete marker at vault.json"), "{traces}");
}

#[test]
fn a_bucket_without_locks_is_refused() {
    let (unwipe, server) = (Unwipe::nowhere(), LockServer::start());
    server.make_bucket("plain", false);
    let refused = init(&unwipe, &server, "plain", "root").expect(exit::FAILED);
    assert!(refused.stderr.contains("cannot be trusted"), "{}", refused.stderr);
    assert!(!unwipe.home().join("unwipe.toml").exists());
}

#[test]
fn a_vault_in_a_bucket_is_mirrored_into_a_folder_and_another_bucket_and_besieged() {
    let (unwipe, server) = (Unwipe::nowhere(), LockServer::start());
    init(&unwipe, &server, LockServer::BUCKET, "root").expect(exit::DONE);
    std::fs::create_dir(unwipe.path("documents")).unwrap();
    for number in 0..50 {
        std::fs::write(unwipe.path(&format!("documents/{number}.txt")), format!("contract {number}"))
            .unwrap();
    }
    unwipe.json(&["protect", "docs", "files", "--path", &unwipe.argument("documents")]);
    unwipe.json(&["capture", "docs", "--once"]);

    server.make_bucket("other", true);
    let other = format!(
        "{{ kind = 's3', endpoint = '{}', region = '{}', bucket = 'other', prefix = 'copies', \
         access_key = 'exec:printf writer', secret_key = 'exec:printf writer-secret' }}",
        server.endpoint(),
        LockServer::REGION,
    );
    unwipe.json(&["mirror", "add", "second", "--folder", &unwipe.argument("second")]);
    unwipe.json(&["mirror", "add", "third", "--place", &other]);
    for mirror in ["second", "third"] {
        let ran = unwipe.json(&["mirror", "run", mirror]);
        assert_eq!(ran[0]["complete"], true, "{ran}");
        assert_eq!(unwipe.json(&["mirror", "verify", mirror, "--read-data"])["sound"], true);
        assert_eq!(unwipe.json(&["mirror", "run", mirror])[0]["copied_objects"], 0);
        let folder = unwipe.argument(&format!("restored-from-{mirror}"));
        unwipe.json(&["rewind", "docs@latest", "--to", &folder, "--mirror", mirror]);
        let restored = unwipe.path(&format!("restored-from-{mirror}/49.txt"));
        assert_eq!(std::fs::read_to_string(restored).unwrap(), "contract 49");
    }
    // From the bucket back into a folder of a host that has nothing else.
    let from_bucket =
        unwipe.json(&["mirror", "pull", "--from", &other, "--into", &unwipe.argument("fourth")]);
    assert_eq!(from_bucket["complete"], true, "{from_bucket}");

    let report = unwipe.json(&["siege", "--yes"]);
    assert_eq!((&report["tier"], &report["broken_promises"]), (&3.into(), &0.into()), "{report}");
    let attempts = report["attempts"].as_array().unwrap();
    let on_place = |outcome: &str| {
        let of_place = attempts.iter().filter(|attempt| attempt["layer"] == "place");
        of_place.filter(|attempt| attempt["outcome"] == outcome).count()
    };
    assert!(on_place("held") >= 25, "{report}");
    assert_eq!(on_place("not-held"), 0, "{report}");
}
