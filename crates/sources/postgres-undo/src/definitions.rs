//! Where the definitions of a database's objects come from.

use crate::error::Side;

/// Gives the definitions of a database as `pg_dump --schema-only` writes them.
pub trait Definitions {
    /// Dumps the definitions of the database that the connection of this side is in.
    fn dump(
        &mut self,
        side: Side,
        database: &str,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}
