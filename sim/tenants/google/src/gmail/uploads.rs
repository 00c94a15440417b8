//! The addresses at which messages and drafts are uploaded.

use hyper::Method;

use super::{DRAFTS, INSERT, SEND, drafts, insert, route, send};
use crate::routes::Route;

/// An upload begins with a POST, and goes on with PUTs that cost nothing.
macro_rules! uploads {
    ($($id:literal, $path:literal, $scopes:ident, $units:literal, $handler:path;)*) => {
        &[$(
            route($id, Method::POST, concat!("upload/gmail/v1/users/{userId}/", $path), $scopes, $units, $handler),
            route($id, Method::PUT, concat!("upload/gmail/v1/users/{userId}/", $path), $scopes, 0, $handler),
            route($id, Method::POST, concat!("resumable/upload/gmail/v1/users/{userId}/", $path), $scopes, $units, $handler),
            route($id, Method::PUT, concat!("resumable/upload/gmail/v1/users/{userId}/", $path), $scopes, 0, $handler),
        )*
        // To change a draft is a PUT from the beginning.
        route("gmail.users.drafts.update", Method::PUT, "upload/gmail/v1/users/{userId}/drafts/{id}", DRAFTS, 15, drafts::update),
        route("gmail.users.drafts.update", Method::PUT, "resumable/upload/gmail/v1/users/{userId}/drafts/{id}", DRAFTS, 15, drafts::update),
        ]
    };
}

/// The routes.
pub(super) const ROUTES: &[Route] = uploads! {
    "gmail.users.messages.insert", "messages", INSERT, 25, insert::insert;
    "gmail.users.messages.import", "messages/import", INSERT, 25, insert::import;
    "gmail.users.messages.send", "messages/send", SEND, 100, send::send;
    "gmail.users.drafts.create", "drafts", DRAFTS, 10, drafts::create;
};
