//! Each part of the reader, held against the rules of `docs/reference/connector-rules.md`.
//!
//! To hold another part against them: a subject beside `subjects/mail.rs`, and a module like `mail` here.

mod drive {
    use std::sync::Arc;

    use connect_conformance::{Furnishing, Subject};

    use crate::subjects::drive::DriveSubject;

    fn start(furnishing: &Furnishing) -> Arc<dyn Subject> {
        Arc::new(DriveSubject::start(furnishing))
    }

    connect_conformance::reading_tests!(start);
}

mod mail {
    use std::sync::Arc;

    use connect_conformance::{Furnishing, Subject};

    use crate::subjects::mail::MailSubject;

    fn start(furnishing: &Furnishing) -> Arc<dyn Subject> {
        Arc::new(MailSubject::start(furnishing))
    }

    connect_conformance::reading_tests!(start);
}
