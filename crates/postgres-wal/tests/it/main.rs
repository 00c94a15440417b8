//! Reads real logs: committed ones, and those of servers started here.

mod cases;
mod fixtures;
mod log;
mod properties;
mod real_servers;
