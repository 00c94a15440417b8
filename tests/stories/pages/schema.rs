//! Schemathesis, a client of others, reads the API's own description and tries what it allows and what it does not.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    keep_papers, nothing,
    stage::{Stage, root},
};
use crate::unwipe::Unwipe;

/// No more than so many requests a second, so that the limit of the site is not what is tested.
const RATE: &str = "30/s";
const EXAMPLES: &str = "25";
const SEED: &str = "6";

/// What is well-formed may still mean nothing here, such as the cursor of a page that does not exist: that is 422. It
/// counts 400 as a wrong refusal all the same.
const SETTINGS: &str = r#"[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"#;

/// Has it try every call with these headers; it must find nothing.
fn judge(stage: &Stage, unwipe: &Unwipe, headers: &[String], without: &[&str]) {
    // Not by its own script: that names the interpreter at the place where the environment was made.
    let program = root().join(".tools/python/bin/python");
    assert!(program.is_file(), "{} is missing; run: tools/install_python", program.display());
    let folder = unwipe.path("schemathesis");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("schemathesis.toml"), SETTINGS).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
    command.args(["run", &format!("{}/api/v1/openapi.json", stage.origin())]);
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", "all", "--warnings", "off"]);
    command.args(["--rate-limit", RATE, "--max-examples", EXAMPLES, "--seed", SEED]);
    command.args(without.iter().flat_map(|check| ["--exclude-checks", check]));
    command.args(headers.iter().flat_map(|header| ["--header", header]));
    let output = command.current_dir(folder).env("NO_PROXY", "*").env("NO_COLOR", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("No issues found"), "{said}");
}

#[test]
fn a_client_of_others_finds_nothing_wrong_with_a_token() {
    let unwipe = Unwipe::initialised();
    keep_papers(&unwipe);
    let mut arguments = vec!["token", "create", "judge"];
    arguments.extend(["see", "content", "snapshot", "request"].iter().flat_map(|scope| ["--scope", scope]));
    let token = unwipe.json(&arguments)["token"].as_str().unwrap().to_owned();
    let stage = Stage::open(&unwipe);
    judge(&stage, &unwipe, &[format!("Authorization: Bearer {token}")], &[]);
    stage.close();
}

#[test]
fn a_client_of_others_finds_nothing_wrong_with_a_session() {
    let unwipe = Unwipe::initialised();
    keep_papers(&unwipe);
    let stage = Stage::open(&unwipe);
    stage.play("session", |name, with| {
        let text = |field: &str| with[field].as_str().unwrap().to_owned();
        match name {
            "judge" => {
                let headers =
                    [format!("Cookie: {}", text("cookie")), format!("x-csrf-token: {}", text("csrf"))];
                // It cannot take the cookie away that it was given, so it would take every answer for a hole.
                judge(&stage, &unwipe, &headers, &["ignored_auth"]);
                json!(true)
            }
            other => nothing(other, &Value::Null),
        }
    });
    stage.close();
}
