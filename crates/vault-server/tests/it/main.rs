//! The server over real TLS on the loopback, with its real client and with a raw one.

mod capabilities;
mod capture;
mod certificates;
mod content;
mod protocol;
mod quotas;
mod support;
mod units;
