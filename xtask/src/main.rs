//! Checks of the repository itself: `cargo xtask check` runs them all.

mod edges;
mod rules;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let findings = match wanted.as_str() {
        "edges" => edges::check(&root),
        "rules" => rules::check(&root),
        "check" => edges::check(&root).and_then(|mut findings| {
            findings.extend(rules::check(&root)?);
            Ok(findings)
        }),
        _ => Err("usage: cargo xtask check|edges|rules".to_owned()),
    };
    report(findings)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]
fn report(findings: Result<Vec<String>, String>) -> ExitCode {
    match findings {
        Ok(findings) if findings.is_empty() => {
            println!("repository checks: nothing found");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            for finding in &findings {
                eprintln!("{finding}");
            }
            eprintln!("error: findings: {}", findings.len());
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
