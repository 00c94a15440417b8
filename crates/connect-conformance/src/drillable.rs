//! What tests implement of a source whose restores can be proven: a captured place, a ground, and what goes wrong there.

use drill::Ground;

use crate::subject::Never;

/// The ground of one drill, whose troubles are told in words.
pub type DrillGround<'g> = Box<dyn Ground<Error = String> + 'g>;

/// How much a drill restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Everything.
    Whole,
    /// A part, drawn anew.
    Sample,
}

/// A difference that is made on the ground, after everything was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The content of one thing is another one.
    Changed,
    /// One thing is gone.
    Missing,
    /// One thing more is there, where a drill puts things.
    Extra,
    /// One thing has its content, and another aspect is otherwise that is promised.
    Unfaithful,
}

/// A source whose restores can be proven. Each rule starts its own.
pub trait Drillable: Send + Sync {
    /// Makes the ground of a drill, as a process does that was started anew: it remembers nothing.
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String>;

    /// Says whether a part can be restored by itself.
    fn samples(&self) -> Result<(), Never>;

    /// Returns how many things are stored that a drill of everything has to compare.
    fn things(&self) -> u64;

    /// Makes a difference on the ground, and returns the words by which a certificate has to name it: what certificates call
    /// the thing, and the aspect where it is one.
    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never>;

    /// Lets one thing more be captured of which nothing can be compared.
    fn add_incomparable(&self) -> Result<(), Never>;

    /// Puts something of somebody else beside what drills make, that is called almost as they call theirs.
    fn add_foreign(&self);

    /// Lets the ground take no more than so many writes, clearing included, as if the process were killed there; `None` for
    /// as many as there are.
    fn starve(&self, writes: Option<u64>) -> Result<(), Never>;

    /// Lists what is where drills restore, whoever made it.
    fn left(&self) -> Vec<String>;

    /// Lists what is in the place that was captured, so that a write into it shows.
    fn production(&self) -> Vec<String>;

    /// Aims the drills at the place that was captured, in each way that there is; the ways are numbered from 0, and there is
    /// at least one. `false` when there are no so many.
    fn misaim(&self, way: usize) -> bool;
}
