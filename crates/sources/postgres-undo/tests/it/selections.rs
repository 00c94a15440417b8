//! Chosen rows go back to what they were at a moment.

use connect::{
    Silent,
    plan::{PlanFolder, Subject},
};
use postgres_undo::{PlanningError, RowSelection, Servers, TableName, plan_rows};
use postgres_wal::Lsn;

use crate::story::{Planned, Scratch, Story, connect, heading};

fn plan(
    story: &mut Story,
    scratch: &Scratch,
    table: &str,
    predicate: Option<&str>,
    revert_changed: bool,
) -> Result<Planned, PlanningError> {
    let folder: PlanFolder = story.new_folder();
    let servers = Servers {
        scratch: &mut scratch.connect(),
        production: &mut connect(&story.production.url()),
        definitions: None,
        folder: &folder,
        progress: &Silent,
    };
    let selection = RowSelection {
        table: TableName { schema: "public".to_owned(), name: table.to_owned() },
        predicate: predicate.map(str::to_owned),
        revert_changed,
    };
    let subject = Subject { title: "rows of the morning".to_owned(), position: None, at: None };
    let plan = plan_rows(servers, &heading(), subject, &[selection])?;
    folder.write(&plan).unwrap();
    Ok(Planned { plan, folder })
}

#[test]
fn missing_rows_come_back_changed_ones_when_asked_and_new_ones_stay() {
    let setup =
        "CREATE TABLE bookings (id integer PRIMARY KEY, car text, price numeric) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF bookings FOR VALUES FROM (0) TO (500);
        CREATE TABLE high PARTITION OF bookings FOR VALUES FROM (500) TO (10000);
        INSERT INTO bookings SELECT g, 'car ' || g, g FROM generate_series(1, 1000) g;";
    let mut story = Story::begin(15, setup);
    let moment = Lsn(story.production.current_lsn());
    story.sql("DELETE FROM bookings WHERE id % 10 = 0");
    story.sql("UPDATE bookings SET price = 0 WHERE id BETWEEN 101 AND 109");
    story.sql("INSERT INTO bookings VALUES (2000, 'new', 1)");
    let scratch = story.scratch_before(moment);

    let planned = plan(&mut story, &scratch, "bookings", Some("t.id <= 600 -- up to here"), false).unwrap();
    assert_eq!((planned.plan.counts.inserted, planned.plan.counts.conflicts), (60, 9), "{:#?}", planned.plan);
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT count(*) FROM bookings"), "961");

    let planned = plan(&mut story, &scratch, "bookings", None, true).unwrap();
    let counts = planned.plan.counts;
    assert_eq!((counts.inserted, counts.reverted, counts.conflicts), (40, 9, 0), "{counts:?}");
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT count(*), sum(price) FROM bookings"), "1001|500501");

    let error = plan(&mut story, &scratch, "nothing", None, false).map(drop).unwrap_err();
    assert!(matches!(&error, PlanningError::NoTable { name } if name == "public.nothing"), "{error:?}");
    let error = plan(&mut story, &scratch, "bookings", Some("nonsense > 1"), false).map(drop).unwrap_err();
    assert!(matches!(error, PlanningError::Server { .. }), "{error:?}");
}
