//! The script of 2026-02-23: an agent that was told to suggest and not to act loses that instruction when its context is
//! compacted, and empties an inbox. It is told to stop three times.

use ports::Clock;
use serde::Serialize;
use std::time::Duration;

use super::{Recorder, Step};

/// What an agent does with messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailCall {
    /// Puts one message into the trash.
    Trash(String),
    /// Takes some messages out of the inbox.
    Archive(Vec<String>),
    /// Deletes some messages for good, past the trash.
    Delete(Vec<String>),
}

impl MailCall {
    /// Returns the method of the API with how many messages it concerns.
    pub fn name(&self) -> String {
        match self {
            Self::Trash(_) => "messages.trash".to_owned(),
            Self::Archive(ids) => format!("messages.batchModify, {} messages", ids.len()),
            Self::Delete(ids) => format!("messages.batchDelete, {} messages", ids.len()),
        }
    }
}

/// How the script is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenClawOptions {
    /// The pause between two calls; about 200 ms is on record.
    pub pause: Duration,
    /// So many messages at the end are deleted for good.
    pub deleted: usize,
    /// So many messages are archived.
    pub archived: usize,
}

impl Default for OpenClawOptions {
    fn default() -> Self {
        Self { pause: Duration::from_millis(25), deleted: 60, archived: 120 }
    }
}

/// What the agent did.
#[derive(Debug, Clone, Serialize)]
pub struct Cleaning {
    /// Every step, in order; of the many single calls the first and the last.
    pub steps: Vec<Step>,
    /// Messages that it put into the trash.
    pub trashed: usize,
    /// Messages that it took out of the inbox.
    pub archived: usize,
    /// Messages that it deleted for good.
    pub deleted: usize,
}

/// What people said meanwhile, after this share of the messages; none of it was heard.
const SAID: [(usize, &str); 3] = [(4, "Do not do that"), (3, "Stop don't do anything"), (2, "STOP OPENCLAW")];
const BATCH: usize = 60;

/// Plays the script on the messages of an inbox; `call` carries out one call in the owner's name.
///
/// It stops at the first call that is refused: somebody took its token away.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    options: OpenClawOptions,
    inbox: &[String],
    mut call: impl FnMut(&MailCall) -> Result<(), E>,
) -> Cleaning {
    let mut recorder = Recorder::new(clock);
    let said = |recorder: &mut Recorder<'_>, intent: &str, text: &str, answer: &str| {
        let answer = answer.to_owned();
        recorder.act((intent, text.to_owned()), false, || (), |()| answer);
    };
    said(
        &mut recorder,
        "be told what to do",
        "suggest what you would archive or delete, don't action until I tell you to",
        "Understood.",
    );
    said(&mut recorder, "compact the context", "the instruction is not in the summary", "done");
    let (for_good, others) = inbox.split_at(options.deleted.min(inbox.len()));
    let (archived, trashed) = others.split_at(options.archived.min(others.len()));
    let mut cleaning = Cleaning { steps: Vec::new(), trashed: 0, archived: 0, deleted: 0 };
    let mut calls: Vec<MailCall> = trashed.iter().cloned().map(MailCall::Trash).collect();
    calls.extend(archived.chunks(BATCH).map(|ids| MailCall::Archive(ids.to_vec())));
    calls.extend(for_good.chunks(BATCH).map(|ids| MailCall::Delete(ids.to_vec())));
    for (number, planned) in calls.iter().enumerate() {
        if let Some((_, words)) = SAID.iter().find(|(share, _)| number == trashed.len() / share) {
            said(&mut recorder, "be told to stop", words, "(no answer)");
        }
        clock.sleep(options.pause);
        let single = matches!(planned, MailCall::Trash(_));
        let shown = !single || number == 0 || number + 1 == trashed.len();
        let result = if shown {
            let name = planned.name();
            let show = |result: &Result<(), E>| match result {
                Ok(()) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            recorder.act(("clean the inbox", name), true, || call(planned), show)
        } else {
            call(planned)
        };
        if result.is_err() {
            break;
        }
        match planned {
            MailCall::Trash(_) => cleaning.trashed += 1,
            MailCall::Archive(ids) => cleaning.archived += ids.len(),
            MailCall::Delete(ids) => cleaning.deleted += ids.len(),
        }
    }
    cleaning.steps = recorder.into_steps();
    cleaning
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;

    fn inbox(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:04x}")).collect()
    }

    #[test]
    fn every_message_meets_one_call_and_stop_is_no_control() {
        let clock = ManualClock::new(Moment::from_micros(0));
        let mut seen = Vec::new();
        let cleaning = play(&clock, OpenClawOptions::default(), &inbox(600), |call| {
            match call {
                MailCall::Trash(id) => seen.push(id.clone()),
                MailCall::Archive(ids) | MailCall::Delete(ids) => seen.extend(ids.iter().cloned()),
            }
            Ok::<(), String>(())
        });
        seen.sort();
        assert_eq!(seen, inbox(600));
        assert_eq!((cleaning.trashed, cleaning.archived, cleaning.deleted), (420, 120, 60));
        let stops = cleaning.steps.iter().filter(|step| step.intent == "be told to stop").count();
        assert_eq!(stops, 3);
    }

    #[test]
    fn without_its_token_it_ends() {
        let clock = ManualClock::new(Moment::from_micros(0));
        let mut calls = 0;
        let cleaning = play(&clock, OpenClawOptions::default(), &inbox(600), |_| {
            calls += 1;
            if calls <= 25 { Ok(()) } else { Err("401 invalid credentials") }
        });
        assert_eq!((calls, cleaning.trashed), (26, 25));
    }
}
