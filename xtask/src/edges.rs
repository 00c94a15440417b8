//! Which of our crates may use which: data flows one way, and so do dependencies.

use std::{collections::BTreeMap, path::Path, process::Command};

/// The allowed edges. A new line here is a design change and is reviewed as one.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ports", &["model"]),
    // Accounts know nothing of what they give access to.
    ("access", &["model", "ports"]),
    // Whose certificates count, for every client that speaks HTTP; it knows nobody that does.
    ("trust", &[]),
    ("blobs", &["model", "ports", "trust"]),
    ("vault", &["model", "ports"]),
    // A witness runs on another machine: it knows trees and notes, and nothing of sources.
    ("witness", &["model", "ports", "trust", "vault"]),
    ("connect", &["model", "ports"]),
    // What people must agree to is decided by a pure function: it knows plans by their hash, and no files or clocks.
    ("approvals", &["model", "connect"]),
    ("catalog", &["model", "ports", "vault"]),
    // Stored bytes as something to read: pure, and safe on whatever it is given.
    ("render", &[]),
    // What a restore test is and how long it counts: pure, without clock, vault or source.
    ("drill", &["model", "connect"]),
    // Capture alone sees contents pass by: what is remembered of files is made and compared there, by pure functions.
    ("capture", &["model", "ports", "vault", "catalog", "connect", "watch"]),
    // PostgreSQL: the protocol, the log and the servers are libraries of the connector and know nothing of it.
    ("postgres-wire", &["model", "ports"]),
    ("postgres-wal", &[]),
    ("postgres-server", &["model", "ports"]),
    // The reader, the recovery into directories of our own, and the writer are three crates: none can do another's work.
    ("source-postgres", &["model", "ports", "connect", "postgres-wire", "postgres-wal"]),
    (
        "postgres-recovery",
        &[
            "model",
            "ports",
            "connect",
            "drill",
            "postgres-wire",
            "postgres-wal",
            "postgres-server",
            "source-postgres",
        ],
    ),
    ("postgres-undo", &["model", "ports", "connect", "postgres-wire", "postgres-wal", "postgres-server"]),
    // What stands in front of a vault on another host, and what guards its files: each a process of its own.
    ("vault-server", &["model", "ports", "blobs", "vault"]),
    ("vault-sealer", &["model", "ports", "blobs", "vault"]),
    // A folder tree: reading it, and writing a new one, are two crates as well.
    ("source-files", &["model", "ports", "connect"]),
    ("files-recovery", &["model", "ports", "connect", "source-files"]),
    // Attacks on a vault of the user's own: its decoys, and copies of its structure.
    ("siege", &["model", "ports", "blobs", "vault", "catalog", "connect", "capture", "service", "tenants"]),
    (
        "service",
        &[
            "access",
            "approvals",
            "model",
            "ports",
            "blobs",
            "vault",
            "catalog",
            "connect",
            "connect-http",
            "capture",
            "drill",
            "notify",
            "render",
            "watch",
            "witness",
        ],
    ),
    // Pages and API: thin, and without any source.
    ("server", &["access", "approvals", "connect", "model", "ports", "render", "service", "watch"]),
    // What agents may ask: a desk without any verb that decides, applies or stops; it knows no engine and no source.
    ("mcp", &["access", "model", "ports", "render"]),
    // Detection is a pure function of what is observed: it knows no source, no vault and no network.
    ("watch", &["model"]),
    ("notify", &["model", "ports", "connect-http"]),
    // Spans leave for a collector: what carries them knows nothing of what is done.
    ("telemetry", &["model", "ports", "connect-http"]),
    // Stopping somebody is neither reading nor restoring: crates and credentials of their own.
    ("postgres-guard", &["model", "ports", "watch", "postgres-wire"]),
    ("google-containment", &["model", "ports", "watch", "connect-http", "google-api"]),
    // HTTP for connectors, and one vendor's way of speaking it; the reader gets no verb that writes.
    ("connect-http", &["model", "ports", "connect", "trust"]),
    // The negative proof is a pure judge over what was found and answered; what asks anybody is the binary's.
    ("isolation", &["model", "connect"]),
    // What every connector must do, for the tests of each.
    ("connect-conformance", &["model", "ports", "connect", "connect-http", "drill"]),
    ("google-api", &["model", "ports", "connect", "connect-http"]),
    ("source-google", &["model", "ports", "connect", "connect-http", "google-api"]),
    ("google-recovery", &["model", "ports", "connect", "connect-http", "google-api", "source-google"]),
    ("buckets", &[]),
    ("tenants", &["model", "ports"]),
    ("google-tenant", &["model", "ports"]),
    // Simulation drives the real engine; parsers are taken from everywhere to be fuzzed in one place.
    ("world", &["model", "ports", "blobs", "vault", "catalog", "capture", "connect"]),
    (
        "parsers",
        &[
            "model",
            "ports",
            "blobs",
            "vault",
            "connect",
            "connect-http",
            "isolation",
            "postgres-wire",
            "postgres-wal",
            "postgres-server",
            "postgres-recovery",
            "postgres-guard",
            "render",
            "source-google",
            "source-postgres",
        ],
    ),
    ("xtask", &[]),
];

/// Only these may name everything: the binary wires the parts together, the tests and benchmarks drive them.
const FREE: &[&str] = &["unwipe", "end-to-end", "bench"];

/// Compares the dependencies of the workspace with the table.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let packages = workspace_packages(root)?;
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut findings = Vec::new();
    for (name, dependencies) in &packages {
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(name.as_str()) else {
            findings.push(format!(
                "{name}: this crate is not in the table of allowed edges (xtask/src/edges.rs)"
            ));
            continue;
        };
        for dependency in dependencies {
            if packages.contains_key(dependency) && !allowed.contains(&dependency.as_str()) {
                findings
                    .push(format!("{name} -> {dependency}: this edge is not allowed (xtask/src/edges.rs)"));
            }
        }
    }
    Ok(findings)
}

/// Returns each package of the workspace with its normal dependencies; tests may use what they like.
fn workspace_packages(root: &Path) -> Result<BTreeMap<String, Vec<String>>, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cannot run cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata is no JSON: {e}"))?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    Ok(list(&metadata["packages"])
        .iter()
        .map(|package| {
            let dependencies = list(&package["dependencies"]);
            let normal = dependencies.iter().filter(|d| d["kind"].is_null());
            (text(&package["name"]), normal.map(|d| text(&d["name"])).collect())
        })
        .collect())
}
