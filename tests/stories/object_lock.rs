//! A vault in a bucket with Object Lock, on a real server.

use buckets::{LockServer, Planted};
use serde_json::Value;

use crate::unwipe::{Unwipe, exit};

/// Makes a vault in a bucket, with a credential that may only write and one that may do everything.
fn init(unwipe: &Unwipe, server: &LockServer, bucket: &str, attacker: &str) -> crate::unwipe::Outcome {
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
