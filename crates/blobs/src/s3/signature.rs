//! AWS Signature, version 4, in a header.

use model::Moment;
use ring::hmac;

use super::{S3Credential, encoding};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed of a request. Header names are in lower case; `host` and `x-amz-date` are among them.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    /// The path, escaped.
    pub(super) path: &'a str,
    /// The query, escaped and sorted, as it is sent.
    pub(super) query: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body in hexadecimal.
    pub(super) body_sha256: &'a str,
}

/// The service and region that a signature is made for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// Returns the time as it stands in `x-amz-date`.
pub(super) fn timestamp(now: Moment) -> String {
    let seconds = now.as_micros().div_euclid(1_000_000);
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
        .unwrap_or_default()
}

/// Returns the value of the `Authorization` header.
pub(super) fn authorization(
    request: &Signable<'_>,
    credential: &S3Credential,
    scope: &Scope<'_>,
    timestamp: &str,
) -> String {
    let mut headers: Vec<(&str, String)> =
        request.headers.iter().map(|(name, value)| (*name, collapse(value))).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<String>();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method, request.path, request.query, request.body_sha256
    );
    let date = timestamp.get(..8).unwrap_or_default();
    let scope_text = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!(
        "{ALGORITHM}\n{timestamp}\n{scope_text}\n{}",
        encoding::hex(&encoding::sha256(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{}", credential.secret_key.expose()).into_bytes();
    for part in [date, scope.region, scope.service, "aws4_request", &to_sign] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    format!(
        "{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={names}, Signature={}",
        credential.access_key,
        encoding::hex(&key)
    )
}

/// Trims a header's value and makes one space of several, as the standard wants it.
fn collapse(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use model::Redacted;

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn credential(access_key: &str, secret_key: &str) -> S3Credential {
        S3Credential {
            access_key: access_key.to_owned(),
            secret_key: Redacted::new(secret_key.to_owned()),
            session_token: None,
        }
    }

    /// Signs as the examples of "Authenticating Requests: Using the Authorization Header" in the S3 API reference do.
    fn s3(method: &str, path: &str, query: &str, headers: &[(&str, &str)], body_sha256: &str) -> String {
        let key = credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let mut all = vec![
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", body_sha256),
            ("x-amz-date", "20130524T000000Z"),
        ];
        all.extend(headers);
        let request = Signable { method, path, query, headers: &all, body_sha256 };
        let scope = Scope { region: "us-east-1", service: "s3" };
        authorization(&request, &key, &scope, "20130524T000000Z")
    }

    #[test]
    fn the_examples_of_the_s3_reference_come_out() {
        let get = s3("GET", "/test.txt", "", &[("range", "bytes=0-9")], EMPTY);
        assert_eq!(
            get,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put_headers =
            [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let body = encoding::hex(&encoding::sha256(b"Welcome to Amazon S3."));
        let put = s3("PUT", "/test%24file.text", "", &put_headers, &body);
        assert!(put.ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"), "{put}");
        let lifecycle = s3("GET", "/", "lifecycle=", &[], EMPTY);
        assert!(lifecycle.ends_with("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
        let list = s3("GET", "/", "max-keys=2&prefix=J", &[], EMPTY);
        assert!(list.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
    }

    /// From the signature test suite of AWS (`get-vanilla`, `post-vanilla`, `get-header-value-trim`,
    /// `get-vanilla-query-order-key-case`).
    #[test]
    fn the_vectors_of_the_test_suite_come_out() {
        let key = credential("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let scope = Scope { region: "us-east-1", service: "service" };
        let base = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let sign = |method: &str, query: &str, headers: &[(&str, &str)]| {
            let request = Signable { method, path: "/", query, headers, body_sha256: EMPTY };
            let text = authorization(&request, &key, &scope, "20150830T123600Z");
            text.rsplit('=').next().unwrap_or_default().to_owned()
        };
        let expect = [
            ("GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "Param1=value1&Param2=value2",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ];
        for (method, query, signature) in expect {
            assert_eq!(sign(method, query, &base), signature, "{method} {query}");
        }
        let mut trimmed = base.to_vec();
        trimmed.extend([("my-header1", " value1"), ("my-header2", " \"a   b   c\"")]);
        assert_eq!(
            sign("GET", "", &trimmed),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        );
    }
}
