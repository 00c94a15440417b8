use std::sync::Arc;

use super::Step;
use crate::{
    Installation, ServiceError,
    operations::{self, Kind},
};

/// Where steps are recorded for good.
pub trait CaseLog: Send + Sync {
    /// Records a step; the key names case and version, so that a step that is recorded twice is one.
    fn record(&self, key: &str, step: &Step) -> Result<(), ServiceError>;
}

/// Looks a name up in the environment, on any thread.
pub type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The operation log in an installation's vault.
pub struct VaultLog {
    installation: Installation,
    environment: Arc<LookUp>,
}

impl VaultLog {
    /// Makes the log of an installation; the vault is opened for each step, because that is seldom.
    pub fn of(installation: &Installation, environment: Arc<LookUp>) -> Result<Self, ServiceError> {
        Ok(Self { installation: installation.again()?, environment })
    }
}

impl CaseLog for VaultLog {
    fn record(&self, key: &str, step: &Step) -> Result<(), ServiceError> {
        let environment = &self.environment;
        let (writer, _) = self.installation.writer(&|name: &str| environment(name))?;
        operations::record(&writer, Kind::Case, key, step).map(drop)
    }
}
