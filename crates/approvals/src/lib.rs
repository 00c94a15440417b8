//! What waits for people: cases, who must agree, and when what they agreed to may begin.
//!
//! Everything here is a pure function of a case, a policy, an act and the time that came with it: no clock, no file, no
//! cryptography. Who keeps cases, who checks signatures and who carries out what was approved are for the caller.
//!
//! ```text
//!            approvals of `needed` people          (weakening: delay)
//! Waiting --------------------------------> Approved ------------> Applying --> Applied
//!    |  \                                     |   \                  |   ^  \
//!    |   +-> Expired                          |    +-> Expired       +---+   +-> Failed
//!    +-----> Refused, Withdrawn <-------------+                  a killed run goes on
//! ```

mod case;
#[cfg(test)]
mod exhaustive;
mod notice;
mod now;
mod principal;
mod signed;
mod step;
mod subject;
#[cfg(test)]
mod testing;

pub use case::{Case, CaseId, CaseIdError, Decided, Policy, State};
pub use notice::{Audience, Notice, notices};
pub use now::{Now, Running};
pub use principal::{Principal, same_person};
pub use signed::{Decision, Signed, Signer, Verifier, statement};
pub use step::{Act, Refusal, step};
pub use subject::{Subject, SubjectHash, Weakening};
