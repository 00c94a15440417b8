//! The account of an incident in a domain.

use serde::Serialize;

use crate::{
    context::Context,
    output::count,
    rehearse::{
        account::Page,
        incident::{Alarm, UndoneIncident},
        watch::Attributed,
    },
};

/// The result, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Account {
    pub(super) incident: &'static str,
    pub(super) simulated: [&'static str; 2],
    pub(super) things: &'static str,
    pub(super) owner: String,
    pub(super) clock_speed: u32,
    pub(super) things_before: usize,
    pub(super) calls: usize,
    pub(super) destroyed: u64,
    pub(super) ended_by: Option<String>,
    pub(super) alarm: Alarm,
    pub(super) destroyed_until_alarm: u64,
    pub(super) incidents: usize,
    pub(super) stopped_by: Option<&'static str>,
    pub(super) destroyed_until_stopped: Option<u64>,
    pub(super) refused_afterwards: Option<String>,
    pub(super) attributed: Attributed,
    pub(super) undone: UndoneIncident,
    pub(super) later_work_kept: usize,
    pub(super) things_wrong: usize,
    pub(super) first_wrong: Vec<String>,
}

impl Account {
    /// Tells whether it went as it must.
    pub(super) fn is_good(&self) -> bool {
        self.things_wrong == 0
            && self.destroyed > 0
            && self.stopped_by.is_some()
            && self.refused_afterwards.is_some()
    }
}

pub(super) fn text(context: &Context, account: &Account) -> String {
    let Account { incident, things, things_before, .. } = account;
    let title = format!("rehearsal: {incident} (a script, a simulated Google Workspace)");
    let mut page = Page::new(context.output, &title);
    page.section("What happened");
    page.fact("who", account.simulated[1]);
    let destroyed = count(account.destroyed);
    page.fact("destroyed", &format!("{destroyed} of {} {things}", count(*things_before as u64)));
    page.fact("ended by", account.ended_by.as_deref().unwrap_or("itself: it was through"));
    if account.clock_speed > 1 {
        let speed = count(account.clock_speed.into());
        page.fact("clock", &format!("of the domain and of unwipe: {speed} times as fast as this machine's"));
    }
    page.section("What the watch did");
    account.alarm.show(&mut page);
    let gone = |items: u64| format!("{} {things}", count(items));
    page.fact("gone at the alarm", &gone(account.destroyed_until_alarm));
    match (account.stopped_by, account.destroyed_until_stopped) {
        (Some(by), Some(items)) => {
            page.fact("gone when it was stopped", &format!("{}, by {by}", gone(items)));
        }
        _ => page.judged("stopped", "no", false),
    }
    match &account.refused_afterwards {
        Some(answer) => page.judged("what it tried afterwards", &format!("refused: {answer}"), true),
        None => page.judged("what it tried afterwards", "was carried out", false),
    }
    page.section("What the audit log says");
    account.attributed.show(&mut page);
    page.section("What was undone");
    account.undone.show(&mut page);
    page.section(&format!("Compared, all {things}"));
    page.fact("the owner's later work", &format!("{} {things}, kept", account.later_work_kept));
    let wrong = account.things_wrong;
    page.judged(&format!("{things} not as they must be"), &wrong.to_string(), wrong == 0);
    for line in &account.first_wrong {
        page.line(line);
    }
    page.into_text()
}
