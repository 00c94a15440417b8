//! What a restore test is, without doing one: what is compared and how, which sample is drawn, what came of it, how long
//! that counts, and when the next one is due.
//!
//! Nothing here reads a clock, a file or a vault. Who holds a drill brings what was expected and what was found; what
//! comes out is written into a certificate by `service`.

mod budget;
mod compare;
mod config;
mod ground;
mod judge;
mod probe;
mod sample;
mod schedule;
mod standing;
mod units;

pub use budget::{Budget, OverBudget, Spent};
pub use compare::{Comparison, Differing, Tally, Thing, compare};
pub use config::{DrillsConfig, ProbeConfig, RecordConfig, SourceDrills};
pub use ground::{Findings, Ground, Swept, TAKEN_AWAY, hold, said};
pub use judge::{Against, Check, CheckResult, Counts, Difference, Extent, Outcome, ProbeAnswer, outcome};
pub use probe::{Expectation, ExpectationError, Sign};
pub use sample::{Candidate, Sample, draw};
pub use schedule::{Due, LastDrills, Planned, due, planned};
pub use standing::{Acknowledged, Held, OpenFailure, Standing, Terms, standing};
pub use units::{DailyWindow, Space, Span, UnitError};
