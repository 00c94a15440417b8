//! Truncated and dropped tables come back, with all that hung on them.

use connect::plan::Action;

use crate::story::{Story, digest};

const SHOP: &str = "
    CREATE ROLE clerk; CREATE ROLE auditor;
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer integer NOT NULL REFERENCES customers,
        parent bigint REFERENCES orders,
        moods mood[], total numeric(10, 2) DEFAULT 0 CHECK (total >= 0),
        double_total numeric(12, 2) GENERATED ALWAYS AS (total * 2) STORED,
        code serial UNIQUE);
    CREATE TABLE lines (orders bigint CONSTRAINT lines_orders REFERENCES orders ON DELETE CASCADE, item text);
    CREATE INDEX \"Orders by total\" ON orders (total) WHERE total > 5;
    CREATE VIEW big_orders AS SELECT id, total FROM orders WHERE total > 100;
    CREATE MATERIALIZED VIEW sums AS SELECT customer, sum(total) AS total FROM orders GROUP BY 1;
    CREATE INDEX ON sums (customer);
    COMMENT ON TABLE orders IS 'what
--
-- Name: evil; Type: TABLE; Schema: public; Owner: postgres
--

DROP TABLE customers;
they bought';
    COMMENT ON COLUMN orders.total IS 'in euros';
    COMMENT ON CONSTRAINT lines_orders ON lines IS 'a line belongs to an order';
    GRANT SELECT, INSERT ON orders TO clerk; GRANT SELECT (id, total) ON orders TO auditor;
    GRANT SELECT ON big_orders TO auditor;
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY cheap ON orders TO clerk USING (total < 100);
    CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
    CREATE TRIGGER guard BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION forbid();
    INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 100) g;
    INSERT INTO orders (customer, parent, moods, total)
        SELECT 1 + g % 100, nullif(g / 2, 0), ARRAY['good', 'bad']::mood[], g FROM generate_series(1, 1000) g;
    INSERT INTO lines SELECT 1 + g % 1000, 'i' || g FROM generate_series(1, 3000) g;
    REFRESH MATERIALIZED VIEW sums;
";

/// Everything in the catalogs that a dropped table had, and its content.
fn state(sql: impl Fn(&str) -> String) -> String {
    let parts = [
        "SELECT string_agg(c.relname || c.relkind::text || coalesce(c.relacl::text, '') || c.relrowsecurity::text, ' ' \
         ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace",
        "SELECT string_agg(conname || pg_get_constraintdef(oid), ' ' ORDER BY conname) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace",
        "SELECT string_agg(indexdef, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT string_agg(attrelid::regclass || '.' || attname || coalesce(attacl::text, '') || \
         coalesce(col_description(attrelid, attnum), ''), ' ' ORDER BY attrelid::regclass::text, attnum) \
         FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) \
         AND attnum > 0",
        "SELECT coalesce(obj_description('orders'::regclass), '-') || (SELECT string_agg(polname, ' ') FROM pg_policy) \
         || (SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal) \
         || (SELECT string_agg(obj_description(oid), ' ') FROM pg_constraint WHERE conname = 'lines_orders')",
    ];
    let contents =
        ["orders", "lines", "customers", "sums"].map(|t| digest(&sql, &format!("SELECT * FROM {t}")));
    let parts: Vec<String> = parts.iter().map(|part| sql(part)).collect();
    format!("{}\n{}", parts.join("\n"), contents.join("\n"))
}

#[test]
fn a_dropped_table_comes_back_with_all_that_hung_on_it() {
    let mut story = Story::begin(15, SHOP);
    let before = state(|sql| story.sql(sql));
    let number = story.transaction("DROP TABLE orders CASCADE");
    // Work that goes on: another table, and a view that somebody drops later, which is not to come back.
    story.sql("INSERT INTO customers VALUES (1000, 'later'); CREATE TABLE news (id integer)");
    let planned = story.plan(number);
    assert!(planned.plan.losses.is_empty() && planned.plan.conflicts.is_empty(), "{:#?}", planned.plan);
    assert_eq!(planned.plan.counts.inserted, 1000);
    story.apply_and_verify(&planned);
    story.sql("DELETE FROM customers WHERE id = 1000; DROP TABLE news");
    assert_eq!(state(|sql| story.sql(sql)), before);
    assert_eq!(story.sql("INSERT INTO orders (customer) VALUES (1) RETURNING id, code"), "1001|1001");
}

#[test]
fn a_dropped_schema_comes_back_and_what_others_dropped_does_not() {
    let setup = "CREATE SCHEMA \"My shop\"; CREATE ROLE clerk;
        GRANT USAGE ON SCHEMA \"My shop\" TO clerk;
        CREATE TYPE \"My shop\".size AS ENUM ('s', 'l');
        CREATE DOMAIN \"My shop\".positive AS integer CHECK (VALUE > 0);
        CREATE FUNCTION \"My shop\".twice(x integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';
        CREATE TABLE \"My shop\".\"Odd \"\"one\"\"\" (\"Id no\" integer PRIMARY KEY, sizes \"My shop\".size[],
            n \"My shop\".positive, p point, t text);
        CREATE TABLE \"My shop\".parts (a integer, b text) PARTITION BY RANGE (a);
        CREATE TABLE \"My shop\".parts1 PARTITION OF \"My shop\".parts FOR VALUES FROM (0) TO (100);
        CREATE TABLE \"My shop\".parts2 PARTITION OF \"My shop\".parts FOR VALUES FROM (100) TO (1000);
        CREATE INDEX ON \"My shop\".parts (a);
        CREATE TABLE other (id integer PRIMARY KEY, part integer REFERENCES \"My shop\".\"Odd \"\"one\"\"\");
        INSERT INTO \"My shop\".\"Odd \"\"one\"\"\" SELECT g, '{s,l}', g, point(g, 1), repeat(md5(g::text), 300)
            FROM generate_series(1, 50) g;
        INSERT INTO \"My shop\".parts SELECT g, g::text FROM generate_series(0, 999) g;
        INSERT INTO other SELECT g, g FROM generate_series(1, 50) g;
        CREATE VIEW gone AS SELECT 1 AS one;";
    let mut story = Story::begin(15, setup);
    let digests = |story: &Story| {
        ["\"My shop\".\"Odd \"\"one\"\"\"", "\"My shop\".parts1", "\"My shop\".parts2", "other"]
            .map(|table| digest(|sql| story.sql(sql), &format!("SELECT t::text FROM {table} t")))
    };
    let before = digests(&story);
    let number = story.transaction("DROP SCHEMA \"My shop\" CASCADE");
    story.sql("DROP VIEW gone");
    let planned = story.plan(number);
    assert!(planned.plan.losses.is_empty() && planned.plan.conflicts.is_empty(), "{:#?}", planned.plan);
    story.apply_and_verify(&planned);
    assert_eq!(digests(&story), before);
    assert_eq!(story.sql("SELECT count(*) FROM pg_class WHERE relname = 'gone'"), "0");
    assert_eq!(story.sql("SELECT has_schema_privilege('clerk', 'My shop', 'USAGE')"), "t");
    assert!(
        story.production.try_sql("INSERT INTO other VALUES (51, 51)").is_err(),
        "the foreign key is back"
    );
}

#[test]
fn a_table_made_again_by_somebody_is_left_alone() {
    let mut story =
        Story::begin(15, "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let number = story.transaction("DROP TABLE t");
    story.sql("CREATE TABLE t (id text); INSERT INTO t VALUES ('mine')");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 1, "{:#?}", planned.plan);
    assert!(planned.plan.is_empty(), "{:#?}", planned.plan);
    assert_eq!(story.sql("SELECT id FROM t"), "mine");
}

#[test]
fn truncated_tables_are_merged_with_what_came_since() {
    let mut story = Story::begin(15, SHOP);
    let before = ["orders", "lines"].map(|t| digest(|sql| story.sql(sql), &format!("SELECT * FROM {t}")));
    let number = story.transaction(
        "TRUNCATE orders, lines RESTART IDENTITY; \
         INSERT INTO orders (customer, total) OVERRIDING SYSTEM VALUE VALUES (1, 666)",
    );
    story.sql(
        "INSERT INTO orders (id, customer, total, code) OVERRIDING SYSTEM VALUE VALUES (5000, 2, 7, 5000), \
         (500, 3, 8, 5001); INSERT INTO lines VALUES (5000, 'later')",
    );
    let planned = story.plan(number);
    let steps: Vec<_> = planned.plan.steps.iter().map(|step| (step.action, step.rows)).collect();
    assert!(steps.contains(&(Action::Remove, 1)), "{steps:?}");
    // Order 500 was made again by somebody: it stays, and its lines refer to it.
    assert_eq!(planned.plan.counts.conflicts, 1, "{:#?}", planned.plan.conflicts);
    assert_eq!(planned.plan.conflicts[0].key, "id=500");
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT total FROM orders WHERE id = 500"), "8.00");
    story.sql("DELETE FROM lines WHERE item = 'later'");
    assert_eq!(digest(|sql| story.sql(sql), "SELECT * FROM lines"), before[1]);
    assert_eq!(story.sql("SELECT count(*), count(*) FILTER (WHERE total = 666) FROM orders"), "1001|1");
    assert_eq!(story.sql("INSERT INTO orders (customer) VALUES (1) RETURNING id"), "1001");
}
