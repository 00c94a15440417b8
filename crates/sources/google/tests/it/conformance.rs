//! The reader of mail, held against the rules of `docs/reference/connector-rules.md`.
//!
//! To hold another part of the domain against them: a subject beside `subject.rs`, and a module like `mail` here.

mod mail {
    use std::sync::Arc;

    use connect_conformance::{Furnishing, Subject};

    use crate::subject::MailSubject;

    fn start(furnishing: &Furnishing) -> Arc<dyn Subject> {
        Arc::new(MailSubject::start(furnishing))
    }

    connect_conformance::reading_tests!(start);
}
