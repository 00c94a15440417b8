use crate::document::{Document, Kind};

/// Returns a row of a table as a document; `None` is NULL. Further columns than values, or the other way round, are left
/// out.
pub fn row(table: &str, columns: &[String], values: &[Option<String>]) -> Document {
    let title = crate::visible(if table.is_empty() { "(no name)" } else { table }, 300);
    let mut document = Document::new(Kind::Row, &title, None);
    for (column, value) in columns.iter().zip(values) {
        match value.as_deref() {
            None => document.field(column, "NULL"),
            Some("") => document.field(column, "''"),
            Some(value) => document.field(column, value),
        }
    }
    document
}
