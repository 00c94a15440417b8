//! A production server with what a capture needs, and a shop in it.

use postgres_server::{
    StopMode,
    testing::{self, TestOptions, TestServer},
};

use crate::unwipe::wait_until;

/// The role that captures.
pub(crate) const ROLE: &str = "unwipe";
/// The slot that a capture of `shop` makes.
pub(crate) const SLOT: &str = "unwipe_shop";

/// A production server.
pub(crate) struct Production {
    pub(crate) server: TestServer,
}

/// Returns the newest major version of which there is a `pg_dump` too.
pub(crate) fn newest_major() -> u32 {
    testing::majors_available().into_iter().max().unwrap()
}

impl Production {
    /// Starts a server that bounds slots and has the capturing role.
    pub(crate) fn start(major: u32) -> Self {
        Self::start_with(major, |_| {})
    }

    /// Starts a server after the function has changed how.
    pub(crate) fn start_with(major: u32, change: impl FnOnce(&mut TestOptions)) -> Self {
        let server = TestServer::start(major, |options| {
            options.settings.set("max_slot_wal_keep_size", "1GB");
            options.settings.set("wal_keep_size", "0");
            change(options);
        });
        server.sql(&format!("create role {ROLE} login replication"));
        Self { server }
    }

    /// Returns the address for the capturing role.
    pub(crate) fn capture_url(&self) -> String {
        self.server.url().replace("postgres@", &format!("{ROLE}@"))
    }

    /// Returns the superuser's address, for planning and applying.
    pub(crate) fn owner_url(&self) -> String {
        self.server.url()
    }

    /// Runs SQL as the superuser.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(sql)
    }

    /// Turns the server into a standby that waits for a primary that never answers.
    pub(crate) fn become_standby(&mut self) {
        let signal = self.server.data_dir().join("standby.signal");
        std::fs::write(&signal, "").unwrap();
        self.server.restart(StopMode::Fast, |settings| {
            settings.set("primary_conninfo", "host=127.0.0.1 port=1");
        });
    }

    /// Makes a shop: customers, and orders that go with them.
    pub(crate) fn open_shop(&self, customers: u32) {
        self.sql(&format!(
            "create table customers(id bigint generated always as identity primary key, name text not null, \
             email text unique, since timestamptz default now()); \
             create table orders(id bigserial primary key, \
             customer bigint not null references customers on delete cascade, \
             amount numeric(12,2) not null check (amount >= 0), note text); \
             create index on orders(customer); \
             create view turnover as select customer, sum(amount) as total from orders group by 1; \
             insert into customers(name, email) select 'Customer '||g, g||'@shop.example' \
             from generate_series(1,{customers}) g; \
             insert into orders(customer, amount, note) select 1 + g % {customers}, g * 0.25, repeat('x', g % 50) \
             from generate_series(1,{customers} * 3) g; \
             analyze"
        ));
    }

    /// Returns the content of tables as one text, equal exactly when all rows are.
    pub(crate) fn content(&self, tables: &[&str]) -> String {
        content(&self.server.url(), tables)
    }

    /// Waits until everything that the server has now is durable at the reader.
    pub(crate) fn wait_for_reader(&self) {
        let lsn = self.sql("select pg_current_wal_insert_lsn()");
        let asked = format!(
            "select coalesce(bool_or(flush_lsn >= '{lsn}'), false) from pg_stat_replication \
             where application_name = '{SLOT}'"
        );
        wait_until("the reader to follow", || self.sql(&asked) == "t");
    }

    /// Waits until the capture streams.
    pub(crate) fn wait_for_stream(&self) {
        let asked = format!(
            "select count(*) from pg_stat_replication where application_name = '{SLOT}' and state = 'streaming'"
        );
        wait_until("the reader to stream", || self.sql(&asked) == "1");
    }
}

/// Returns the content of tables of any server as one text.
pub(crate) fn content(url: &str, tables: &[&str]) -> String {
    let each = tables.iter().map(|table| {
        format!("select '{table} '||count(*)||' '||coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t")
    });
    let sql = each.collect::<Vec<_>>().join(" union all ") + " order by 1";
    testing::psql(url, &sql).unwrap_or_else(|message| panic!("{sql}: {message}"))
}
