//! The simulated tenants on a real PostgreSQL.

#[cfg(test)]
mod rental;
#[cfg(test)]
mod saastr;
#[cfg(test)]
mod wipes;
