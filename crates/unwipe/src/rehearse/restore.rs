//! What an owner does with a plan: approves it, has it applied, reads back that it holds.

use std::{collections::BTreeMap, path::Path};

use connect::plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter};
use service::{
    approval::{Approval, Quorum},
    signature::SigningKey,
};

use crate::{commands::apply, context::Context, exit::Exit, failure::Failure};

/// Approves a plan with the owner's key, which lies in the rehearsal's folder, applies it, and reads back that it holds.
pub(crate) fn approve_and_apply(
    context: &Context,
    rehearsal: &Path,
    plan: &Plan,
    folder: &PlanFolder,
    writer: &mut dyn SourceWriter,
) -> Result<AppliedReport, Failure> {
    let key = SigningKey::read_or_create(&rehearsal.join("owner.key"), &*context.ports.random)?;
    let approvers = BTreeMap::from([("owner".to_owned(), key.public())]);
    let hash = plan.hash()?;
    Approval::sign(&key, hash, context.clock().now()).write(folder.path())?;
    service::approval::approvers_of(hash, folder.path(), &Quorum::one_of(&approvers))?;
    let done = apply::apply_and_verify(writer, plan, folder, ApplyMode::Lasting, &connect::Silent)?;
    if done.verification.is_some_and(|verification| verification.is_good()) {
        Ok(done.applied)
    } else {
        Err(Failure::new(Exit::Failed, "what was applied does not verify"))
    }
}
