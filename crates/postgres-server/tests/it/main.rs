//! Tests against real servers of every major version installed.

mod lifecycle;
