//! stub
pub(super) const FOLDER: &str = ".attest/";
