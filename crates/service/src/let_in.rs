//! Letting somebody in again whom an incident stopped: a weakening, which other people approve first.

use std::{path::PathBuf, sync::Arc};

use approvals::{Case, CaseId, Principal, State, Subject, Weakening, same_person};

use crate::{
    Config, Installation,
    approval::{Passkeys, People},
    cases::{CaseError, CaseStore, Cases, Step},
    secret::Environment,
    watching::{Answer, Request},
    weakened,
};

/// What came of asking.
#[derive(Debug)]
pub enum LetIn {
    /// Other people have to approve it first, or its delay is not over: the case, and the step with which it was opened.
    Waits(Box<Case>, Option<Box<Step>>),
    /// It was tried; the step with which its case ended, and what did not reach those who are told.
    Tried(Answer, Option<Box<Step>>, Vec<String>),
}

/// Lets in again whom an incident is about, as soon as that is allowed: asks people where nobody was asked, and carries out
/// what they approved. Where nobody but the one who asks may approve anything, it is done at once, written down and told.
/// `doing` hands the request to the watch.
pub fn let_in<E: From<CaseError>>(
    (installation, environment): (&Installation, Environment<'_>),
    cases: &Cases,
    (incident, by): (u64, &Principal),
    reason: &str,
    doing: impl FnOnce(&Request) -> Result<Answer, E>,
) -> Result<LetIn, E> {
    let request = |case| Request::TakeBack { incident, by: by.name().to_owned(), case };
    let open = newest(&CaseStore::of(installation.home()), incident)?.filter(|case| !case.state.is_over());
    let open = open.map(|case| cases.get(&case.id)).transpose()?.filter(|case| !case.state.is_over());
    let Some(case) = open else {
        let gate = Gate::of(installation);
        if gate.is_alone(by.name())? {
            let answer = doing(&request(None))?;
            let mut unreached = Vec::new();
            if matches!(answer, Answer::Done(_)) {
                let what =
                    format!("whom incident {incident} is about was let in again; nobody else may approve");
                unreached = weakened::note(installation, environment, what, by.name());
            }
            return Ok(LetIn::Tried(answer, None, unreached));
        }
        let subject = Subject::Weakening(Weakening::LetIn { incident });
        let step = cases.request(subject, by.clone(), reason)?;
        return Ok(LetIn::Waits(Box::new(step.case.clone()), Some(Box::new(step))));
    };
    if matches!(case.state, State::Waiting) {
        return Ok(LetIn::Waits(Box::new(case), None));
    }
    let application = cases.begin(&case.id)?;
    let answer = doing(&request(Some(case.id)))?;
    // What cannot be done now can be gone on with; `unwipe cases abandon` gives it up.
    let ended = matches!(answer, Answer::Done(_)).then(|| application.finish(true)).transpose()?;
    Ok(LetIn::Tried(answer, ended.map(Box::new), Vec::new()))
}

/// Returns the newest case in which somebody is to be let in again.
pub fn newest(store: &CaseStore, incident: u64) -> Result<Option<Case>, CaseError> {
    let is_about = |case: &Case| case.subject == Subject::Weakening(Weakening::LetIn { incident });
    Ok(store.all()?.into_iter().rfind(is_about))
}

/// Decides whether somebody may be let in again now, where the watch is asked to do it.
pub(crate) struct Gate {
    home: PathBuf,
    passkeys: Arc<dyn Passkeys>,
}

impl Gate {
    pub(crate) fn of(installation: &Installation) -> Self {
        Self { home: installation.home().to_owned(), passkeys: crate::passkeys::of(installation) }
    }

    /// Returns whether nobody but this one may approve anything.
    fn is_alone(&self, by: &str) -> Result<bool, CaseError> {
        let config = Config::read(&self.home)?;
        let people = People { keys: &config.approvers, passkeys: &*self.passkeys };
        Ok(people.approvers().iter().all(|person| same_person(person, by)))
    }

    /// Returns why nobody is let in again, if that is so.
    pub(crate) fn refusal(&self, incident: u64, by: &str, case: Option<&CaseId>) -> Option<String> {
        let asks = || format!("others have to approve it: unwipe contain {incident} --take-back");
        let allowed = match case {
            None => self.is_alone(by),
            Some(id) => CaseStore::of(&self.home).get(id).map(|case| {
                let is_about = case.subject == Subject::Weakening(Weakening::LetIn { incident });
                is_about && matches!(case.state, State::Applying { .. })
            }),
        };
        match allowed {
            Ok(true) => None,
            Ok(false) => Some(asks()),
            Err(error) => Some(format!("{}: {error}", asks())),
        }
    }
}
