//! What leaves a trace: announcements and requests. Both wait for people.

use std::path::{Path, PathBuf};

use access::ServiceName;
use approvals::{CaseId, Principal, State, Subject};
use mcp::{Answer, CaptureWish, Desk, DeskError, DeskErrorKind, IntentWish, ItemId, RestoreWish, Target};
use ports::files;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{
    cases::{CaseError, Cases},
    watching::{Intent, WatchStore},
    workshop::{RestoreWish as Wish, Workshop},
};

use super::{HomeDesk, failed, not_open, work_failed};
use crate::commands::cases;

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Which case an earlier wish came to.
#[derive(Serialize, Deserialize)]
struct Asked {
    case: CaseId,
}

fn wish_of(target: &Target) -> Result<Wish, DeskError> {
    Ok(match target.clone() {
        Target::Incident { incident } => Wish::Incident { incident },
        Target::Actor { actor, source, from } => Wish::Actor { actor, source, from },
        Target::Transactions { source, transactions } => Wish::Transactions { source, transactions },
        Target::Rows { source, moment, tables, changed } => {
            Wish::Rows { source, moment, tables, predicate: None, changed }
        }
        Target::Items { source, moment, items } => {
            let (stream, keys) = of_one_stream(&items)?;
            Wish::Items { source, stream, moment, keys }
        }
    })
}

fn of_one_stream(items: &[ItemId]) -> Result<(String, Vec<String>), DeskError> {
    let wrong = || DeskError::new(DeskErrorKind::Usage, "the items are not all of one stream");
    let parts = items.iter().map(ItemId::parts).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let stream = parts.first().map(|(stream, _)| stream.clone()).ok_or_else(wrong)?;
    if parts.iter().any(|(other, _)| *other != stream) {
        return Err(wrong());
    }
    Ok((stream, parts.into_iter().map(|(_, key)| key).collect()))
}

fn case_failed(error: CaseError) -> DeskError {
    match error {
        CaseError::NoCase { .. } => DeskError::new(DeskErrorKind::Nothing, error.to_string()),
        other => failed(other),
    }
}

impl HomeDesk {
    pub(super) fn announce(&self, by: &ServiceName, wish: &IntentWish) -> Result<Answer, DeskError> {
        self.known(&wish.source)?;
        let id = format!("intent-{}", self.context.random_text::<4>());
        let now = self.context.clock().now();
        self.record(by, "declare_intent", json!({ "intent": id, "wish": wish }))?;
        // The announcement holds without the capture; that there is none is said.
        let before = CaptureWish { source: wish.source.clone(), reason: wish.reason.clone() };
        let captured = self.capture(by, &before);
        let intent = Intent {
            id: id.clone(),
            source: wish.source.clone(),
            until: now.plus_micros(i64::from(wish.minutes) * MICROS_PER_MINUTE),
            actor: wish.actor.clone(),
            verbs: wish.verbs.clone(),
            scope: wish.scope.clone(),
            items_max: wish.items_max,
            reason: wish.reason.clone(),
            declared_by: by.to_string(),
            declared_at: now,
            commit: captured.as_ref().ok().copied(),
            confirmed_by: None,
        };
        WatchStore::of(&self.context.home).write_intent(&intent).map_err(failed)?;
        let facts = json!({
            "intent": id,
            "state": "declared",
            "until": intent.until,
            "commit": intent.commit,
            "confirm": format!("a person confirms it with: unwipe expect confirm {id}"),
            "covers": "nothing before a person confirms it",
        });
        let answer = Answer::of(facts);
        Ok(match captured {
            Ok(_) => answer,
            Err(error) => answer.with(json!({ "capture_failed": error.detail })),
        })
    }

    pub(super) fn plan_and_ask(&self, by: &ServiceName, wish: &RestoreWish) -> Result<Answer, DeskError> {
        let _alone = self.planning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let cases = cases::open(&*self.installation()?).map_err(not_open)?;
        let memory = self.memory_of(by, &wish.target);
        if let Some(answer) = Self::asked_before(&cases, &memory)? {
            return Ok(answer);
        }
        let plan = self.workshop.plan(&wish_of(&wish.target)?, &Self::silent()).map_err(work_failed)?;
        self.record(by, "request_restore", json!({ "wish": wish, "plan": plan.plan }))?;
        let step = cases
            .request_restore(&plan.folder, Principal::Service(by.to_string()), &wish.reason)
            .map_err(case_failed)?;
        let asked = Asked { case: step.case.id.clone() };
        let text = serde_json::to_vec(&asked).map_err(failed)?;
        if let Some(folder) = memory.parent() {
            files::create_folder(folder).map_err(failed)?;
        }
        files::replace(&memory, &text).map_err(failed)?;
        let facts = json!({
            "case": step.case.id,
            "state": step.case.state.word(),
            "plan": plan.plan,
            "counts": plan.counts,
            "repeated": false,
            "decide": decide(&step.case.id),
        });
        Ok(Answer::of(facts).with(json!({ "title": plan.title, "command": plan.command })))
    }

    /// Returns where it is remembered which case a wish came to.
    fn memory_of(&self, by: &ServiceName, target: &Target) -> PathBuf {
        let text = connect::plan::canonical_json(&json!([by, target]));
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let name: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.context.home.join("state/agents/requests").join(format!("{name}.json"))
    }

    fn asked_before(cases: &Cases, memory: &Path) -> Result<Option<Answer>, DeskError> {
        if !memory.exists() {
            return Ok(None);
        }
        let bytes = files::read(memory).map_err(failed)?;
        // A memory that was damaged is none: another case does no harm.
        let Ok(asked) = serde_json::from_slice::<Asked>(&bytes) else { return Ok(None) };
        let Ok(case) = cases.get(&asked.case) else { return Ok(None) };
        let Subject::Restore { plan, .. } = &case.subject else { return Ok(None) };
        if case.state.is_over() {
            return Ok(None);
        }
        let facts = json!({
            "case": case.id,
            "state": case.state.word(),
            "plan": plan,
            "repeated": true,
            "decide": decide(&case.id),
        });
        Ok(Some(Answer::of(facts)))
    }

    pub(super) fn stand_of(&self, case: &str) -> Result<Answer, DeskError> {
        let installation = self.installation()?;
        let cases = cases::open(&installation).map_err(not_open)?;
        let id = CaseId::new(case).map_err(CaseError::from).map_err(case_failed)?;
        let case = cases.get(&id).map_err(case_failed)?;
        let verified = match &case.state {
            State::Applied { verified, .. } => Some(*verified),
            _ => None,
        };
        let facts = json!({
            "case": case.id,
            "state": case.state.word(),
            "is_over": case.state.is_over(),
            "verified": verified,
            "approvals": case.approvers().len(),
            "needed": installation.config().approvals.needed(),
            "requested_at": case.requested_at,
            "expires_at": case.expires_at,
        });
        let said: Vec<_> = case
            .decisions
            .iter()
            .map(|said| json!({ "person": said.person, "reason": said.reason, "at": said.at }))
            .collect();
        let untrusted =
            json!({ "subject": case.subject.to_string(), "reason": case.reason, "decisions": said });
        Ok(Answer::of(facts).with(untrusted))
    }
}

fn decide(case: &CaseId) -> String {
    format!("people read it and decide, on the pages or with: unwipe cases show {case}")
}
