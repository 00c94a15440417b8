use std::sync::mpsc::{Receiver, channel};

use ports::{SystemClock, span::KeptSpans};

use super::*;

fn open(home: &Path) -> (Jobs, Receiver<Job>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let listener: JobListener = Arc::new(move |job: &Job| {
        sender.lock().unwrap().send(job.clone()).ok();
    });
    (Jobs::open(home, Arc::new(SystemClock::new()), Tracing::default(), listener).unwrap(), receiver)
}

fn draft(about: &str) -> JobDraft {
    JobDraft {
        kind: JobKind::Apply,
        title: "apply".to_owned(),
        by: "anna".to_owned(),
        about: about.to_owned(),
    }
}

fn ended(receiver: &Receiver<Job>) -> Job {
    receiver.iter().find(|job| !job.is_running()).unwrap()
}

#[test]
fn a_job_tells_how_far_it_has_come_and_what_came_of_it() {
    let home = tempfile::tempdir().unwrap();
    let (jobs, told) = open(home.path());
    let begun = jobs.start(draft("case 1"), |progress| {
        progress.counted_phase("rows", Some(7));
        progress.advance(7);
        progress.phase("reading again", None);
        Ok(7)
    });
    let done = ended(&told);
    assert_eq!(done.id, begun.unwrap().id);
    assert_eq!(done.state, JobState::Done { result: Value::from(7) });
    let rows = Phase { title: "rows".to_owned(), done: 7, total: Some(7), counted: true };
    assert_eq!(done.phases[0], rows);
    assert_eq!(jobs.newest(JobKind::Apply, "case 1").unwrap().ended_at, done.ended_at);
    let (later, _) = open(home.path());
    assert_eq!(later.get(done.id), Some(done));
}

#[test]
fn a_collector_hears_of_a_job_and_not_what_it_is_about() {
    let home = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let kept = Arc::new(KeptSpans::default());
    let tracing = Tracing::new(Arc::clone(&clock), kept.clone());
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let listener: JobListener = Arc::new(move |job: &Job| {
        sender.lock().unwrap().send(job.clone()).ok();
    });
    let jobs = Jobs::open(home.path(), clock, tracing, listener).unwrap();
    let refused = WorkError {
        kind: WorkErrorKind::Nothing,
        sentence: "there is no customers".to_owned(),
        causes: Vec::new(),
        hint: None,
    };
    let work = move |progress: &Arc<dyn Progress>| -> Result<(), WorkError> {
        progress.phase("planning public.customers", None);
        Err(refused)
    };
    jobs.start(draft("customers"), work).unwrap();
    ended(&receiver);
    let drill = JobDraft { kind: JobKind::Drill, ..draft("papers") };
    jobs.start(drill, |_| Ok(())).unwrap();
    ended(&receiver);
    let spans = kept.all();
    assert_eq!(spans[0].outcome, Outcome::Failed("there is nothing of the kind"));
    assert_eq!(spans[0].phases[0].name, "planning");
    assert!(!format!("{:?}", spans[0]).contains("customers"), "{:?}", spans[0]);
    let papers = Fact::Name(SourceName::new("papers").unwrap());
    assert!(spans[1].facts.contains(&("unwipe.source", papers)), "{:?}", spans[1]);
    assert_eq!(spans[1].outcome, Outcome::Done);
}

#[test]
fn the_same_work_is_not_done_twice_at_a_time_and_not_too_much_at_all() {
    let home = tempfile::tempdir().unwrap();
    let (jobs, told) = open(home.path());
    let (go, wait) = channel::<()>();
    let first = jobs.start(draft("case 1"), move |_| {
        wait.recv().ok();
        Ok(())
    });
    let id = first.unwrap().id;
    let again = jobs.start(draft("case 1"), |_| Ok(()));
    assert!(matches!(again, Err(JobError::Same { id: same }) if same == id));
    let held: Vec<_> = (2..=4)
        .map(|number| {
            let (release, held) = channel::<()>();
            jobs.start(draft(&format!("case {number}")), move |_| {
                held.recv().ok();
                Ok(())
            })
            .unwrap();
            release
        })
        .collect();
    assert!(matches!(jobs.start(draft("case 5"), |_| Ok(())), Err(JobError::TooMany)));
    drop((go, held));
    ended(&told);
}

#[test]
fn what_a_killed_process_was_doing_is_interrupted_and_a_fault_is_a_failure() {
    let home = tempfile::tempdir().unwrap();
    let (jobs, told) = open(home.path());
    let (_go, wait) = channel::<()>();
    let running = jobs.start(draft("case 1"), move |_| {
        wait.recv().ok();
        Ok(())
    });
    let (later, _) = open(home.path());
    assert_eq!(later.get(running.unwrap().id).unwrap().state, JobState::Interrupted);
    jobs.start(draft("case 2"), |_| -> Result<(), WorkError> { panic!("a fault") }).unwrap();
    assert!(matches!(ended(&told).state, JobState::Failed { .. }));
}
