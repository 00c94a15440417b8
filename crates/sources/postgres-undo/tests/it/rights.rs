//! What the restore credential may do, and what the server's own rules say.

use connect::{
    Silent,
    plan::{AppliedReport, ApplyMode, SourceWriter, WriteError},
};
use postgres_undo::ProductionWriter;

use crate::story::{Planned, Story, connect, digest};

fn apply_as(story: &Story, role: &str, planned: &Planned) -> Result<AppliedReport, WriteError> {
    let url = story.production.url().replace("postgresql://postgres@", &format!("postgresql://{role}@"));
    let mut connection = connect(&url);
    ProductionWriter::new(&mut connection).apply(&planned.plan, &planned.folder, ApplyMode::Lasting, &Silent)
}

const FAMILY: &str = "
    CREATE ROLE restorer LOGIN; CREATE ROLE nobody LOGIN;
    CREATE TABLE parents (id integer PRIMARY KEY, favourite integer, name text);
    CREATE TABLE children (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parents ON DELETE CASCADE,
        elder integer REFERENCES children);
    ALTER TABLE parents ADD CONSTRAINT favourite FOREIGN KEY (favourite) REFERENCES children
        DEFERRABLE INITIALLY DEFERRED;
    CREATE TABLE heard (what text);
    CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.heard VALUES (TG_OP); RETURN NULL; END $$;
    CREATE TRIGGER hear AFTER INSERT OR UPDATE OR DELETE ON children FOR EACH STATEMENT EXECUTE FUNCTION hear();
    INSERT INTO parents SELECT g, NULL, 'p' || g FROM generate_series(1, 100) g;
    INSERT INTO children SELECT g, 1 + g % 100, nullif(g - 1, 0) FROM generate_series(1, 300) g;
    UPDATE parents SET favourite = id;
    TRUNCATE heard;
";

#[test]
fn cycles_of_foreign_keys_come_back_and_no_trigger_fires() {
    let mut story = Story::begin(15, FAMILY);
    let before = ["parents", "children"].map(|t| digest(|sql| story.sql(sql), &format!("SELECT * FROM {t}")));
    let number = story.transaction("DELETE FROM children WHERE id > 0; DELETE FROM parents");
    story.sql("TRUNCATE heard");
    let planned = story.plan(number);
    assert!(planned.plan.notes.iter().any(|note| note.contains("trigger hear")), "{:#?}", planned.plan.notes);
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT count(*) FROM heard"), "0");
    let after = ["parents", "children"].map(|t| digest(|sql| story.sql(sql), &format!("SELECT * FROM {t}")));
    assert_eq!(after, before);
}

#[test]
fn a_missing_privilege_is_named_with_the_grant_that_gives_it() {
    let mut story = Story::begin(15, FAMILY);
    let number = story.transaction("SET LOCAL session_replication_role = replica; DELETE FROM children WHERE parent = 7; \
         DELETE FROM parents WHERE id = 7; DELETE FROM children WHERE id = 300; SET LOCAL session_replication_role = origin");
    let planned = story.plan(number);
    let error = apply_as(&story, "nobody", &planned).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(
        hint.contains("GRANT SELECT, INSERT, UPDATE, DELETE ON \"public\".") && hint.contains("nobody"),
        "{hint}"
    );
    story.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON parents, children TO restorer");
    let applied = apply_as(&story, "restorer", &planned).unwrap();
    assert_eq!(applied.counts.inserted, 5);
    assert!(applied.notes.iter().any(|note| note.contains("GRANT SET ON PARAMETER")), "{:?}", applied.notes);
    assert!(
        story.sql("SELECT string_agg(what, ',') FROM heard").contains("INSERT"),
        "the trigger fired, as was said"
    );
    assert!(story.verify(&planned).is_good());
    // With the parameter's privilege nothing fires.
    story.sql("GRANT SET ON PARAMETER session_replication_role TO restorer; TRUNCATE heard");
    let number = story.transaction("DELETE FROM children WHERE id >= 299");
    story.sql("TRUNCATE heard");
    let planned = story.plan(number);
    let applied = apply_as(&story, "restorer", &planned).unwrap();
    assert_eq!((applied.counts.inserted, applied.notes.len()), (2, 0), "{applied:?}");
    assert_eq!(story.sql("SELECT count(*) FROM heard"), "0");
}

#[test]
fn a_broken_reference_undoes_all() {
    let setup = "CREATE TABLE parents (id integer PRIMARY KEY); CREATE TABLE children (id integer PRIMARY KEY, \
        parent integer REFERENCES parents); INSERT INTO parents VALUES (1), (2); INSERT INTO children VALUES (1, 1), (2, 2);";
    let mut story = Story::begin(15, setup);
    let number = story.transaction("DELETE FROM children; INSERT INTO parents VALUES (9)");
    let planned = story.plan(number);
    // Both ways: what a restored row refers to goes, and what is to be removed gets a child.
    story.sql("DELETE FROM parents WHERE id = 2; INSERT INTO children VALUES (90, 9)");
    let error = story.apply(&planned, ApplyMode::Lasting).unwrap_err();
    let WriteError::Broken { violations } = &error else { panic!("{error:?}") };
    let keys: Vec<_> = violations.iter().map(|violation| violation.key.as_str()).collect();
    assert_eq!(keys, ["id=9", "id=2"], "{violations:#?}");
    assert_eq!(story.sql("SELECT string_agg(id::text, ' ') FROM children"), "90");
    assert_eq!(story.sql("SELECT string_agg(id::text, ' ') FROM parents"), "1 9");
    // A new plan knows what has happened, and leaves these rows alone.
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 2, "{:#?}", planned.plan);
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM children"), "1 90");
}

#[test]
fn row_security_hides_nothing_from_a_plan() {
    let setup = "CREATE TABLE t (id integer PRIMARY KEY, owner name); INSERT INTO t VALUES (1, 'a'), (2, 'b'); \
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; \
        CREATE POLICY own ON t USING (owner = current_user); CREATE ROLE b LOGIN; GRANT ALL ON t TO b";
    let mut story = Story::begin(15, setup);
    let number = story.transaction("DELETE FROM t");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.inserted, 2);
    // A role that the policies bind must not half-see the table.
    let error = apply_as(&story, "b", &planned).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    story.apply_and_verify(&planned);
}

#[test]
fn odd_columns_come_back_as_they_were() {
    let setup = "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE SCHEMA s;
        CREATE TYPE s.pair AS (a integer, b text); CREATE TYPE s.mood AS ENUM ('x', 'y');
        CREATE TABLE odd (
            \"the \"\"key\"\"\" citext, part numeric, a integer GENERATED ALWAYS AS IDENTITY,
            twice integer GENERATED ALWAYS AS (length(\"the \"\"key\"\"\"::text) * 2) STORED,
            p s.pair[], m s.mood[][], j jsonb, big text, raw bytea, f double precision, i interval, t timestamptz,
            r int4range, h hstore, x xml, mny money, bits bit varying, addr inet, ts tsvector, ch char(5), n real,
            PRIMARY KEY (\"the \"\"key\"\"\", part) DEFERRABLE);
        INSERT INTO odd SELECT 'Key' || g, g + 0.10, DEFAULT, DEFAULT, ARRAY[ROW(g, E'a\\tb\\\\\\n\"c')]::s.pair[],
            '{{x,y},{y,x}}', jsonb_build_object('k', g, 'z', null), repeat(md5(g::text), 1000), '\\x00ff5c0a',
            1.0 / g, '1 mon -3 days 04:05:06.789', '2024-03-31 01:30+00', '[1,5)', 'a=>1,b=>NULL', '<a>b</a>', 12.34,
            B'101', '10.0.0.0/8', 'fat cats', 'ab', 0.1 FROM generate_series(1, 40) g;
        INSERT INTO odd (\"the \"\"key\"\"\", part, f, t) VALUES ('inf', 'NaN', '-Infinity', 'infinity')";
    let setup = setup.replace("SELECT 'Key' || g, g + 0.10, DEFAULT, DEFAULT,", "SELECT 'Key' || g, g + 0.10,").replace(
        "INSERT INTO odd SELECT",
        "INSERT INTO odd (\"the \"\"key\"\"\", part, p, m, j, big, raw, f, i, t, r, h, x, mny, bits, addr, ts, ch, n) SELECT",
    );
    let mut story = Story::begin(15, &setup);
    let whole = "SELECT o::text FROM odd o";
    let before = digest(|sql| story.sql(sql), whole);
    let number = story.transaction(
        "DELETE FROM odd WHERE part < 20 OR part = 'NaN'; UPDATE odd SET big = 'gone', p = NULL, f = 1 WHERE part > 30",
    );
    // The same key under the rules of `citext`: another spelling is the same row.
    story.sql("INSERT INTO odd (\"the \"\"key\"\"\", part) VALUES ('KEY3', 3.1)");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 1, "{:#?}", planned.plan.conflicts);
    story.sql("DELETE FROM odd WHERE part = 3.1 AND big IS NULL");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 0, "{:#?}", planned.plan.conflicts);
    story.apply_and_verify(&planned);
    assert_eq!(digest(|sql| story.sql(sql), whole), before);
}
