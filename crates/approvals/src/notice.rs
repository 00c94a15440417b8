use serde::{Deserialize, Serialize};

use crate::{Case, CaseId, Decision, State};

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Every person of the installation, and its channels.
    Everybody,
    /// Those who may decide.
    Approvers,
    /// Whoever asked.
    Requester,
}

/// Something that people are told about a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The case.
    pub case: CaseId,
    /// Who is told.
    pub to: Audience,
    /// Whether it should wake somebody: protection becomes less.
    pub urgent: bool,
    /// What they are told. Names and titles in it may be foreign text.
    pub sentence: String,
}

/// Returns what people are told of a step; `before` is `None` for a new case.
///
/// Whatever makes protection less is told everybody, at each step.
pub fn notices(before: Option<&Case>, after: &Case) -> Vec<Notice> {
    let weakening = after.subject.is_weakening();
    let notice = |to: Audience, urgent: bool, sentence: String| {
        let to = if weakening { Audience::Everybody } else { to };
        Notice { case: after.id.clone(), to, urgent: urgent && weakening, sentence }
    };
    let subject = &after.subject;
    let Some(before) = before else {
        let who = &after.requested_by;
        return vec![notice(Audience::Approvers, false, format!("{who} asks for approval to {subject}"))];
    };
    if before.version == after.version {
        return Vec::new();
    }
    if before.state == after.state {
        let approved = after.decisions.last().filter(|decided| decided.decision == Decision::Approve);
        return approved
            .map(|decided| {
                notice(Audience::Approvers, false, format!("{} approved: {subject}", decided.person))
            })
            .into_iter()
            .collect();
    }
    let again = matches!((&before.state, &after.state), (State::Approved { .. }, State::Approved { .. }));
    let (to, urgent, sentence) = match &after.state {
        State::Approved { not_before, .. } if weakening && again => (
            Audience::Everybody,
            true,
            format!(
                "the delay starts again, because nobody remembers for how long it has been going on: protection becomes \
                 less at {not_before}: {subject}. Until then any approver can refuse it"
            ),
        ),
        State::Approved { at, not_before, .. } if weakening && not_before == at => (
            Audience::Everybody,
            true,
            format!("may be done now: {subject}. Approved by {}", after.approvers().join(", ")),
        ),
        State::Approved { not_before, .. } if weakening => (
            Audience::Everybody,
            true,
            format!(
                "protection becomes less at {not_before}: {subject}. Approved by {}. Until then any approver can refuse it",
                after.approvers().join(", ")
            ),
        ),
        State::Approved { .. } => {
            (Audience::Requester, false, format!("approved by {}: {subject}", after.approvers().join(", ")))
        }
        State::Applying { begun: 1, .. } => (Audience::Approvers, true, format!("is being done: {subject}")),
        State::Applying { .. } => {
            (Audience::Approvers, false, format!("goes on after an interruption: {subject}"))
        }
        State::Applied { verified: true, .. } => {
            (Audience::Everybody, true, format!("done and verified: {subject}"))
        }
        State::Applied { verified: false, .. } => {
            (Audience::Everybody, true, format!("done, but NOT verified: {subject}"))
        }
        State::Refused { by, .. } => (Audience::Requester, false, format!("refused by {by}: {subject}")),
        State::Withdrawn { by, .. } => (Audience::Approvers, false, format!("withdrawn by {by}: {subject}")),
        State::Expired { .. } => (Audience::Requester, false, format!("lapsed: {subject}")),
        State::Failed { why, .. } => (Audience::Everybody, true, format!("failed: {subject}: {why}")),
        State::Waiting => return Vec::new(),
    };
    vec![notice(to, urgent, sentence)]
}
