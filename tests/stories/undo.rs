//! What a role destroyed in a database that lives on comes back, and what was written since stays.

use std::path::Path;

use serde_json::Value;

use crate::{
    production::{Production, newest_major},
    unwipe::{Unwipe, exit},
};

/// A shop in which a role did something that it should not have done, and others went on working.
struct Incident {
    production: Production,
    unwipe: Unwipe,
}

impl Incident {
    /// Opens a shop, captures it, lets the rogue role run the statements, and then a customer order something.
    fn after(statements: &str) -> (Self, String) {
        let production = Production::start(newest_major());
        production.open_shop(2000);
        production.sql(
            "create role intern login; grant all on all tables in schema public to intern; \
             alter table customers owner to intern; alter table orders owner to intern; \
             alter view turnover owner to intern",
        );
        let unwipe = Unwipe::protecting(&production.capture_url());
        unwipe.json(&["guard", "install", "shop", "--url", &production.owner_url(), "--witness"]);
        unwipe.capture_once();
        let before = production.content(&["customers", "orders", "turnover"]);
        let intern = production.owner_url().replace("postgres@", "intern@");
        postgres_server::testing::psql(&intern, statements).unwrap();
        (Self { production, unwipe }, before)
    }

    /// Returns the destructive events, in the order in which a person sees them.
    fn destruction(&self) -> Vec<Value> {
        self.unwipe.capture_once();
        let timeline = self.unwipe.json(&["timeline", "shop"]);
        let events = timeline["events"].as_array().unwrap().clone();
        assert_eq!(events[0]["severity"], "destructive", "destruction comes first: {timeline}");
        events.into_iter().filter(|event| event["severity"] == "destructive").collect()
    }

    fn plan(&self, transaction: &str) -> Value {
        self.unwipe.json(&[
            "rewind",
            "shop",
            "--undo",
            transaction,
            "--url",
            &self.production.owner_url(),
            "--plan",
            &self.plan_folder(),
        ])
    }

    fn plan_folder(&self) -> String {
        self.unwipe.argument("plan")
    }

    fn apply(&self, options: &[&str]) -> crate::unwipe::Outcome {
        let (folder, url) = (self.plan_folder(), self.production.owner_url());
        let mut arguments = vec!["--json", "apply", &folder, "--url", &url];
        arguments.extend(options);
        self.unwipe.run(&arguments)
    }

    fn approve(&self) {
        let approved = self.unwipe.json(&["approve", &self.plan_folder(), "--yes"]);
        assert_eq!(approved["counts"], true);
    }
}

/// Returns the count of one effect of an event.
fn effect(event: &Value, verb: &str, target: &str) -> u64 {
    let effects = event["effects"].as_array().unwrap();
    let found = effects.iter().find(|effect| effect["verb"] == verb && effect["target"] == target);
    found.unwrap_or_else(|| panic!("no {verb} of {target}: {event}"))["count"].as_u64().unwrap()
}

#[test]
fn a_cascading_delete_is_undone_and_later_rows_stay() {
    let (incident, _) = Incident::after("delete from customers where id <= 1500");
    let production = &incident.production;
    let later = "insert into customers(name) values ('later'); \
                 insert into orders(customer, amount, note) values (1999, 1, 'later')";
    production.sql(later);
    let events = incident.destruction();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(effect(&events[0], "delete", "postgres.public.customers"), 1500);
    assert_eq!(effect(&events[0], "delete", "postgres.public.orders"), 4500);

    let transaction = events[0]["transaction"].as_str().unwrap();
    let planned = incident.plan(transaction);
    assert_eq!(planned["plan"]["counts"]["inserted"], 6000);
    assert_eq!(planned["plan"]["counts"]["conflicts"], 0);

    let damaged = production.content(&["customers", "orders"]);
    incident.apply(&[]).refused(exit::AUTHENTICATION, "approve");
    incident.apply(&["--dry-run"]).expect(exit::DONE);
    assert_eq!(production.content(&["customers", "orders"]), damaged, "a rehearsal changed something");
    incident.approve();
    let applied = incident.apply(&[]).expect(exit::DONE).document();
    assert_eq!(applied["applied"]["counts"]["inserted"], 6000);
    assert_eq!(production.sql("select count(*) from customers"), "2001");
    assert_eq!(production.sql("select count(*) from orders"), "6001");
    assert_eq!(production.sql("select count(*) from orders where note = 'later'"), "1");

    let repaired = production.content(&["customers", "orders"]);
    let again = incident.apply(&[]).expect(exit::DONE).document();
    assert_eq!(again["applied"]["counts"]["inserted"], 0, "{again}");
    assert_eq!(production.content(&["customers", "orders"]), repaired);
}

#[test]
fn a_truncated_table_comes_back_whole() {
    let (incident, before) = Incident::after("truncate orders");
    let events = incident.destruction();
    assert_eq!(events[0]["effects"][0]["verb"], "truncate", "{events:?}");
    assert_eq!(events[0]["effects"][0]["target"], "postgres.public.orders");
    incident.plan(events[0]["transaction"].as_str().unwrap());
    incident.approve();
    incident.apply(&[]).expect(exit::DONE);
    assert_eq!(incident.production.content(&["customers", "orders", "turnover"]), before);
}

#[test]
fn a_dropped_table_comes_back_with_what_depended_on_it() {
    let (incident, before) = Incident::after("drop table customers, orders cascade");
    let events = incident.destruction();
    let event = &events[0];
    assert_eq!(event["attribution"], "witnessed", "{event}");
    assert_eq!(event["actor"]["identity"], "intern", "{event}");
    assert!(event["statement"].as_str().unwrap().contains("drop table customers"), "{event}");
    effect(event, "drop", "postgres.public.customers");
    effect(event, "drop", "postgres.public.orders");
    incident.plan(event["transaction"].as_str().unwrap());
    incident.approve();
    incident.apply(&[]).expect(exit::DONE);
    let production = &incident.production;
    assert_eq!(production.content(&["customers", "orders", "turnover"]), before);
    let objects = "select string_agg(conname, ' ' order by conname) from pg_constraint \
                   where conrelid in ('customers'::regclass, 'orders'::regclass) and contype in ('p', 'u', 'f', 'c')";
    assert_eq!(
        production.sql(objects),
        "customers_email_key customers_pkey orders_amount_check orders_customer_fkey orders_pkey"
    );
    assert_eq!(production.sql("select tableowner from pg_tables where tablename = 'orders'"), "intern");
    production.sql(
        "insert into customers(name) values ('new'); insert into orders(customer, amount) values (7, 1)",
    );
}

#[test]
fn a_plan_that_was_changed_by_one_byte_is_refused() {
    let (incident, _) = Incident::after("delete from customers where id <= 1200");
    let events = incident.destruction();
    let planned = incident.plan(events[0]["transaction"].as_str().unwrap());
    incident.approve();
    let folder = std::path::PathBuf::from(incident.plan_folder());
    let damaged = incident.production.content(&["customers", "orders"]);

    let attachment = planned["plan"]["attachments"][0]["name"].as_str().unwrap();
    let whole = flip(&folder.join(attachment));
    let said = incident.apply(&[]).refused(exit::FAILED, attachment);
    assert!(said.stdout.is_empty(), "{said}");
    std::fs::write(folder.join(attachment), whole).unwrap();

    // A plan that says something else is another plan, and nobody approved that one.
    let document = folder.join("plan.json");
    let text = std::fs::read_to_string(&document).unwrap();
    std::fs::write(&document, text.replacen("1200", "1201", 1)).unwrap();
    incident.apply(&[]).refused(exit::AUTHENTICATION, "not approved");
    std::fs::write(&document, text).unwrap();

    assert_eq!(
        incident.production.content(&["customers", "orders"]),
        damaged,
        "a refused plan changed something"
    );
    incident.apply(&[]).expect(exit::DONE);
}

/// Changes one byte in the middle of a file and returns what it held.
fn flip(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(path, changed).unwrap();
    whole
}
