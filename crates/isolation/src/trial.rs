//! What answers look like that probes bring back from databases, buckets, servers and issuers of tokens.

/// What became of something that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was refused; the other side's words.
    Refused(String),
    /// It took effect, or would have.
    Done(String),
    /// It could not be tried; why.
    Unknown(String),
}

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What, as a verb: `list the vault's objects`.
    pub what: String,
    /// What became of it.
    pub answer: Answer,
}

impl Trial {
    /// Makes a trial.
    pub fn new(what: impl Into<String>, answer: Answer) -> Self {
        Self { what: what.into(), answer }
    }
}

/// How several trials together stand: what took effect, what is not known, what was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// What took effect.
    pub done: Vec<String>,
    /// What could not be tried.
    pub unknown: Vec<String>,
    /// What was refused.
    pub refused: Vec<String>,
}

impl Summary {
    /// Sums trials up.
    pub fn of(trials: &[Trial]) -> Self {
        let mut summary = Self::default();
        for Trial { what, answer } in trials {
            match answer {
                Answer::Done(text) => summary.done.push(format!("{what}: {text}")),
                Answer::Unknown(text) => summary.unknown.push(format!("{what}: {text}")),
                Answer::Refused(text) => summary.refused.push(format!("{what}: {text}")),
            }
        }
        summary
    }
}

/// What a database login is, as its server says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleSeen {
    /// Its name.
    pub name: String,
    /// `SUPERUSER`, `CREATEROLE` and so on.
    pub attributes: Vec<String>,
    /// The roles that it is a member of, directly or not.
    pub memberships: Vec<String>,
    /// Tables that it may change, in the databases that were looked at.
    pub writable: u64,
    /// One of them.
    pub example: Option<String>,
    /// All tables in these databases.
    pub tables: u64,
    /// Functions of other owners that it may call and that run with their owners' rights.
    pub borrowed: Vec<String>,
    /// Schemas in which it may create things.
    pub schemas: Vec<String>,
    /// Databases that were looked at.
    pub databases: Vec<String>,
    /// Databases that could not be looked at, with the reason.
    pub unseen: Vec<String>,
    /// What was really tried, in transactions that were rolled back.
    pub trials: Vec<Trial>,
}

impl RoleSeen {
    /// Returns what lets the role run programs or write files as the server's user.
    pub fn commands_server(&self) -> Option<String> {
        const STRONG: [&str; 2] = ["pg_execute_server_program", "pg_write_server_files"];
        let superuser = self.attributes.iter().find(|attribute| *attribute == "SUPERUSER");
        let member = self.memberships.iter().find(|role| STRONG.contains(&role.as_str()));
        superuser.or(member).cloned()
    }
}
