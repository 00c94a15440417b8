//! Scripts of wipes, and of work that looks like one.

use std::time::Duration;

use model::Moment;
use ports::{Clock as _, ManualClock, SeededRandom};

use super::super::{
    antigravity, cleanup,
    cleanup::Announcement,
    hard_delete, low_and_slow,
    openclaw::MailCall,
    ransomware::{self, LockCall, RansomwareOptions, Victim},
    sql::{self, Nightly, Table},
    vercel::DriveCall,
};

const START: Moment = Moment::from_micros(1_000_000_000);

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:05}")).collect()
}

fn table() -> Table {
    Table { name: "public.payments".to_owned(), key: "payment_id".to_owned() }
}

#[test]
fn a_client_trashes_a_hundred_files_in_a_second() {
    let clock = ManualClock::new(START);
    let deeds = antigravity::play(&clock, antigravity::FILES_PER_SECOND, &ids(500), |call| {
        assert!(matches!(call, DriveCall::Trash(_)));
        Ok::<(), String>(())
    });
    assert_eq!(
        (deeds.count("files.update, trashed"), deeds.items("files.update, trashed").len()),
        (500, 500)
    );
    let (first, last) = deeds.span().unwrap();
    assert_eq!((first, last.micros_since(first)), (START, 4_990_000));
}

#[test]
fn a_refused_call_ends_a_script_and_is_told() {
    let clock = ManualClock::new(START);
    let mut calls = 0;
    let deeds = antigravity::play(&clock, 100.0, &ids(500), |_| {
        calls += 1;
        if calls <= 30 { Ok(()) } else { Err("401 invalid credentials") }
    });
    assert_eq!((calls, deeds.deeds.len()), (31, 30));
    assert_eq!(deeds.ended_by.as_deref(), Some("401 invalid credentials"));
}

#[test]
fn mail_goes_a_thousand_a_call() {
    let clock = ManualClock::new(START);
    let mut sizes = Vec::new();
    let deeds = hard_delete::play(&clock, Duration::from_millis(50), &ids(2500), |call| {
        let MailCall::Delete(ids) = call else { panic!("{call:?}") };
        sizes.push(ids.len());
        Ok::<(), String>(())
    });
    assert_eq!((sizes, deeds.count("messages.batchDelete")), (vec![1000, 1000, 500], 2500));
}

#[test]
fn ten_days_are_ten_days_by_the_scripts_clock() {
    let clock = ManualClock::new(START);
    let deeds = low_and_slow::play(&clock, low_and_slow::PAUSE, &ids(9000), |call| {
        assert!(matches!(call, DriveCall::Delete(_)));
        Ok::<(), String>(())
    });
    assert_eq!(deeds.count("files.delete"), 7200);
    let (first, last) = deeds.span().unwrap();
    assert_eq!(last.micros_since(first), (7200 - 1) * 120 * 1_000_000);
}

#[test]
fn every_file_is_read_overwritten_and_renamed_and_a_letter_is_left() {
    let clock = ManualClock::new(START);
    let plain = b"a contract between two parties\n".repeat(40);
    let victims: Vec<Victim> =
        ids(9).into_iter().map(|id| Victim { name: format!("{id}.docx"), id }).collect();
    let mut calls = Vec::new();
    let options = RansomwareOptions::default();
    let deeds = ransomware::play(&clock, &SeededRandom::new(4), &options, &victims, |call| {
        calls.push(call.clone());
        Ok::<_, String>(if matches!(call, LockCall::Read(_)) { plain.clone() } else { Vec::new() })
    });
    assert_eq!(calls.len(), 9 * 3 + 2);
    let LockCall::Overwrite(id, secret) = &calls[1] else { panic!("{:?}", calls[1]) };
    assert_eq!((id.as_str(), secret.len()), ("00000", plain.len()));
    assert!(secret.iter().filter(|byte| byte.is_ascii()).count() < secret.len() * 6 / 10, "no text is left");
    assert_eq!(calls[2], LockCall::Rename("00000".to_owned(), "00000.docx.locked".to_owned()));
    assert!(matches!(&calls[27], LockCall::Leave { name, .. } if name == ransomware::NOTE));
    assert_eq!(calls[28], LockCall::EmptyTrash);
    assert_eq!(deeds.items("files.update, its content").len(), 9);
    let (first, last) = deeds.span().unwrap();
    assert!((2_600_000..2_700_000).contains(&last.micros_since(first)), "three in a second");
    let quiet = RansomwareOptions { note: false, empty_trash: false, ..options };
    let deeds =
        ransomware::play(&clock, &SeededRandom::new(4), &quiet, &victims, |_| Ok::<_, String>(Vec::new()));
    assert_eq!(deeds.deeds.len(), 27);
}

#[test]
fn a_tidying_is_as_it_was_announced_or_it_is_not() {
    let clock = ManualClock::new(START);
    let announced = Announcement::now(&clock, "anna@acme.test", Duration::from_hours(1), cleanup::FILES);
    let deeds = cleanup::play(&clock, 10.0, &ids(cleanup::FILES), |_| Ok::<(), String>(()));
    assert!(announced.covers(&deeds));
    assert_eq!(deeds.deeds.len(), 3000);
    clock.sleep(Duration::from_hours(1));
    let late = cleanup::play(&clock, 10.0, &ids(1), |_| Ok::<(), String>(()));
    assert!(!announced.covers(&late));
    let few = Announcement { files_max: 2999, ..announced };
    assert!(!few.covers(&deeds));
}

#[test]
fn a_batch_ends_when_nothing_has_expired_any_more() {
    let clock = ManualClock::new(START);
    let mut left = 2_300_u64;
    let job = Nightly { table: table(), expired: "paid_at < now()".to_owned(), rows_per_statement: 1000 };
    let deeds = sql::nightly(&clock, &job, |sql| {
        assert!(sql.contains("LIMIT 1000"));
        let rows = left.min(1000);
        left -= rows;
        Ok::<_, String>(rows)
    });
    assert_eq!((deeds.count("DELETE FROM public.payments, expired"), deeds.deeds.len()), (2300, 4));
}
