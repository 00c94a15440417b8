//! The directory.

use connect::testing::MemorySink;
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
