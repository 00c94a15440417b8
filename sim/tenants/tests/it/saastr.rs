use ports::SystemClock;
use postgres_server::testing::{TestServer, majors_available, psql};
use tenants::{
    agent::replit::{self, ReplitOptions},
    rental::saastr,
};

use crate::rental::psql_with_input;

#[test]
fn the_agents_role_deletes_most_rows_and_adds_invented_ones() {
    let server = TestServer::start(majors_available().into_iter().max().unwrap(), |_| {});
    // Too long for a command line.
    psql_with_input(&server.url(), |input| input.write_all(saastr::setup_sql(1).as_bytes()));
    let count = |table: &str| server.sql(&format!("SELECT count(*) FROM public.{table}"));
    assert_eq!((count("executives"), count("companies")), ("1206".to_owned(), "1196".to_owned()));
    let agent = server.url().replacen("postgres@", "agent@", 1).replace("user=postgres", "user=agent");
    assert_ne!(agent, server.url(), "the agent connects by a role of its own");
    let spree =
        replit::play(&SystemClock::new(), ReplitOptions::default(), |sql| psql(&agent, sql).map(drop))
            .unwrap();
    assert_eq!((count("executives"), count("companies")), ("30".to_owned(), "29".to_owned()));
    assert_eq!((spree.fake_users, count("users")), (4_000, "4250".to_owned()));
    assert_eq!(server.sql("SELECT count(*) FROM public.executives WHERE company_id % 40 <> 0"), "0");
}
