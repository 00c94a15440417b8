//! Deleted rows come back, with all that hung on them.

use crate::story::{Story, digest};

const SHOP: &str = "
    CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE);
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
        total numeric(10, 2), note jsonb);
    INSERT INTO customers (name, email) SELECT 'c' || g, g || '@x.org' FROM generate_series(1, 2000) g;
    INSERT INTO orders (customer, total, note)
        SELECT 1 + g % 2000, g / 7.0, jsonb_build_object('n', g) FROM generate_series(1, 8000) g;
";

#[test]
fn a_cascading_delete_is_undone_and_later_rows_are_kept() {
    let mut story = Story::begin(15, SHOP);
    let before = digest(|sql| story.sql(sql), "SELECT * FROM orders");
    let number = story.transaction("DELETE FROM customers WHERE id > 100");
    story.sql("INSERT INTO customers (name) SELECT 'later' FROM generate_series(1, 50)");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.inserted, 1900 + 7600, "{:#?}", planned.plan);
    assert_eq!(planned.plan.counts.conflicts, 0);
    let applied = story.apply_and_verify(&planned);
    assert_eq!(applied.counts.inserted, 9500);
    assert_eq!(digest(|sql| story.sql(sql), "SELECT * FROM orders"), before);
    assert_eq!(story.sql("SELECT count(*) FROM customers"), "2050");
    assert_eq!(story.sql("SELECT count(*) FROM customers WHERE name = 'later'"), "50");
}

#[test]
fn every_major_version_is_undone_alike() {
    for major in postgres_server::testing::majors_available() {
        let mut story = Story::begin(major, SHOP);
        let tables = ["customers", "orders"];
        let digests =
            |story: &Story| tables.map(|t| digest(|sql| story.sql(sql), &format!("SELECT * FROM {t}")));
        let before = digests(&story);
        let number = story.transaction(
            "DELETE FROM customers WHERE id > 1500; UPDATE orders SET note = NULL WHERE id < 50; \
             INSERT INTO orders (id, customer) VALUES (900000, 1)",
        );
        let planned = story.plan(number);
        assert_eq!(planned.plan.counts.conflicts, 0, "PostgreSQL {major}: {:#?}", planned.plan);
        story.apply_and_verify(&planned);
        assert_eq!(digests(&story), before, "PostgreSQL {major}");
    }
}
