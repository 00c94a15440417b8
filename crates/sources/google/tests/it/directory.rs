//! The directory.

use std::sync::Arc;

use connect::{SourceReader, Stop, testing::MemorySink};
use connect_http::{Body, HttpSettings, HttpTransport, Request, Response, Transport, TransportError};
use source_google::Part;

use crate::domain::Domain;

fn keys(sink: &MemorySink, prefix: &str) -> Vec<String> {
    sink.stream("directory").keys().filter(|key| key.starts_with(prefix)).map(ToString::to_string).collect()
}

#[test]
fn everybody_is_in_the_directory_and_who_vanished_is_noticed() {
    let domain = Domain::start(&[Part::Directory]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let users = domain
        .running
        .with_tenant(|tenant| tenant.users().iter().filter(|user| user.deleted.is_none()).count());
    assert_eq!(keys(&sink, "user/").len(), users);
    for prefix in ["group/", "member/", "orgunit/", "role/", "role-assignment/"] {
        assert!(!keys(&sink, prefix).is_empty(), "{prefix}");
    }
    let commits = sink.commits.len();
    domain.capture(&mut sink);
    assert_eq!(sink.commits.len(), commits, "the same directory is not stored again");
}

/// Answers with something that is no list when it is asked for groups.
struct NoGroups(HttpTransport);

impl Transport for NoGroups {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let response = self.0.send(request)?;
        if !request.place().ends_with("/directory/v1/groups") {
            return Ok(response);
        }
        Ok(Response { body: Body::of(br#"{"groups":"none"}"#.to_vec()), ..response })
    }
}

#[test]
fn an_answer_that_is_no_list_is_no_empty_one() {
    let domain = Domain::start(&[Part::Directory]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let held = sink.stream("directory").len();
    let transport = NoGroups(HttpTransport::new(HttpSettings::default()).unwrap());
    let mut reader = domain.reader_through(Arc::new(transport));
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    assert_eq!(sink.stream("directory").len(), held);
    assert!(sink.stream("blinded").contains_key("directory"), "it is told that the directory was not read");
}
