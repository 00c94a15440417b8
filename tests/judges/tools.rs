//! The tools of others, installed below `.tools`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Returns the repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the repository").to_owned()
}

/// Runs a judge that is written in Python.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Output {
    python_trusting(None, script, arguments)
}

/// Runs a judge that is written in Python and trusts the authority in a file, and no other.
pub(crate) fn python_trusting(authority: Option<&Path>, script: &str, arguments: &[&str]) -> Output {
    let python = root().join(".tools/python/bin/python");
    assert!(python.is_file(), "{} is missing; run: tools/install_python", python.display());
    Command::new(python)
        .args(["-B", "-W", "ignore"])
        .arg(root().join("tools/judges").join(script))
        .args(arguments)
        .env("NO_PROXY", "*")
        .envs(authority.map(|path| ("SSL_CERT_FILE", path)))
        .output()
        .expect("python runs")
}

/// Finds a program of ours beside the tests: `target/PROFILE/deps/judges-…` and `target/PROFILE/NAME`.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let program = test.parent().and_then(Path::parent).expect("a profile folder").join(name);
    assert!(program.is_file(), "{} is missing; run: cargo build -p {package}", program.display());
    program
}
