//! What the verbs do with a Workspace domain.

use connect::Finding;
use service::Secrets;

use crate::{
    arguments::ProtectGoogle,
    connectors::google::GoogleConfig,
    context::{Context, environment},
    failure::Failure,
};

/// Checks a domain that is to be protected, scope by scope, and returns its settings with what was found.
pub(crate) fn protect(
    context: &Context,
    home: &std::path::Path,
    options: ProtectGoogle,
) -> Result<(GoogleConfig, Vec<Finding>), Failure> {
    let config = GoogleConfig {
        key: reference(&options.key)?,
        admin: options.admin,
        parts: options.parts,
        users: options.users,
        every_s: options.every_s,
        threads: options.threads.max(1),
        address: options.address,
        certificates: options.certificates,
        quota: std::collections::BTreeMap::new(),
        units: std::collections::BTreeMap::new(),
    };
    let secrets = Secrets::new(home, &environment);
    let findings = config.reader(context, &secrets, true)?.check();
    Ok((config, findings))
}

/// Takes a path for a reference to the file; a reference stays what it is.
fn reference(text: &str) -> Result<String, Failure> {
    if ["file:", "env:", "exec:"].iter().any(|kind| text.starts_with(kind)) {
        return Ok(text.to_owned());
    }
    Ok(format!("file:{}", std::path::absolute(text)?.display()))
}
