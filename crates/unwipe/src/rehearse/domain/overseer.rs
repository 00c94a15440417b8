//! The owner, who is asked whom to stop while a program works.

use std::{cell::RefCell, time::Duration};

use service::watching::{Request, request};
use watch::ActionStatus;

use crate::{
    connectors::containment::watched,
    context::environment,
    failure::Failure,
    rehearse::{incident::incidents, workspace::Workspace},
};

/// Looks so often whether there is a question.
const LOOKS: Duration = Duration::from_millis(500);
/// How long the process that watches may take to carry out what the owner asks for.
const ANSWER: Duration = Duration::from_secs(30);

/// Approves what was proposed, once it was considered; policy may come first.
pub(super) struct Overseer<'w> {
    workspace: &'w Workspace,
    /// How long the owner considers a question.
    considers: Duration,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    looked_at: Option<Duration>,
    asked_at: Option<Duration>,
    approved: bool,
    failed: Option<Failure>,
}

impl<'w> Overseer<'w> {
    pub(super) fn new(workspace: &'w Workspace, considers: Duration) -> Self {
        Self { workspace, considers, state: RefCell::default() }
    }

    /// Looks, unless it has just looked. What fails is told later: nothing keeps the program from going on.
    pub(super) fn glance(&self) {
        let now = self.workspace.patience().elapsed();
        let looked_at = self.state.borrow().looked_at;
        if looked_at.is_none_or(|at| now.saturating_sub(at) >= LOOKS) {
            let result = self.look();
            let mut state = self.state.borrow_mut();
            state.looked_at = Some(now);
            state.failed = result.err();
        }
    }

    /// Looks, and returns whether somebody has been stopped.
    pub(super) fn look(&self) -> Result<bool, Failure> {
        let mut state = self.state.borrow_mut();
        if let Some(failure) = state.failed.take() {
            return Err(failure);
        }
        let context = &self.workspace.context;
        let all = incidents(context)?;
        let has =
            |status| all.iter().find(|incident| incident.actions.iter().any(|note| note.status == status));
        if has(ActionStatus::Taken).is_some() {
            return Ok(true);
        }
        let Some(incident) = has(ActionStatus::Proposed) else { return Ok(false) };
        let now = self.workspace.patience().elapsed();
        let asked_at = *state.asked_at.get_or_insert(now);
        if state.approved || now.saturating_sub(asked_at) < self.considers {
            return Ok(false);
        }
        state.approved = true;
        let installation = context.installation()?;
        let ask = Request::Contain { incident: incident.id, by: "owner".to_owned() };
        let (watched, name) = (watched(context, &installation)?, context.random_text::<8>());
        // Whether it was done is in the incident. By a clock that runs fast the answer may come too late.
        request(&installation, &environment, watched, &name, &ask, ANSWER * self.workspace.speed())?;
        Ok(false)
    }
}
