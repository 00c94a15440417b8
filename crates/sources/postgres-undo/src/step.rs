//! What a step of a plan says to this connector: the part of the plan that nobody else understands.

use postgres_wire::quote_identifier;
use serde::{Deserialize, Serialize};

/// A table's name with its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// Returns the name as SQL takes it, always quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A column that is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRef {
    /// The name.
    pub name: String,
    /// Whether it is `GENERATED ALWAYS AS IDENTITY`, which an `UPDATE` cannot set.
    pub identity_always: bool,
}

/// A column by which a row is found, with the operator that its unique index uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyColumn {
    /// The name.
    pub name: String,
    /// The type as SQL takes it.
    pub type_name: String,
    /// The operator with its schema: `OPERATOR(pg_catalog.=)`.
    pub operator: String,
}

/// Columns that no two rows may have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniqueKey {
    /// The index that watches over it.
    pub index: String,
    /// Whether it is checked at once; `ON CONFLICT` cannot use one that is not.
    pub immediate: bool,
    /// The columns.
    pub columns: Vec<KeyColumn>,
}

/// Rows that are put back, given their content back, or removed.
///
/// The attachment is in the text format of `COPY`. Each line begins with what must still hold of the row in production:
/// its place (`ctid`) and owner (`xmin`), both `\N` where there is none, and the number of rows of the same content
/// that were there (tables without a key). The restored columns follow.
///
/// Text and not the binary format, because the binary one holds object numbers of types (arrays of an enum, composite
/// types), which change when a dropped type is made again, and because some types have no binary form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsDetails {
    /// The table in production.
    pub table: TableName,
    /// Its file when the plan was made: the places in the attachment hold only as long as it is the same.
    pub file: u32,
    /// The restored columns, in the attachment's order. Generated columns are not among them.
    pub columns: Vec<ColumnRef>,
    /// The key by which rows are found; none where the table has none.
    pub key: Option<UniqueKey>,
    /// All unique keys that are plain columns.
    pub uniques: Vec<UniqueKey>,
    /// The attachment with what the step replaces or removes, as it was when the plan was made.
    pub replaced: Option<String>,
    /// References that must hold afterwards.
    pub references: Vec<Reference>,
    /// The schema in which removed rows are kept, in a table of their own; none where the attachment alone keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// A foreign key from or to the rows of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The constraint.
    pub constraint: String,
    /// Whether the step's table is the one that refers, not the one referred to.
    pub outward: bool,
    /// Whether its check can wait for the end of the transaction.
    pub deferrable: bool,
    /// The table that refers.
    pub child: TableName,
    /// The table referred to.
    pub parent: TableName,
    /// The columns: the one that refers, the one referred to, and the operator `parent = child`.
    pub columns: Vec<ReferenceColumn>,
}

/// A pair of columns of a foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceColumn {
    /// The column that refers.
    pub child: String,
    /// The column referred to.
    pub parent: String,
    /// The operator with its schema, the parent on the left.
    pub operator: String,
}

/// Objects that are made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateDetails {
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

/// The statements that make one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The object: `FK CONSTRAINT public.orders orders_customer_fkey`.
    pub object: String,
    /// The SQL.
    pub sql: String,
    /// A query that tells whether the object is there already; none where making it again does no harm.
    pub exists: Option<String>,
}

/// A sequence that is moved forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvanceDetails {
    /// The sequence.
    pub sequence: TableName,
    /// The value it had.
    pub last_value: i64,
    /// Whether that value was handed out already.
    pub is_called: bool,
    /// Whether it counts upwards.
    pub ascending: bool,
}

/// The details of any step of this connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Details {
    /// Rows.
    Rows(RowsDetails),
    /// Objects.
    Create(CreateDetails),
    /// A sequence.
    Advance(AdvanceDetails),
}
