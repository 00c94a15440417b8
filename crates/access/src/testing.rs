//! A software authenticator, for tests of whatever signs people in.
