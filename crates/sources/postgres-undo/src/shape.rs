//! What a table looks like: columns, keys, triggers, and what refers to what.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::PlanningError,
    session::{Session, array, flag, number, text},
    step::{KeyColumn, Reference, ReferenceColumn, TableName, UniqueKey},
};

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_name: String,
    /// Whether the server computes it from other columns.
    pub(crate) generated: bool,
    pub(crate) identity_always: bool,
}

/// A trigger that a person made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    /// `O` fires in ordinary sessions, `R` only while replicating, `A` always, `D` never.
    pub(crate) enabled: String,
}

/// A table as one of the servers describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) oid: u32,
    pub(crate) name: TableName,
    /// `r` table, `p` partitioned table, `m` materialized view, and so on.
    pub(crate) kind: String,
    /// `p` permanent, `u` unlogged, `t` temporary.
    pub(crate) persistence: String,
    /// The file, 0 for relations without one.
    pub(crate) file: u32,
    pub(crate) columns: Vec<Column>,
    /// Keys of plain columns, the primary key first.
    pub(crate) uniques: Vec<UniqueKey>,
    /// Whether the first of `uniques` identifies every row: all its columns are `NOT NULL`.
    pub(crate) has_key: bool,
    /// Unique indexes on expressions or with a condition, and exclusion constraints: only the server can check these.
    pub(crate) other_uniques: Vec<String>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) references: Vec<Reference>,
}

impl Shape {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Returns the tables among `oids` that exist.
pub(crate) fn read_shapes(
    session: &mut Session<'_>,
    oids: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, Shape>, PlanningError> {
    if oids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let oids = oid_array(oids.iter().copied());
    let mut shapes = read_tables(session, &oids)?;
    read_columns(session, &oids, &mut shapes)?;
    read_uniques(session, &oids, &mut shapes)?;
    read_triggers(session, &oids, &mut shapes)?;
    for shape in shapes.values_mut() {
        shape.references = read_references(session, shape.oid)?;
    }
    Ok(shapes)
}

/// Writes object numbers as an SQL array.
pub(crate) fn oid_array(oids: impl Iterator<Item = u32>) -> String {
    let oids: Vec<String> = oids.map(|oid| oid.to_string()).collect();
    format!("{}::oid[]", array(oids.iter().map(|oid| Some(oid.as_str()))))
}

fn read_tables(session: &mut Session<'_>, oids: &str) -> Result<BTreeMap<u32, Shape>, PlanningError> {
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, coalesce(pg_relation_filenode(c.oid), 0) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ({oids})"
    );
    let rows = session.rows("reading the tables", &sql)?;
    Ok(rows
        .iter()
        .map(|row| {
            let shape = Shape {
                oid: number(row, 0),
                name: TableName { schema: text(row, 1), name: text(row, 2) },
                kind: text(row, 3),
                persistence: text(row, 4),
                file: number(row, 5),
                columns: Vec::new(),
                uniques: Vec::new(),
                has_key: false,
                other_uniques: Vec::new(),
                triggers: Vec::new(),
                references: Vec::new(),
            };
            (shape.oid, shape)
        })
        .collect())
}

fn read_columns(
    session: &mut Session<'_>,
    oids: &str,
    shapes: &mut BTreeMap<u32, Shape>,
) -> Result<(), PlanningError> {
    let sql = format!(
        "SELECT attrelid, attname, format_type(atttypid, atttypmod), attgenerated <> '', attidentity = 'a' \
         FROM pg_attribute WHERE attrelid = ANY ({oids}) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum"
    );
    for row in session.rows("reading the columns", &sql)? {
        if let Some(shape) = shapes.get_mut(&number(&row, 0)) {
            shape.columns.push(Column {
                name: text(&row, 1),
                type_name: text(&row, 2),
                generated: flag(&row, 3),
                identity_always: flag(&row, 4),
            });
        }
    }
    Ok(())
}

/// Reads the unique keys with the equality operator of each column's operator class: under an empty search path a bare
/// `=` would not find the operators of extensions' types such as `citext`.
fn read_uniques(
    session: &mut Session<'_>,
    oids: &str,
    shapes: &mut BTreeMap<u32, Shape>,
) -> Result<(), PlanningError> {
    let sql = format!(
        "SELECT i.indrelid, x.relname, i.indimmediate, a.attname, format_type(a.atttypid, a.atttypmod), \
                s.nspname, o.oprname, a.attnotnull \
         FROM pg_index i \
         JOIN pg_class x ON x.oid = i.indexrelid \
         JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree' \
         CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k(number, class, place) \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
         JOIN pg_opclass c ON c.oid = k.class \
         JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3 \
              AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype \
         JOIN pg_operator o ON o.oid = p.amopopr \
         JOIN pg_namespace s ON s.oid = o.oprnamespace \
         WHERE i.indrelid = ANY ({oids}) AND i.indisunique AND i.indisvalid AND k.place <= i.indnkeyatts \
           AND i.indpred IS NULL AND i.indexprs IS NULL \
         ORDER BY i.indrelid, i.indisprimary DESC, x.relname, k.place"
    );
    let mut nullable: BTreeSet<(u32, String)> = BTreeSet::new();
    for row in session.rows("reading the keys", &sql)? {
        let (oid, index) = (number(&row, 0), text(&row, 1));
        let Some(shape) = shapes.get_mut(&oid) else { continue };
        if !flag(&row, 7) {
            nullable.insert((oid, index.clone()));
        }
        if shape.uniques.last().is_none_or(|last| last.index != index) {
            shape.uniques.push(UniqueKey { index, immediate: flag(&row, 2), columns: Vec::new() });
        }
        if let Some(unique) = shape.uniques.last_mut() {
            let operator =
                format!("OPERATOR({}.{})", postgres_wire::quote_identifier(&text(&row, 5)), text(&row, 6));
            unique.columns.push(KeyColumn { name: text(&row, 3), type_name: text(&row, 4), operator });
        }
    }
    for shape in shapes.values_mut() {
        let identifies = |unique: &UniqueKey| !nullable.contains(&(shape.oid, unique.index.clone()));
        if let Some(position) = shape.uniques.iter().position(identifies) {
            let key = shape.uniques.remove(position);
            shape.uniques.insert(0, key);
            shape.has_key = true;
        }
    }
    let sql = format!(
        "SELECT i.indrelid, x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         JOIN pg_am m ON m.oid = x.relam \
         WHERE i.indrelid = ANY ({oids}) AND ((i.indisunique AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL \
           OR m.amname <> 'btree')) OR i.indisexclusion) ORDER BY 1, 2"
    );
    for row in session.rows("reading the indexes", &sql)? {
        if let Some(shape) = shapes.get_mut(&number(&row, 0)) {
            shape.other_uniques.push(text(&row, 1));
        }
    }
    Ok(())
}

fn read_triggers(
    session: &mut Session<'_>,
    oids: &str,
    shapes: &mut BTreeMap<u32, Shape>,
) -> Result<(), PlanningError> {
    let sql = format!(
        "SELECT tgrelid, tgname, tgenabled FROM pg_trigger \
         WHERE tgrelid = ANY ({oids}) AND NOT tgisinternal ORDER BY tgrelid, tgname"
    );
    for row in session.rows("reading the triggers", &sql)? {
        if let Some(shape) = shapes.get_mut(&number(&row, 0)) {
            shape.triggers.push(Trigger { name: text(&row, 1), enabled: text(&row, 2) });
        }
    }
    Ok(())
}

/// Reads the foreign keys from and to a table.
///
/// A partition's rows are referred to through its root, and a reference to a partitioned table is stored once more for
/// each partition of it: only the outermost constraint says what must hold.
fn read_references(session: &mut Session<'_>, oid: u32) -> Result<Vec<Reference>, PlanningError> {
    let sql = format!(
        "SELECT f.oid, f.conname, side.outward, cs.nspname, c.relname, ps.nspname, p.relname, \
                ca.attname, pa.attname, os.nspname, o.oprname, f.condeferrable \
         FROM pg_constraint f \
         CROSS JOIN (VALUES (true), (false)) AS side(outward) \
         JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cs ON cs.oid = c.relnamespace \
         JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace ps ON ps.oid = p.relnamespace \
         CROSS JOIN LATERAL unnest(f.conkey, f.confkey, f.conpfeqop) WITH ORDINALITY AS k(child, parent, equal, place) \
         JOIN pg_attribute ca ON ca.attrelid = f.conrelid AND ca.attnum = k.child \
         JOIN pg_attribute pa ON pa.attrelid = f.confrelid AND pa.attnum = k.parent \
         JOIN pg_operator o ON o.oid = k.equal JOIN pg_namespace os ON os.oid = o.oprnamespace \
         WHERE f.contype = 'f' AND CASE WHEN side.outward \
           THEN f.conrelid = {oid} AND NOT EXISTS \
             (SELECT FROM pg_constraint u WHERE u.oid = f.conparentid AND u.conrelid = f.conrelid) \
           ELSE f.conparentid = 0 AND (f.confrelid = {oid} \
             OR f.confrelid IN (SELECT relid FROM pg_partition_ancestors({oid}))) END \
         ORDER BY f.conname, f.oid, side.outward, k.place"
    );
    let mut references: Vec<Reference> = Vec::new();
    let mut last = None;
    for row in session.rows("reading the foreign keys", &sql)? {
        let identity = (text(&row, 0), flag(&row, 2));
        if last.as_ref() != Some(&identity) {
            references.push(Reference {
                constraint: text(&row, 1),
                outward: flag(&row, 2),
                deferrable: flag(&row, 11),
                child: TableName { schema: text(&row, 3), name: text(&row, 4) },
                parent: TableName { schema: text(&row, 5), name: text(&row, 6) },
                columns: Vec::new(),
            });
            last = Some(identity);
        }
        if let Some(reference) = references.last_mut() {
            let schema = postgres_wire::quote_identifier(&text(&row, 9));
            let operator = format!("OPERATOR({schema}.{})", text(&row, 10));
            reference.columns.push(ReferenceColumn { child: text(&row, 7), parent: text(&row, 8), operator });
        }
    }
    Ok(references)
}

/// A sequence with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceState {
    pub(crate) oid: u32,
    pub(crate) name: TableName,
    pub(crate) last_value: i64,
    pub(crate) is_called: bool,
    pub(crate) ascending: bool,
}

/// Returns the sequences that feed columns of these tables or of the partitioned tables that they belong to.
pub(crate) fn sequences_of(
    session: &mut Session<'_>,
    oids: &BTreeSet<u32>,
) -> Result<BTreeSet<u32>, PlanningError> {
    let oids = oid_array(oids.iter().copied());
    let sql = format!(
        "WITH tables AS (SELECT unnest({oids}) AS oid UNION \
           SELECT a.relid::oid FROM unnest({oids}) AS t(oid), pg_partition_ancestors(t.oid) AS a(relid)) \
         SELECT DISTINCT s.oid FROM tables t JOIN pg_depend d ON d.refobjid = t.oid \
           AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
           JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
         UNION \
         SELECT s.oid FROM tables t JOIN pg_attrdef f ON f.adrelid = t.oid \
           JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid \
             AND d.refclassid = 'pg_class'::regclass \
           JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'"
    );
    Ok(session.rows("reading the sequences", &sql)?.iter().map(|row| number(row, 0)).collect())
}

/// Returns the values of those sequences among `oids` that exist.
pub(crate) fn read_sequences(
    session: &mut Session<'_>,
    oids: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, SequenceState>, PlanningError> {
    let oids = oid_array(oids.iter().copied());
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, s.seqincrement > 0 FROM pg_sequence s \
         JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = ANY ({oids})"
    );
    let mut states = BTreeMap::new();
    for row in session.rows("reading the sequences", &sql)? {
        let name = TableName { schema: text(&row, 1), name: text(&row, 2) };
        let value = session.rows(
            &format!("reading sequence {name}"),
            &format!("SELECT last_value, is_called FROM {}", name.sql()),
        )?;
        let Some(value) = value.first() else { continue };
        let state = SequenceState {
            oid: number(&row, 0),
            name,
            last_value: number(value, 0),
            is_called: flag(value, 1),
            ascending: flag(&row, 3),
        };
        states.insert(state.oid, state);
    }
    Ok(states)
}
