//! Where rows stay that a plan removes: a table of their own, in a schema that nobody else can see.

use postgres_wire::{quote_identifier, quote_literal};

use crate::step::{RowsDetails, TableName};

/// The schema.
pub(crate) const SCHEMA: &str = "unwipe_quarantine";
/// How long a name may be in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;
/// How much of the plan's hash a name holds.
const HASH_CHARACTERS: usize = 8;

/// A query that tells whether the role may keep rows there.
pub(crate) fn allowed() -> String {
    format!(
        "SELECT coalesce((SELECT has_schema_privilege(oid, 'USAGE, CREATE') FROM pg_namespace WHERE nspname = {}), \
         has_database_privilege(current_database(), 'CREATE'))",
        quote_literal(SCHEMA)
    )
}

/// Returns the table that keeps what a plan removes from another one: `unwipe_quarantine.public_orders_1a2b3c4d`.
pub(crate) fn table_of(schema: &str, table: &TableName, plan: &str) -> TableName {
    let hash: String = plan.chars().take(HASH_CHARACTERS).collect();
    let mut name = format!("{}_{}", table.schema, table.name);
    while name.len() + 1 + hash.len() > NAME_BYTES_MAX {
        name.pop();
    }
    TableName { schema: schema.to_owned(), name: format!("{name}_{hash}") }
}

/// A query that tells whether the schema is there: making it again needs a right even where that does nothing.
pub(crate) fn exists(schema: &str) -> String {
    format!("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = {})", quote_literal(schema))
}

/// The statement that makes the schema.
pub(crate) fn make_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quote_identifier(schema))
}

/// The statement that makes the table.
pub(crate) fn make_table(table: &TableName) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (removed_at timestamptz NOT NULL, plan text NOT NULL, content jsonb NOT NULL)",
        table.sql()
    )
}

/// The statement that keeps the rows which are about to be removed; `from` is what is deleted, with the table as `t`.
pub(crate) fn keep(
    table: &TableName,
    details: &RowsDetails,
    plan: &str,
    staged: &str,
    condition: &str,
) -> String {
    format!(
        "INSERT INTO {} SELECT now(), {}, to_jsonb(t) FROM ONLY {} t JOIN {staged} i ON {condition}",
        table.sql(),
        quote_literal(plan),
        details.table.sql()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_what_the_server_keeps() {
        let of = |name: &str| {
            let table = TableName { schema: "public".to_owned(), name: name.to_owned() };
            table_of(SCHEMA, &table, "0123456789abcdef").name
        };
        assert_eq!(of("orders"), "public_orders_01234567");
        let long = of(&"ä".repeat(40));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("_01234567"), "{long}");
    }
}
