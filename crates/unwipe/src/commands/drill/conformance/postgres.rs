//! A cluster on a real server, captured with two bases, and drilled in scratch servers: one recovery is compared with the other.

use std::{path::PathBuf, sync::Arc};

use connect_conformance::{DrillGround, Drillable, Furnishing, Never, Planted, Wanted};
use postgres_server::testing::{TestServer, majors_available, psql};

use super::Home;

const SOURCE: &str = "shop";
const TABLE: &str = "postgres.public.customers";

struct ClusterDrills {
    home: Home,
    production: TestServer,
}

fn start(furnishing: &Furnishing) -> Arc<dyn Drillable> {
    Arc::new(ClusterDrills::start(furnishing))
}

connect_conformance::drilling_tests!(start);

impl ClusterDrills {
    fn start(furnishing: &Furnishing) -> Self {
        let major = majors_available().into_iter().max().unwrap();
        let production = TestServer::start(major, |options| {
            options.settings.set("max_slot_wal_keep_size", "1GB");
            options.settings.set("wal_keep_size", "0");
        });
        let rows = furnishing.users * furnishing.items;
        production.sql(&format!(
            "create role unwipe login replication; \
             create table customers(id bigint primary key, name text not null); \
             create table orders(id bigint primary key, amount numeric(12,2)); \
             insert into customers select g, 'Customer '||g from generate_series(1,{rows}) g; \
             insert into orders select g, g * 0.25 from generate_series(1,{rows}) g"
        ));
        let home = Home::new();
        let url = production.url().replace("postgres@", "unwipe@");
        home.done(&["protect", SOURCE, "postgres", "--url", &url]);
        home.done(&["capture", SOURCE, "--once"]);
        home.done(&["capture", SOURCE, "--once", "--base"]);
        // Only what came after the second base is recovered from it, and can be compared with the first.
        production.sql("insert into orders values (1000, 1)");
        home.done(&["capture", SOURCE, "--once"]);
        Self { home, production }
    }

    /// Returns the address of the server that a drill recovered.
    fn recovered(&self) -> String {
        let entries = std::fs::read_dir(self.home.home().join("scratch")).unwrap();
        let mut servers = entries.map(|entry| entry.unwrap().path().join("data/postmaster.pid"));
        let server: PathBuf = servers.find(|file| file.is_file()).unwrap();
        let text = ports::files::read_text(&server).unwrap();
        // Its fourth line is the port, its fifth the folder of its socket.
        let lines: Vec<&str> = text.lines().collect();
        format!("postgresql://postgres@/postgres?host={}&port={}", lines[4].trim(), lines[3].trim())
    }
}

impl Drillable for ClusterDrills {
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String> {
        self.home.ground(SOURCE, wanted)
    }

    fn samples(&self) -> Result<(), Never> {
        Err(Never("a cluster is recovered whole: its files and its log are one"))
    }

    fn things(&self) -> u64 {
        let tables = "select count(*) from pg_tables where schemaname = 'public'";
        self.production.sql(tables).parse().unwrap()
    }

    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never> {
        let (sql, words) = match planted {
            Planted::Changed => {
                ("update customers set name = 'Nobody' where id = 1", [TABLE, "other content"])
            }
            Planted::Missing => ("drop table customers", [TABLE, "is missing"]),
            Planted::Extra => {
                ("create table more(id bigint)", ["postgres.public.more", "should not be there"])
            }
            Planted::Unfaithful => {
                return Err(Never("all that is promised of a table are its rows, and that they are exact"));
            }
        };
        psql(&self.recovered(), sql).unwrap();
        Ok(words.map(str::to_owned).to_vec())
    }

    fn add_incomparable(&self) -> Result<(), Never> {
        Err(Never("every table is read and compared; one that cannot be read fails the drill"))
    }

    fn add_foreign(&self) {
        let folder = self.home.home().join("scratch/drill-of-mine");
        std::fs::create_dir_all(&folder).unwrap();
    }

    fn starve(&self, _writes: Option<u64>) -> Result<(), Never> {
        Err(Never(
            "whatever is in a scratch folder goes with it, and its server is stopped however far it came",
        ))
    }

    fn left(&self) -> Vec<String> {
        // What is in a running server's folder changes by itself.
        let entries = std::fs::read_dir(self.home.home().join("scratch")).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn production(&self) -> Vec<String> {
        let rows = "select 'customer', id, name from customers union all select 'order', id, amount::text from orders \
                    order by 1, 2";
        let folder = std::fs::read_dir(self.production.data_dir()).unwrap();
        let mut all: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        all.sort();
        all.push(self.production.sql(rows));
        all
    }

    fn misaim(&self, way: usize) -> bool {
        let data = self.production.data_dir();
        let ways = [data.to_owned(), data.join("base/scratch")];
        let Some(scratch) = ways.get(way) else { return false };
        self.home.configure("[restore]", &format!("[restore]\nscratch = '{}'", scratch.display()));
        true
    }
}
