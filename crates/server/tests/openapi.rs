//! Every way into the server is a page, or is in the document that describes the API.
#![expect(clippy::unwrap_used, reason = "a test that goes wrong should stop")]

use std::path::{Path, PathBuf};

/// What is neither a page nor a call: what pages load and listen to, and what a monitor reads.
const BESIDE: [&str; 3] = ["/assets/", "/events/", "/metrics"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The addresses that a file gives to handlers without describing them.
fn addresses(text: &str) -> Vec<&str> {
    let given = text.split(".route(").skip(1);
    given.map(|rest| rest.split(',').next().unwrap_or_default().trim().trim_matches('"')).collect()
}

#[test]
fn whatever_is_no_page_is_described() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut pages, mut others) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let within = file.strip_prefix(&root).unwrap();
        for address in addresses(&text) {
            let is_the_document = address == "&format!(\"{BASE}/openapi.json\")";
            if within.starts_with("pages") {
                pages += 1;
                assert!(
                    address.starts_with('/') && !address.starts_with("/api"),
                    "{}: {address}",
                    within.display()
                );
            } else {
                others += 1;
                let is_beside = BESIDE.iter().any(|known| address.starts_with(known));
                assert!(
                    is_beside || is_the_document,
                    "{}: {address} is not described: register it with routes!()",
                    within.display()
                );
            }
        }
    }
    assert!(pages >= 20 && others >= 5, "{pages} pages and {others} others: the addresses were not found");
}

#[test]
fn every_call_says_who_may_ask_what_comes_and_what_goes_wrong() {
    let document: serde_json::Value = serde_json::from_str(&server::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 8, "{paths:?}");
    assert_eq!(document["security"].as_array().unwrap().len(), 2);
    for (path, calls) in paths {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, call) in calls.as_object().unwrap() {
            assert!(["get", "post"].contains(&method.as_str()), "{method} {path}: nothing is put or deleted");
            assert!(call["summary"].is_string(), "{method} {path} says nothing of itself");
            let problem = &call["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem["schema"].is_object(), "{method} {path} says nothing of what goes wrong");
        }
    }
    // There is no call by which anybody approves.
    let text = paths.keys().cloned().collect::<String>();
    for word in ["approve", "decide", "contain", "people", "token", "delete"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}
