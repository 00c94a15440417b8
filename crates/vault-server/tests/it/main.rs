//! The server over real TLS on the loopback, with its real client and with a raw one.

#![expect(clippy::unwrap_used, reason = "a test that goes wrong should stop")]

mod capabilities;
mod capture;
mod certificates;
mod content;
mod histories;
mod protocol;
mod quotas;
mod support;
mod units;
