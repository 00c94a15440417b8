//! Brings stored bytes back to a running cluster at any moment.
