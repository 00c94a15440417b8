//! `unwipe cases`

use std::{path::PathBuf, sync::Arc};

use approvals::{Case, CaseId, Decision, Policy, Principal, State, same_person};
use connect::plan::PlanHash;
use service::{
    Installation,
    approval::{Passkeys, People, Proof},
    cases::{Application, Cases, Step, VaultLog, look_for_damage, tell},
    signature::SigningKey,
};

use crate::{
    arguments::{Cases as Options, CasesAction},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{printable, table},
};

pub(crate) fn run(context: &Context, options: Options) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    super::weakened::look(context, &installation);
    let cases = open(&installation)?;
    match options.action.unwrap_or(CasesAction::List) {
        CasesAction::List => {
            let all = cases.list()?;
            context.output.result(&all, || list_text(&installation, &all))?;
            for line in look_for_damage(&installation, &environment)? {
                context.output.say(printable(&line));
            }
        }
        CasesAction::Show { case } => {
            let case = cases.get(&id(&case)?)?;
            context.output.result(&case, || text(&installation, &case))?;
        }
        CasesAction::Request { plan, reason } => {
            // The folder is used later, from wherever that may be.
            let plan = std::path::absolute(context.plan_folder(&plan))?;
            let step = cases.request_restore(&plan, Principal::Host(context.person()), &reason)?;
            told(context, &installation, &step)?;
            context.output.say(format!("next: unwipe approve {}", step.case.id));
        }
        CasesAction::Refuse { case, reason, key } => {
            let id = id(&case)?;
            let key = SigningKey::read(&key_path(&installation, key.as_deref()))?;
            let proof = Proof::sign(&key, &cases.statement(&id, Decision::Refuse)?);
            told(context, &installation, &cases.decide(&id, Decision::Refuse, &reason, &proof)?)?;
        }
        CasesAction::Abandon { case, reason } => {
            let why = format!("{}: {reason}", context.person());
            told(context, &installation, &cases.abandon(&id(&case)?, &why)?)?;
        }
        CasesAction::Withdraw { case } => {
            let step = cases.withdraw(&id(&case)?, Principal::Host(context.person()))?;
            told(context, &installation, &step)?;
        }
    }
    Ok(Exit::Done)
}

/// Opens the cases of an installation.
pub(crate) fn open(installation: &Installation) -> Result<Cases, Failure> {
    let log = VaultLog::of(installation, Arc::new(|name: &str| environment(name)))?;
    Ok(Cases::of(installation, passkeys(installation), Arc::new(log)))
}

/// Returns the people who have accounts.
pub(crate) fn passkeys(installation: &Installation) -> Arc<dyn Passkeys> {
    service::passkeys::of(installation)
}

/// Reads the name of a case.
pub(crate) fn id(text: &str) -> Result<CaseId, Failure> {
    Ok(CaseId::new(text).map_err(service::cases::CaseError::from)?)
}

/// Returns where a person's signing key is: what they say, or the installation's own.
pub(crate) fn key_path(installation: &Installation, reference: Option<&str>) -> PathBuf {
    match reference {
        Some(reference) => PathBuf::from(reference.strip_prefix("file:").unwrap_or(reference)),
        None => installation.home().join("keys/approval.key"),
    }
}

/// Begins to apply a plan, if people were asked for approval of it in a case.
pub(crate) fn begin(installation: &Installation, plan: PlanHash) -> Result<Option<Application>, Failure> {
    let cases = open(installation)?;
    let Some(case) = cases.of_plan(plan)? else { return Ok(None) };
    Ok(Some(cases.begin(&case.id)?))
}

/// Says what happened to a case.
pub(crate) fn told(context: &Context, installation: &Installation, step: &Step) -> Result<(), Failure> {
    context.output.result(&step.case, || text(installation, &step.case))?;
    announce(context, installation, step);
    Ok(())
}

/// Tells people of a step: whoever waits at the terminal, and the configured channels.
pub(crate) fn announce(context: &Context, installation: &Installation, step: &Step) {
    for notice in &step.notices {
        context.output.say(printable(&notice.sentence));
    }
    // The step counts whether or not somebody can be told of it now.
    match tell(installation, &environment, step) {
        Ok(failed) => {
            for why in failed {
                context.output.say(format!("not told: {}", printable(&why)));
            }
        }
        Err(error) => context.output.say(format!("nobody was told: {}", printable(&error.to_string()))),
    }
}

/// Says how many approved, and who may who has not: `1 of 2 approvals; missing: anna, ben`.
pub(crate) fn progress_text(installation: &Installation, case: &Case) -> String {
    let config = installation.config();
    let (given, needed) = (case.approvers(), config.approvals.needed());
    let passkeys = passkeys(installation);
    let people = People { keys: &config.approvers, passkeys: &*passkeys };
    let sentence = format!("{} of {needed} approvals", given.len());
    if given.len() >= needed {
        return format!("{sentence}: {}", printable(&given.join(", ")));
    }
    let missing: Vec<String> = people
        .approvers()
        .into_iter()
        .filter(|person| !given.iter().any(|known| same_person(known, person)))
        .filter(|person| !case.requested_by.may_be(person))
        .collect();
    let missing = if missing.is_empty() { "nobody else may approve".to_owned() } else { missing.join(", ") };
    format!("{sentence}; missing: {}", printable(&missing))
}

fn list_text(installation: &Installation, cases: &[Case]) -> String {
    if cases.is_empty() {
        return "nothing waits for people, and nothing ever did\n".to_owned();
    }
    let mut rows = vec![["case", "state", "asked for by", "at", "what"].map(str::to_owned).to_vec()];
    for case in cases {
        let mut state = case.state.word().to_owned();
        if matches!(case.state, State::Waiting) {
            state = format!(
                "waiting, {} of {}",
                case.approvers().len(),
                installation.config().approvals.needed()
            );
        }
        rows.push(vec![
            case.id.to_string(),
            state,
            printable(&case.requested_by.to_string()),
            case.requested_at.to_string(),
            printable(&case.subject.to_string()),
        ]);
    }
    table(&rows)
}

/// Renders a case as a person reads it before deciding.
pub(crate) fn text(installation: &Installation, case: &Case) -> String {
    let policy = &installation.config().approvals;
    let mut rows = vec![
        ("case", case.id.to_string()),
        ("what", printable(&case.subject.to_string())),
        ("asked by", format!("{}, {}", printable(&case.requested_by.to_string()), case.requested_at)),
    ];
    if !case.reason.is_empty() {
        rows.push(("why", printable(&case.reason)));
    }
    if let approvals::Subject::Restore { plan, folder, .. } = &case.subject {
        rows.push(("plan", format!("{plan} in {}", printable(folder))));
    }
    for decided in &case.decisions {
        let word = match decided.decision {
            Decision::Approve => "approved",
            Decision::Refuse => "refused",
        };
        let why = if decided.reason.is_empty() { String::new() } else { format!(": {}", decided.reason) };
        rows.push((word, printable(&format!("by {}, {}{why}", decided.person, decided.at))));
    }
    rows.push(("state", state_text(installation, policy, case)));
    rows.iter().map(|(name, value)| format!("{name:<9} {value}\n")).collect()
}

fn state_text(installation: &Installation, policy: &Policy, case: &Case) -> String {
    let until = case.lapses_at(policy).map(|at| format!("; lapses {at}")).unwrap_or_default();
    match &case.state {
        State::Waiting => format!("{}{until}", progress_text(installation, case)),
        State::Approved { at, .. } => match case.begins_at(policy).filter(|begins| begins > at) {
            Some(begins) => {
                format!("approved; begins {begins}, until when any approver can refuse it{until}")
            }
            None => format!("approved {at}{until}"),
        },
        State::Applying { since, .. } => format!("applying since {since}"),
        State::Failed { at, why } => format!("failed {at}: {}", printable(why)),
        State::Applied { at, .. }
        | State::Refused { at, .. }
        | State::Withdrawn { at, .. }
        | State::Expired { at } => format!("{} {at}", case.state.word()),
    }
}
