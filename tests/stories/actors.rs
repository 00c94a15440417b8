//! What one actor did is undone in one plan over several transactions, and what everybody else did stays.

use serde_json::Value;

use crate::{
    production::{Production, newest_major},
    unwipe::{Unwipe, exit},
};

/// A shop in which an intern and others work in turns.
struct Shop {
    production: Production,
    unwipe: Unwipe,
}

impl Shop {
    fn open(customers: u32) -> Self {
        let production = Production::start(newest_major());
        production.open_shop(customers);
        production.sql(
            "create role intern login; grant all on all tables in schema public to intern; \
             grant create on schema public to intern",
        );
        let unwipe = Unwipe::protecting(&production.capture_url());
        unwipe.json(&["guard", "install", "shop", "--url", &production.owner_url(), "--witness"]);
        unwipe.capture_once();
        Self { production, unwipe }
    }

    /// Does something as the intern; a definition in the same transaction makes the witness name who it was.
    fn intern(&self, number: u32, statements: &str) {
        let url = self.production.owner_url().replace("postgres@", "intern@");
        let sql = format!("begin; create table note_{number} (); {statements}; commit");
        postgres_server::testing::psql(&url, &sql).unwrap();
    }

    fn plan(&self, options: &[&str]) -> crate::unwipe::Outcome {
        let (folder, url) = (self.folder(), self.production.owner_url());
        let mut arguments = vec!["--json", "rewind", "--actor", "int*n", "--url", &url, "--plan", &folder];
        arguments.extend(options);
        self.unwipe.run(&arguments)
    }

    fn folder(&self) -> String {
        self.unwipe.argument("plan")
    }

    fn apply(&self) -> crate::unwipe::Outcome {
        let url = format!("shop={}", self.production.owner_url());
        self.unwipe.run(&["--json", "apply", &self.folder(), "--url", &url])
    }
}

fn count(bundle: &Value, what: &str) -> u64 {
    bundle["bundle"]["counts"][what].as_u64().unwrap()
}

#[test]
fn an_actor_is_undone_and_the_others_stay() {
    let shop = Shop::open(1000);
    let production = &shop.production;
    let before = production.content(&["orders"]);
    shop.intern(1, "update customers set email = 'x' || id where id <= 100");
    production.sql("update customers set name = 'renamed' where id <= 10");
    production.sql(
        "insert into customers(id, name, email) overriding system value values (7001, 'late', 'late@x')",
    );
    production.sql("update customers set email = 'new' || id where id in (99, 100)");
    shop.intern(2, "delete from orders where customer <= 200; delete from customers where id = 7001");
    shop.intern(3, "insert into customers(id, name, email) overriding system value select g, 'fake', 'f' || g from generate_series(8001, 8030) g");
    production.sql("update customers set name = 'promised' where id = 8001");
    shop.unwipe.capture_once();

    let planned = shop.plan(&[]).expect(exit::DONE).document();
    let parts = planned["bundle"]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 1, "{planned}");
    assert_eq!(parts[0]["source"], "shop");
    assert_eq!(count(&planned, "reverted"), 98, "{planned:#}");
    assert_eq!(count(&planned, "inserted"), 601, "{planned:#}");
    assert_eq!(count(&planned, "removed"), 29, "{planned:#}");
    // Two whose columns somebody else set since, and one who is a customer by now.
    assert_eq!(count(&planned, "conflicts"), 3, "{planned:#}");
    let notes = planned["bundle"]["notes"].to_string();
    assert!(notes.contains("intern") && notes.contains("nobody knows"), "{notes}");
    let shown = shop.unwipe.run(&["show", &shop.folder()]).expect(exit::DONE).to_string();
    assert!(shown.contains("together") && shown.contains("unwipe_quarantine"), "{shown}");

    shop.apply().refused(exit::AUTHENTICATION, "approve");
    let approved = shop.unwipe.json(&["approve", &shop.folder(), "--yes"]);
    assert_eq!(approved["counts"], true);
    let applied = shop.apply().expect(exit::DONE).document();
    assert_eq!(applied["counts"]["inserted"], 601, "{applied:#}");

    assert_eq!(production.content(&["orders"]), before);
    let sql = |sql: &str| production.sql(sql);
    assert_eq!(sql("select count(*) from customers where email like 'x%'"), "0");
    assert_eq!(sql("select string_agg(distinct name, ',') from customers where id <= 10"), "renamed");
    assert_eq!(
        sql("select string_agg(email, ',' order by id) from customers where id in (99, 100)"),
        "new99,new100"
    );
    assert_eq!(sql("select name from customers where id = 7001"), "late");
    assert_eq!(sql("select count(*) || min(name) from customers where id > 8000"), "1promised");
    assert_eq!(
        sql(
            "select sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from unwipe_quarantine.%I', \
             tablename), false, true, '')))[1]::text::int) from pg_tables where schemaname = 'unwipe_quarantine'"
        ),
        "29"
    );

    // A part that is done is not done again, whatever became of the source since.
    sql("delete from orders where customer = 5");
    let again = shop.apply();
    again.expect(exit::DONE);
    assert_eq!(sql("select count(*) from orders where customer = 5"), "0");
}

#[test]
fn a_part_that_was_exchanged_is_refused_and_somebody_who_did_nothing_has_no_plan() {
    let shop = Shop::open(100);
    shop.intern(1, "delete from orders where customer <= 50");
    shop.unwipe.capture_once();
    shop.unwipe
        .run(&["rewind", "--actor", "nobody-else", "--url", &shop.production.owner_url()])
        .refused(exit::NOTHING, "nothing is to be undone");
    shop.unwipe.run(&["rewind", "incident:7"]).refused(exit::NOTHING, "incident 7");
    let planned = shop.plan(&[]).expect(exit::DONE).document();
    shop.unwipe.json(&["approve", &shop.folder(), "--yes"]);
    let damaged = shop.production.content(&["orders"]);
    let part = std::path::Path::new(&shop.folder())
        .join(planned["bundle"]["parts"][0]["folder"].as_str().unwrap())
        .join("plan.json");
    let text = std::fs::read_to_string(&part).unwrap();
    std::fs::write(&part, text.replacen("orders", "order5", 1)).unwrap();
    shop.apply().refused(exit::FAILED, "digest");
    std::fs::write(&part, text).unwrap();
    assert_eq!(shop.production.content(&["orders"]), damaged);
    shop.apply().expect(exit::DONE);
    assert_eq!(shop.production.sql("select count(*) from orders"), "300");
}

#[test]
fn two_thousand_transactions_are_one_plan() {
    let shop = Shop::open(3000);
    let production = &shop.production;
    let before = production.content(&["orders"]);
    let number = || production.sql("select pg_current_xact_id()::xid::text").parse::<u32>().unwrap();
    let first = number() + 1;
    production.sql(
        "do $$ begin for i in 1..2000 loop update orders set note = 'bad' where id = i; commit; end loop; end $$",
    );
    let all: Vec<String> = (first..number()).map(|number| number.to_string()).collect();
    assert!(all.len() >= 2000);
    shop.unwipe.capture_once();
    let (url, folder) = (production.owner_url(), shop.folder());
    let planned = shop.unwipe.json(&[
        "rewind",
        "shop",
        "--undo",
        &all[..2000].join(","),
        "--url",
        &url,
        "--plan",
        &folder,
    ]);
    assert_eq!(planned["plan"]["counts"]["reverted"], 2000, "{}", planned["plan"]["counts"]);
    shop.unwipe.json(&["approve", &folder, "--yes"]);
    shop.apply().expect(exit::DONE);
    assert_eq!(production.content(&["orders"]), before);
}
