//! Each rule, where it fires and where it does not.

use super::*;

/// Tells whether a rule fired, as an alarm or as a notice.
fn finds(rule: &str, all: &[Seen]) -> bool {
    finds_among(rule, all, None)
}

fn finds_among(rule: &str, all: &[Seen], items: Option<u64>) -> bool {
    let mut watcher = watcher();
    let news: Vec<News> = all.iter().flat_map(|seen| watcher.observe(&seen.0, &Holds(items), &[])).collect();
    let found = fired(&watcher).iter().any(|one| one == rule)
        || notices(&news).iter().any(|notice| notice.rule == rule);
    for firing in watcher.incidents().flat_map(|incident| &incident.firings) {
        assert!(firing.explanation.chars().any(|c| c.is_ascii_digit()), "{}", firing.explanation);
    }
    found
}

fn every(seconds: f64, times: usize, make: impl Fn(i64) -> Seen) -> Vec<Seen> {
    (0..times).map(|n| make((n as f64 * seconds * SECOND as f64) as i64)).collect()
}

fn claw(seen: Seen) -> Seen {
    seen.by("anna@acme.test", Attribution::Recorded).actor(|actor| {
        actor.application = Some("OpenClaw".to_owned());
        actor.client = Some("1.apps".to_owned());
    })
}

fn anna(seen: Seen) -> Seen {
    seen.by("anna@acme.test", Attribution::Recorded)
}

fn machine(seen: Seen) -> Seen {
    seen.by("anna@acme.test", Attribution::Recorded).actor(|actor| actor.client = Some("2.apps".to_owned()))
}

#[test]
fn one_stroke_is_enough() {
    for verb in [Verb::Drop, Verb::DropDatabase, Verb::Truncate] {
        assert!(finds("dropped", &[rows(0, verb, 1)]), "{verb}");
    }
    assert!(!finds(
        "dropped",
        &[rows(0, Verb::Delete, 1), rows(1, Verb::Define, 1), rows(2, Verb::Rewrite, 1)]
    ));
    assert!(finds("weakened", &[mail(0, Verb::Weaken, 1)]));
    assert!(!finds("weakened", &[mail(0, Verb::Define, 1)]));
}

#[test]
fn many_deleted_for_good_in_one_call() {
    assert!(finds("purged", &[mail(0, Verb::Delete, 1000)]));
    assert!(!finds("purged", &[mail(0, Verb::Delete, 49)]));
    assert!(!finds("purged", &[mail(0, Verb::Trash, 1000)]));
    assert!(!finds("purged", &[rows(0, Verb::Delete, 50)]));
}

#[test]
fn what_the_source_finds_destructive() {
    let destructive = |seen: Seen| seen.severity(Severity::Destructive);
    assert!(finds("account-deleted", &[destructive(anna(mail(0, Verb::Delete, 1).scope("admin")))]));
    assert!(!finds("account-deleted", &[anna(mail(0, Verb::Delete, 1).scope("admin"))]));
    assert!(finds("destructive-rows", &[destructive(rows(0, Verb::Update, 10))]));
    assert!(!finds("destructive-rows", &[rows(0, Verb::Update, 10)]));
    assert!(finds("destructive-items", &[destructive(mail(0, Verb::Trash, 10))]));
    assert!(!finds("destructive-items", &[destructive(anna(mail(0, Verb::Trash, 10)))]));
    assert!(finds("destructive-person", &[destructive(anna(mail(0, Verb::Trash, 10)))]));
    assert!(!finds("destructive-person", &[anna(mail(0, Verb::Trash, 10))]));
    let batch = destructive(rows(0, Verb::Delete, 10)).by("batch", Attribution::Sampled);
    assert!(
        finds("destructive-machine", std::slice::from_ref(&batch)) && !finds("destructive-rows", &[batch])
    );
    assert!(!finds("destructive-machine", &[destructive(rows(0, Verb::Delete, 10))]));
}

#[test]
fn a_program_known_from_attacks_is_let_in() {
    let grant = |client: &str| anna(mail(0, Verb::Grant, 1)).target(&format!("client/{client} \"X\": drive"));
    let known = "110671459871-30f1spbu0hptbs60cb4vsmv79i7bbvqj.apps.googleusercontent.com";
    assert!(finds("abused-program", &[grant(known)]));
    assert!(!finds("abused-program", &[grant("1.apps.googleusercontent.com")]));
}

#[test]
fn items_go_fast() {
    let make = |as_whom: fn(Seen) -> Seen| move |at| as_whom(mail(at, Verb::Trash, 1));
    assert!(finds("fast-program-items", &every(1.0, 10, make(claw))));
    assert!(finds("fast-program-items", &every(1.0, 10, make(machine))));
    assert!(!finds("fast-program-items", &every(1.0, 9, make(claw))));
    assert!(!finds("fast-program-items", &every(1.3, 40, make(claw))));
    assert!(!finds("fast-program-items", &every(1.0, 40, make(anna))));
    assert!(finds("fast-person-items", &every(1.0, 50, make(anna))));
    assert!(!finds("fast-person-items", &every(1.0, 49, make(anna))));
    assert!(!finds("fast-person-items", &every(1.3, 200, make(anna))));
    assert!(finds("fast-unknown-items", &every(2.0, 20, |at| mail(at, Verb::Trash, 1))));
    assert!(!finds("fast-unknown-items", &every(2.0, 19, |at| mail(at, Verb::Trash, 1))));
    assert!(!finds("fast-unknown-items", &every(4.0, 60, |at| mail(at, Verb::Trash, 1))));
}

#[test]
fn rows_go_fast() {
    let agent = |at| rows(at, Verb::Delete, 1).by("agent", Attribution::Sampled);
    assert!(finds("fast-agent-rows", &every(0.05, 100, agent)));
    assert!(!finds("fast-agent-rows", &every(0.05, 99, agent)));
    assert!(!finds("fast-agent-rows", &every(0.15, 400, agent)));
    let nobody = |at| rows(at, Verb::Delete, 1);
    assert!(finds("fast-unknown-rows", &every(0.01, 200, nobody)));
    assert!(!finds("fast-unknown-rows", &every(0.01, 199, nobody)));
    let dba = |at| rows(at, Verb::Delete, 10).by("dba", Attribution::Sampled);
    assert!(
        finds("fast-person-rows", &every(0.1, 100, dba)) && !finds("fast-person-rows", &every(1.0, 99, dba))
    );
    let batch = |at| rows(at, Verb::Delete, 1000).by("batch", Attribution::Sampled);
    assert!(
        finds("fast-machine-rows", &every(1.0, 10, batch))
            && !finds("fast-machine-rows", &every(1.0, 9, batch))
    );
    let updates = |at| rows(at, Verb::Update, 100).by("agent", Attribution::Sampled);
    assert!(
        finds("agent-updates", &every(0.5, 10, updates)) && !finds("agent-updates", &every(0.5, 9, updates))
    );
    assert!(!finds("agent-updates", &every(0.5, 50, |at| rows(at, Verb::Update, 100))));
}

#[test]
fn an_open_transaction_is_big() {
    let open = |count| rows(0, Verb::Delete, count).stage(Stage::Underway);
    assert!(finds("big-transaction", &[open(1000)]));
    assert!(!finds("big-transaction", &[open(999)]));
    assert!(!finds("big-transaction", &[rows(0, Verb::Update, 1000)]));
    assert!(!finds("big-transaction", &[open(5000).by("batch", Attribution::Sampled)]));
}

#[test]
fn ciphertext_spreads_by_actor_or_by_place() {
    let by = |n: i64, who: &str, place: &str| {
        mail(n * 30 * SECOND, Verb::Encrypt, 1).by(who, Attribution::Recorded).scope(place)
    };
    let one_actor: Vec<Seen> = (0..5).map(|n| by(n, "anna", &format!("drive{n}"))).collect();
    let one_place: Vec<Seen> = (0..5).map(|n| by(n, &format!("user{n}"), "drive")).collect();
    let neither: Vec<Seen> = (0..5).map(|n| by(n, &format!("user{n}"), &format!("drive{n}"))).collect();
    assert!(finds("encrypted", &one_actor) && finds("encrypted", &one_place));
    assert!(!finds("encrypted", &neither) && !finds("encrypted", &one_actor[..4]));
}

#[test]
fn a_share_of_everything_goes_within_a_day() {
    let slow = |as_whom: fn(Seen) -> Seen| every(600.0, 100, move |at| as_whom(mail(at, Verb::Trash, 1)));
    assert!(finds_among("share-program-items", &slow(claw), Some(5000)));
    assert!(!finds_among("share-program-items", &slow(claw), Some(50_000)));
    assert!(!finds_among("share-program-items", &slow(claw), None));
    assert!(!finds_among("share-items", &slow(anna), Some(1500)), "fewer than 200 are none");
    let more = every(300.0, 250, |at| anna(mail(at, Verb::Trash, 1)));
    assert!(finds_among("share-items", &more, Some(4000)));
    assert!(!finds_among("share-items", &more, Some(10_000)));
    let agent = every(60.0, 60, |at| rows(at, Verb::Delete, 50).by("agent", Attribution::Sampled));
    assert!(finds_among("share-program-rows", &agent, Some(100_000)));
    assert!(!finds_among("share-program-rows", &agent, Some(1_000_000)));
    let nobody = every(60.0, 60, |at| rows(at, Verb::Delete, 100));
    assert!(finds_among("share-rows", &nobody, Some(100_000)));
    assert!(!finds_among("share-rows", &nobody, Some(1_000_000)));
}

#[test]
fn thirty_an_hour_are_found_within_a_day() {
    let slow = every(120.0, 10 * 24 * 30, |at| mail(at, Verb::Trash, 1));
    let mut watcher = watcher();
    let found = slow.iter().find(|seen| opened(&observe(&mut watcher, seen)) > 0).unwrap();
    assert!(found.0.event.at.as_micros() - START < DAY);
    assert_eq!(fired(&watcher), ["slow-items"]);
}

#[test]
fn rows_that_go_slowly_are_noticed() {
    assert!(finds("slow-rows", &every(60.0, 600, |at| rows(at, Verb::Delete, 100))));
    assert!(!finds("slow-rows", &every(60.0, 600, |at| rows(at, Verb::Delete, 10))));
}

#[test]
fn much_is_read_and_then_destroyed() {
    let read = |count| claw(mail(0, Verb::Read, count).named("read"));
    let trash = |at, count| claw(mail(at, Verb::Trash, count));
    assert!(finds("read-then-destroy", &[read(100), trash(HOUR, 5)]));
    assert!(!finds("read-then-destroy", &[trash(0, 5), claw(mail(HOUR, Verb::Read, 100))]));
    assert!(!finds("read-then-destroy", &[read(99), trash(HOUR, 5)]));
    assert!(!finds("read-then-destroy", &[read(100), trash(25 * HOUR, 5)]));
    assert!(!finds("read-then-destroy", &[anna(mail(0, Verb::Read, 100)), anna(mail(HOUR, Verb::Trash, 5))]));
}

#[test]
fn a_program_is_let_in_and_used_at_once() {
    let grant = |client: &str| {
        anna(mail(0, Verb::Grant, 1).scope("token/anna@acme.test"))
            .target(&format!("client/{client} \"X\": mail"))
    };
    let trash = |at| machine(mail(at, Verb::Trash, 5));
    assert!(finds("let-in-then-destroyed", &[grant("2.apps"), trash(HOUR)]));
    assert!(!finds("let-in-then-destroyed", &[grant("3.apps"), trash(HOUR)]));
    assert!(!finds("let-in-then-destroyed", &[grant("2.apps"), trash(25 * HOUR)]));
    let read = |at| machine(mail(at, Verb::Read, 200));
    assert!(finds("let-in-then-read", &[grant("2.apps"), read(HOUR / 4)]));
    assert!(!finds("let-in-then-read", &[grant("2.apps"), read(HOUR)]));
}

#[test]
fn a_program_scouts_for_the_first_time() {
    let call = |at, statement: &str| machine(mail(at, Verb::Read, 1)).statement(statement);
    let scouting = |begin: i64| {
        let count = |n: i64| call(begin + n * SECOND, "SELECT COUNT(Id) FROM Case");
        vec![call(begin, "GET /sobjects"), call(begin + 1, "describe Case"), count(1), count(2), count(3)]
    };
    assert!(finds("scouting", &scouting(0)));
    let mut disordered = scouting(0);
    disordered.swap(0, 4);
    disordered[0].0.event.at = Moment::from_micros(START - SECOND);
    assert!(!finds("scouting", &disordered));
    let mut watcher = watcher();
    let times: Vec<usize> = [0, 2 * DAY, 40 * DAY]
        .into_iter()
        .map(|begin| notices(&observe_all(&mut watcher, &scouting(begin))).len())
        .collect();
    assert_eq!(times, [1, 0, 1]);
}

#[test]
fn whoever_never_did_this_makes_it_critical() {
    let severity = |habit: &[Seen]| {
        let mut watcher = watcher();
        observe_all(&mut watcher, habit);
        let at = 20 * DAY;
        observe(&mut watcher, &rows(at, Verb::Truncate, 1).by("dba", Attribution::Sampled));
        let severity = watcher.incidents().last().map(|incident| incident.severity).unwrap();
        (severity, fired(&watcher).iter().any(|rule| rule == "new-pair"))
    };
    let other = [rows(0, Verb::Insert, 1).by("dba", Attribution::Sampled)];
    assert_eq!(severity(&other), (crate::IncidentSeverity::Critical, true));
    let same = [rows(0, Verb::Truncate, 1).by("dba", Attribution::Sampled)];
    assert_eq!(severity(&same), (crate::IncidentSeverity::High, false));
    // Who is new cannot be told before a week was watched.
    assert_eq!(severity(&[]), (crate::IncidentSeverity::High, false));
}
