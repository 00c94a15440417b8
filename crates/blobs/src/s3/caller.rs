//! Whose an access key is: the security token service is asked, which any key may do and which changes nothing.

use std::{path::PathBuf, sync::Arc};

use ports::{Clock, Random};
use ureq::http::Method;

use super::{
    Patience, S3Credential, SettingsError,
    connection::{Call, Connection, S3Error},
};

/// The one question that is ever asked there.
const QUESTION: [(&str, &str); 2] = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Where the service answers.
#[derive(Debug, Clone)]
pub struct StsSettings {
    /// The server: `https://sts.eu-central-1.amazonaws.com`. Plain `http` is for this machine only.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// A file with the certificates that are trusted; the system's when there is none.
    pub certificate_authorities: Option<PathBuf>,
    /// How patient the client is.
    pub patience: Patience,
}

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The user or the role: `arn:aws:iam::123456789012:user/app`.
    pub arn: String,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerAnswer {
    /// Whose it is.
    Known(Caller),
    /// The service does not take the key: it was withdrawn, or is another maker's.
    Refused(String),
    /// Nobody knows: the service did not answer, or not with that.
    Unknown(String),
}

/// Asks whose a key is.
pub fn caller(
    settings: &StsSettings,
    credential: S3Credential,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<CallerAnswer, SettingsError> {
    let connection = Connection::to_sts(settings, credential, Arc::clone(clock), Arc::clone(random))?;
    let call = Call {
        method: Method::GET,
        key: None,
        query: QUESTION.map(|(name, value)| (name, value.to_owned())).to_vec(),
        headers: Vec::new(),
        body: &[],
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    Ok(match connection.send(&call) {
        Ok(answer) => match parse(&answer.body) {
            Some(caller) => CallerAnswer::Known(caller),
            None => CallerAnswer::Unknown("its answer does not say whose the key is".to_owned()),
        },
        Err(S3Error::Answer { status: 401 | 403, code, message, .. }) => {
            // A request that is too old or too new says something of our clock, and nothing of the key.
            let text = format!("{code}: {message}");
            let of_key = !matches!(code.as_str(), "RequestExpired" | "RequestTimeTooSkewed");
            if of_key { CallerAnswer::Refused(text) } else { CallerAnswer::Unknown(text) }
        }
        Err(error) => CallerAnswer::Unknown(error.to_string()),
    })
}

fn parse(body: &[u8]) -> Option<Caller> {
    let text = std::str::from_utf8(body).ok()?;
    let document = roxmltree::Document::parse(text).ok()?;
    let value = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name)?;
        node.text().map(str::trim).map(str::to_owned)
    };
    let account =
        value("Account").filter(|text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()))?;
    Some(Caller { account, arn: value("Arn")? })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        time::Duration,
    };

    use model::{Moment, Redacted};
    use ports::{ManualClock, SeededRandom};

    use super::{
        super::{
            encoding,
            signature::{Scope, Signable, authorization},
        },
        *,
    };

    const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
    const SECRET: &str = "the-secret-half";

    /// A simulator of the service: it checks the signature of one request with the secret half that it knows, and answers.
    fn simulator(status: &'static str, body: &'static str) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                assert!(read > 0, "the request ended too early");
                request.extend_from_slice(&part[..read]);
            }
            let text = String::from_utf8(request).unwrap();
            assert!(text.starts_with(&format!("GET /?{QUERY} HTTP/1.1")), "{text}");
            let header = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1.to_owned()
            };
            let names = ["host", "x-amz-content-sha256", "x-amz-date"];
            let values = names.map(header);
            let headers: Vec<(&str, &str)> =
                names.iter().zip(&values).map(|(name, value)| (*name, value.as_str())).collect();
            let sha256 = encoding::hex(&encoding::sha256(&[]));
            let signable =
                Signable { method: "GET", path: "/", query: QUERY, headers: &headers, body_sha256: &sha256 };
            let scope = Scope { region: "eu-central-1", service: "sts" };
            let expected = authorization(&signable, &credential(), &scope, &values[2]);
            let (status, body) = if header("authorization") == expected {
                (status, body)
            } else {
                ("403 Forbidden", "<E><Code>SignatureDoesNotMatch</Code></E>")
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        };
        (format!("http://{address}"), std::thread::spawn(serve))
    }

    fn credential() -> S3Credential {
        S3Credential {
            access_key: "AKIAEXAMPLE".to_owned(),
            secret_key: Redacted::new(SECRET.to_owned()),
            session_token: None,
        }
    }

    fn ask(endpoint: String, credential: S3Credential) -> CallerAnswer {
        let patience = Patience { attempts: 1, request: Duration::from_secs(30), ..Patience::default() };
        let region = "eu-central-1".to_owned();
        let settings = StsSettings { endpoint, region, certificate_authorities: None, patience };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Moment::from_micros(1_777_125_609_000_000)));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        caller(&settings, credential, &clock, &random).unwrap()
    }

    #[test]
    fn the_service_is_asked_with_a_signature_that_holds_and_says_whose_the_key_is() {
        let (endpoint, server) = simulator(
            "200 OK",
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::123456789012:user/app</Arn><UserId>AIDA</UserId><Account>123456789012</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>",
        );
        let whose = Caller {
            account: "123456789012".to_owned(),
            arn: "arn:aws:iam::123456789012:user/app".to_owned(),
        };
        assert_eq!(ask(endpoint, credential()), CallerAnswer::Known(whose));
        server.join().unwrap();
    }

    #[test]
    fn a_key_that_is_not_taken_is_refused_and_what_is_no_answer_is_not_known() {
        let body = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The token is invalid</Message></Error></ErrorResponse>";
        let (endpoint, server) = simulator("403 Forbidden", body);
        let refused = ask(endpoint, credential());
        assert_eq!(refused, CallerAnswer::Refused("InvalidClientTokenId: The token is invalid".to_owned()));
        server.join().unwrap();
        let (endpoint, server) = simulator("200 OK", "<a/>");
        let wrong = S3Credential { secret_key: Redacted::new("another".to_owned()), ..credential() };
        assert!(
            matches!(ask(endpoint, wrong), CallerAnswer::Refused(why) if why.contains("SignatureDoesNotMatch"))
        );
        server.join().unwrap();
        for (status, body) in [
            ("200 OK", "<Account>12</Account>"),
            ("200 OK", "no document"),
            ("403 Forbidden", "<E><Code>RequestExpired</Code></E>"),
            ("500 Internal Server Error", ""),
        ] {
            let (endpoint, server) = simulator(status, body);
            assert!(matches!(ask(endpoint, credential()), CallerAnswer::Unknown(_)), "{status} {body}");
            server.join().unwrap();
        }
        assert!(matches!(ask("http://127.0.0.1:9".to_owned(), credential()), CallerAnswer::Unknown(_)));
    }
}
