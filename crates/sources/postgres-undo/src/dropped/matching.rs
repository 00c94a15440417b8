//! Which entries of a dump belong to what a transaction dropped, and how to ask whether an object exists.

use postgres_wire::quote_literal;

use crate::{dump::Entry, step::TableName};

/// An object as `pg_identify_object` and `pg_identify_object_as_address` describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// `table`, `table constraint`, `function` and so on.
    pub(crate) kind: String,
    pub(crate) schema: Option<String>,
    pub(crate) name: Option<String>,
    /// The name as SQL takes it.
    pub(crate) identity: String,
    /// The parts of the name: schema, table and constraint, for one.
    pub(crate) address: Vec<String>,
}

/// Everything that a transaction dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    objects: Vec<Object>,
}

/// Whether an entry of this kind defines a relation: one name space for tables, views, indexes and sequences.
pub(crate) fn is_relation(kind: &str) -> bool {
    matches!(kind, "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" | "SEQUENCE" | "INDEX")
}

impl Object {
    fn is_relation(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "table" | "view" | "materialized view" | "foreign table" | "sequence" | "index"
        )
    }

    /// Schema, table and name of what belongs to a table: a constraint, a trigger, a policy.
    fn part_of_table(&self) -> Option<(&str, &str, &str)> {
        let part = matches!(
            self.kind.as_str(),
            "table constraint" | "trigger" | "policy" | "rule" | "default value"
        );
        match self.address.as_slice() {
            [schema, table, name] if part => Some((schema, table, name)),
            _ => None,
        }
    }

    /// Whether `name` (as `pg_dump` shows it, quoted or not) begins an object of this name.
    fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| name == own || name == postgres_wire::quote_identifier(own))
    }
}

impl Dropped {
    pub(crate) fn add(&mut self, object: Object) {
        self.objects.push(object);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What a person would name: no internal triggers, types of tables, or parts of TOAST.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        let shown = |object: &&Object| {
            object.schema.as_deref() != Some("pg_toast")
                && (object.is_relation()
                    || matches!(object.kind.as_str(), "table constraint" | "policy" | "schema" | "function"))
        };
        self.objects.iter().filter(shown)
    }

    /// The dropped tables, views, indexes and sequences.
    pub(crate) fn relations(&self) -> impl Iterator<Item = TableName> + use<'_> {
        self.objects.iter().filter(|object| object.is_relation()).filter_map(|object| {
            Some(TableName { schema: object.schema.clone()?, name: object.name.clone()? })
        })
    }

    fn has_relation(&self, schema: &str, name: &str) -> bool {
        self.objects.iter().any(|object| {
            object.is_relation()
                && object.schema.as_deref() == Some(schema)
                && object.name.as_deref() == Some(name)
        })
    }

    fn has_schema(&self, name: &str) -> bool {
        self.objects.iter().any(|object| object.kind == "schema" && object.is_called(name))
    }

    /// Finds the constraint, trigger, policy, rule or default that `table name` stands for.
    fn part(&self, schema: &str, name: &str) -> Option<(&str, &str, &str)> {
        let mut parts = self.objects.iter().filter_map(Object::part_of_table);
        parts.find(|part| part.0 == schema && format!("{} {}", part.1, part.2) == name)
    }

    /// Whether the transaction dropped what the entry defines, or what the entry is about.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let Some(schema) = entry.schema.as_deref() else {
            return match entry.kind.as_str() {
                "SCHEMA" => self.has_schema(&entry.name),
                "ACL" | "COMMENT" | "SECURITY LABEL" => {
                    entry.name.strip_prefix("SCHEMA ").is_some_and(|name| self.has_schema(name))
                }
                "EXTENSION" => self.named("extension", None, &entry.name),
                _ => false,
            };
        };
        if self.has_schema(schema) {
            return true;
        }
        match entry.kind.as_str() {
            kind if is_relation(kind) => self.has_relation(schema, &entry.name),
            "SEQUENCE OWNED BY" | "ROW SECURITY" | "TABLE ATTACH" | "INDEX ATTACH" => {
                self.has_relation(schema, &entry.name)
            }
            "CONSTRAINT" | "FK CONSTRAINT" | "CHECK CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY"
            | "DEFAULT" => self.part(schema, &entry.name).is_some(),
            "PUBLICATION TABLE" => self.relations().any(|relation| {
                relation.schema == schema && entry.name.ends_with(&format!(" {}", relation.name))
            }),
            "ACL" | "COMMENT" | "SECURITY LABEL" => self.is_about(schema, &entry.name),
            _ => {
                let name = entry.name.split_once('(').map_or(entry.name.as_str(), |(name, _)| name);
                let others = self.objects.iter().filter(|object| !object.is_relation());
                others
                    .filter(|object| object.part_of_table().is_none())
                    .any(|object| object.schema.as_deref() == Some(schema) && object.is_called(name))
            }
        }
    }

    fn named(&self, kind: &str, schema: Option<&str>, name: &str) -> bool {
        let mut objects = self.objects.iter().filter(|object| object.kind == kind);
        objects.any(|object| object.schema.as_deref() == schema && object.is_called(name))
    }

    /// Whether the name of a grant or comment (`TABLE orders`, `COLUMN orders.id`, `CONSTRAINT c ON orders`) is about a
    /// dropped object.
    fn is_about(&self, schema: &str, name: &str) -> bool {
        let kinds = [
            "TABLE ",
            "VIEW ",
            "MATERIALIZED VIEW ",
            "FOREIGN TABLE ",
            "SEQUENCE ",
            "INDEX ",
            "TYPE ",
            "DOMAIN ",
            "FUNCTION ",
            "PROCEDURE ",
            "AGGREGATE ",
            "STATISTICS ",
        ];
        if let Some(rest) = kinds.iter().find_map(|kind| name.strip_prefix(kind)) {
            let bare = rest.split_once('(').map_or(rest, |(bare, _)| bare);
            let mut named = self.objects.iter().filter(|object| object.part_of_table().is_none());
            return named.any(|object| object.schema.as_deref() == Some(schema) && object.is_called(bare));
        }
        let quoted = |name: &str| [name.to_owned(), postgres_wire::quote_identifier(name)];
        if let Some(rest) = name.strip_prefix("COLUMN ") {
            return self.relations().any(|relation| {
                relation.schema == schema
                    && quoted(&relation.name).iter().any(|table| rest.starts_with(&format!("{table}.")))
            });
        }
        let mut parts = self.objects.iter().filter_map(Object::part_of_table);
        parts.any(|(owner, table, part)| {
            let endings = quoted(table).map(|table| format!(" ON {table}"));
            owner == schema
                && endings.iter().any(|ending| {
                    name.strip_suffix(ending.as_str())
                        .and_then(|head| head.split_once(' '))
                        .is_some_and(|(_, head)| quoted(part).iter().any(|part| head == part))
                })
        })
    }

    /// Whether an entry defines this relation or hangs on it.
    pub(crate) fn concerns(&self, entry: &Entry, relation: &TableName) -> bool {
        if entry.schema.as_deref() != Some(&relation.schema) {
            return false;
        }
        let alone = Self {
            objects: self
                .objects
                .iter()
                .filter(|object| {
                    let is_it = object.is_relation()
                        && object.schema.as_deref() == Some(&relation.schema)
                        && object.name.as_deref() == Some(&relation.name);
                    let is_part = object
                        .part_of_table()
                        .is_some_and(|part| part.0 == relation.schema && part.1 == relation.name);
                    is_it || is_part
                })
                .cloned()
                .collect(),
        };
        alone.matches(entry)
    }

    /// Returns a query that tells whether what the entry makes is there; none where making it twice does no harm.
    pub(crate) fn existence(&self, entry: &Entry) -> Option<String> {
        let schema = entry.schema.as_deref().unwrap_or_default();
        let (s, n) = (quote_literal(schema), quote_literal(&entry.name));
        let relation = |table: &str| {
            format!(
                "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = {s} AND c.relname = {}",
                quote_literal(table)
            )
        };
        let part = |catalog: &str, name_column: &str, table_column: &str| {
            let (_, table, name) = self.part(schema, &entry.name)?;
            Some(format!(
                "SELECT EXISTS (SELECT FROM {catalog} WHERE {name_column} = {} AND {table_column} IN ({}))",
                quote_literal(name),
                relation(table)
            ))
        };
        match entry.kind.as_str() {
            kind if is_relation(kind) => Some(format!("SELECT EXISTS ({})", relation(&entry.name))),
            "SCHEMA" => Some(format!("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = {n})")),
            "EXTENSION" => Some(format!("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = {n})")),
            "TYPE" | "DOMAIN" => Some(format!(
                "SELECT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
                 WHERE n.nspname = {s} AND t.typname = {n})"
            )),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => {
                let name = entry.name.split_once('(').map_or(entry.name.as_str(), |(name, _)| name);
                let routine = self.objects.iter().find(|object| {
                    matches!(object.kind.as_str(), "function" | "procedure" | "aggregate")
                        && object.schema.as_deref() == Some(schema)
                        && (object.identity.ends_with(&entry.name) || object.is_called(name))
                })?;
                Some(format!("SELECT to_regprocedure({}) IS NOT NULL", quote_literal(&routine.identity)))
            }
            "STATISTICS" => Some(format!(
                "SELECT EXISTS (SELECT FROM pg_statistic_ext t JOIN pg_namespace n ON n.oid = t.stxnamespace \
                 WHERE n.nspname = {s} AND t.stxname = {n})"
            )),
            "TABLE ATTACH" | "INDEX ATTACH" => Some(format!(
                "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid IN ({}))",
                relation(&entry.name)
            )),
            "CONSTRAINT" | "FK CONSTRAINT" | "CHECK CONSTRAINT" => {
                part("pg_constraint", "conname", "conrelid")
            }
            "TRIGGER" => part("pg_trigger", "tgname", "tgrelid"),
            "POLICY" => part("pg_policy", "polname", "polrelid"),
            "RULE" => part("pg_rewrite", "rulename", "ev_class"),
            _ => None,
        }
    }
}

/// Takes the quotes off a name that the server quoted because it is not a plain word.
pub(crate) fn unquoted(name: String) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name,
    }
}

/// Reads the text of a one-dimensional array of texts.
pub(crate) fn parse_array(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    let mut values = Vec::new();
    let mut value = String::new();
    let (mut quoted, mut begun) = (false, false);
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            '\\' => value.extend(characters.next()),
            ',' if !quoted => {
                values.push(std::mem::take(&mut value));
                begun = false;
            }
            other => value.push(other),
        }
    }
    if begun || !value.is_empty() || !values.is_empty() {
        values.push(value);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_the_server_writes_them() {
        assert_eq!(parse_array("{}"), Vec::<String>::new());
        assert_eq!(parse_array("{public,t}"), ["public", "t"]);
        assert_eq!(parse_array(r#"{"a b","c,\"d\\",x}"#), ["a b", "c,\"d\\", "x"]);
    }

    #[test]
    fn entries_belong_to_what_was_dropped() {
        let mut dropped = Dropped::default();
        dropped.add(Object {
            kind: "table".into(),
            schema: Some("public".into()),
            name: Some("Odd one".into()),
            identity: "public.\"Odd one\"".into(),
            address: vec!["public".into(), "Odd one".into()],
        });
        dropped.add(Object {
            kind: "table constraint".into(),
            schema: None,
            name: None,
            identity: "fk on public.child".into(),
            address: vec!["public".into(), "child".into(), "fk".into()],
        });
        let entry = |kind: &str, name: &str| Entry {
            kind: kind.into(),
            schema: Some("public".into()),
            name: name.into(),
            sql: String::new(),
        };
        for (kind, name) in [
            ("TABLE", "Odd one"),
            ("COMMENT", "TABLE \"Odd one\""),
            ("ACL", "TABLE \"Odd one\""),
            ("COMMENT", "COLUMN \"Odd one\".id"),
            ("FK CONSTRAINT", "child fk"),
            ("COMMENT", "CONSTRAINT fk ON child"),
            ("ROW SECURITY", "Odd one"),
        ] {
            assert!(dropped.matches(&entry(kind, name)), "{kind} {name}");
        }
        for (kind, name) in [("TABLE", "child"), ("FK CONSTRAINT", "child other"), ("ACL", "TABLE child")] {
            assert!(!dropped.matches(&entry(kind, name)), "{kind} {name}");
        }
    }
}
