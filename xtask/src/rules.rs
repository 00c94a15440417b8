//! Rules that no compiler knows: what the invariants of `ARCHITECTURE.md` promise to be absent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const LINES_MAX: usize = 600;

struct Rule {
    /// What is searched in a line of code.
    needle: &'static str,
    /// Path prefixes in which it may stand.
    allowed: &'static [&'static str],
    /// Path prefixes in which the rule holds; empty: everywhere.
    within: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        needle: ".reap(",
        allowed: &[
            "crates/vault/src/reap",
            "crates/vault-sealer/src/socket",
            "crates/blobs/src/sealer",
            "sim/world/src/keeper",
        ],
        within: &[],
        reason: "only retention removes objects",
    },
    Rule {
        needle: "Method::DELETE",
        allowed: &["crates/blobs/src/s3/reaper.rs", "crates/blobs/src/s3/attest/attacker.rs"],
        within: &["crates/blobs", "crates/vault", "crates/service"],
        reason: "a bucket's objects are deleted by the reaper; attestations attack their own, in one place",
    },
    Rule {
        needle: "\"DELETE\"",
        allowed: &[],
        within: &["crates/blobs", "crates/vault", "crates/service"],
        reason: "the verb that deletes is `Method::DELETE`, in two modules",
    },
    Rule {
        needle: "Method::POST",
        allowed: &["crates/blobs/src/s3/attest/attacker.rs", "crates/blobs/src/s3/connection.rs"],
        within: &["crates/blobs/", "crates/vault/"],
        reason: "a bucket's batch delete and multipart uploads are POSTs; only attestations send them",
    },
    Rule {
        needle: "bypass-governance",
        allowed: &["crates/blobs/src/s3/attest/attacker.rs"],
        within: &["crates"],
        reason: "the header that lifts locks is sent by attestations only",
    },
    Rule {
        needle: "remove_file",
        allowed: &[
            "crates/blobs/src/local",
            "crates/blobs/src/protection",
            "crates/service/src/cases/store",
            "crates/service/src/watching/store",
            "crates/vault/src/journal",
            "crates/vault-sealer/src/attacks",
            "crates/vault-sealer/src/sealer",
            "crates/vault-sealer/src/socket",
        ],
        within: &["crates/blobs", "crates/vault", "crates/capture", "crates/service"],
        reason: "nothing of a vault is removed: only drafts, probes, journal files, answered requests and steps that are in the vault, each in one place",
    },
    Rule {
        needle: "WriteApi",
        allowed: &[],
        within: &["crates/sources/google/"],
        reason: "the reader of a domain has no call that changes anything",
    },
    Rule {
        needle: "SANDBOX_",
        allowed: &["crates/google-api/src/method.rs", "crates/sources/google-recovery/src/sandbox/"],
        within: &["crates"],
        reason: "what deletes in a domain is called by drills alone, and only for what carries their name",
    },
    Rule {
        needle: ".decide(",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: ".begin(",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: "apply(",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: ".contain(",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: "Workshop",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: "withdraw(",
        allowed: &[],
        within: &["crates/mcp/src"],
        reason: "agents read, announce and request; people decide, and the installation applies",
    },
    Rule {
        needle: ".decide(",
        allowed: &[],
        within: &["crates/unwipe/src/agents"],
        reason: "the desk of agents asks the workshop for plans, captures and answers alone",
    },
    Rule {
        needle: ".begin(",
        allowed: &[],
        within: &["crates/unwipe/src/agents"],
        reason: "the desk of agents asks the workshop for plans, captures and answers alone",
    },
    Rule {
        needle: ".apply(",
        allowed: &[],
        within: &["crates/unwipe/src/agents"],
        reason: "the desk of agents asks the workshop for plans, captures and answers alone",
    },
    Rule {
        needle: ".contain(",
        allowed: &[],
        within: &["crates/unwipe/src/agents"],
        reason: "the desk of agents asks the workshop for plans, captures and answers alone",
    },
    Rule {
        needle: "remove_file",
        allowed: &[],
        within: &["crates/unwipe/src/agents"],
        reason: "the desk of agents asks the workshop for plans, captures and answers alone",
    },
    Rule { needle: "todo!", allowed: &["xtask/"], within: &[], reason: "finish it or say so in the docs" },
    Rule {
        needle: "#[ignore",
        allowed: &["xtask/"],
        within: &[],
        reason: "a test that does not run proves nothing",
    },
];

/// Words that would speak of a workplace instead of the project.
const FOREIGN: &[&str] = &["/work/main", "/work/shared", "../shared/"];

/// Reads every tracked source file and applies the rules.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for path in tracked_files(root)? {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let name = path.to_string_lossy();
        if name.starts_with("xtask/src/rules.rs") {
            continue;
        }
        for word in FOREIGN {
            if text.contains(word) {
                findings.push(format!("{name}: speaks of {word:?}, which is not part of the project"));
            }
        }
        if path.extension().is_some_and(|e| e == "rs") {
            findings.extend(check_source(&name, &text));
        }
    }
    Ok(findings)
}

fn check_source(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{name}: {lines} lines; a file is about one noun and has at most {LINES_MAX}"));
    }
    for rule in RULES {
        let applies = rule.within.is_empty() || rule.within.iter().any(|p| name.starts_with(p));
        let exempt = rule.allowed.iter().any(|p| name.starts_with(p)) || is_test(name);
        if !applies || exempt {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(rule.needle) {
                findings.push(format!("{name}:{}: `{}`: {}", index + 1, rule.needle, rule.reason));
            }
        }
    }
    findings
}

/// Tells whether a file is about testing: by a part of its path, so that `attest` is no test.
fn is_test(name: &str) -> bool {
    name.split('/').any(|part| matches!(part.trim_end_matches(".rs"), "test" | "tests" | "testing"))
}

fn tracked_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cannot run git ls-files: {e}"))?;
    if !output.status.success() {
        return Err("git ls-files failed".to_owned());
    }
    Ok(output
        .stdout
        .split(|&b| b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .collect())
}
