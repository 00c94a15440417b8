//! The simulated tenants on a real PostgreSQL.

mod rental;
mod saastr;
