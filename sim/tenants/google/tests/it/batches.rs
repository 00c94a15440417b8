//! Many calls in one request.

use std::collections::BTreeMap;

use google_tenant::{Effect, Fault, QuotaSettings, Settings, When};

use crate::support::{Answer, Domain};

/// Sends a batch of GETs and returns the status line of each answer by its content id.
pub(crate) fn batch(domain: &Domain, token: &str, paths: &[&str]) -> (Answer, BTreeMap<String, String>) {
    let mut body = String::new();
    for (number, path) in paths.iter().enumerate() {
        body.push_str(&format!(
            "--===7==\r\nContent-Type: application/http\r\nContent-ID: <abc + {number}>\r\n\r\nGET /{path} HTTP/1.1\r\n\
             Accept: application/json\r\n\r\n\r\n"
        ));
    }
    body.push_str("--===7==--");
    let headers = [("content-type", "multipart/mixed; boundary=\"===7==\"")];
    let answer = domain.send("POST", "batch/admin/v1", token, &headers, body.as_bytes());
    let parts = answer.text.split("--batch_simulated_google").filter_map(|part| {
        let id = part.split("Content-ID: <").nth(1)?.split('>').next()?;
        let line = part.split("HTTP/1.1 ").nth(1)?.lines().next()?;
        Some((id.to_owned(), line.to_owned()))
    });
    let parts = parts.collect();
    (answer, parts)
}

#[test]
fn each_call_of_a_batch_succeeds_or_fails_by_itself() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("directory.users.get", When::Nth(2), Effect::TooMany(None)))
    });
    let user = format!("admin/directory/v1/users/{}", domain.user(0));
    let paths = [user.as_str(), user.as_str(), "admin/directory/v1/users/nobody%40acme.test", "nowhere"];
    let (answer, parts) = batch(&domain, &token, &paths);
    assert_eq!(answer.code, 200);
    let lines: Vec<&str> = (0..4).map(|n| parts[&format!("response-abc + {n}")].as_str()).collect();
    assert_eq!(lines, ["200 OK", "429 Too Many Requests", "404 Not Found", "404 Not Found"]);
    domain.running.with_tenant(|tenant| {
        assert_eq!(tenant.traffic().calls("directory.users.get"), 3);
        assert_eq!(tenant.traffic().requests().map(|(.., requests)| requests).sum::<u64>(), 1);
    });
}

#[test]
fn a_batch_is_charged_call_by_call_and_has_a_limit() {
    let mut quota = QuotaSettings::new();
    quota.pools.insert("admin".to_owned(), google_tenant::Pool { project: 1000, user: 3 });
    quota.overrun = google_tenant::Overrun::TooMany;
    let domain = Domain::start(Settings { quota, ..Settings::default() });
    let token = domain.admin_token();
    let user = format!("admin/directory/v1/users/{}", domain.user(0));
    let (_, parts) = batch(&domain, &token, &[user.as_str(); 5]);
    let good = parts.values().filter(|line| line.starts_with("200")).count();
    let over = parts.values().filter(|line| line.starts_with("429")).count();
    assert_eq!((good, over), (3, 2));
    assert_eq!(batch(&domain, &token, &[user.as_str(); 101]).0.code, 400);
    let (_, parts) = batch(&domain, "", &[user.as_str()]);
    assert_eq!(parts["response-abc + 0"], "401 Unauthorized");
}
