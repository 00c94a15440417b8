//! Running seeds, and shortening a run that fails.

use std::collections::BTreeMap;

use crate::{Trace, Violation, World, action::draw};

/// How many things happen in one run.
pub const STEPS: u64 = 60;

/// One run.
#[derive(Debug)]
pub struct Run {
    /// What happened.
    pub trace: Trace,
    /// How often each thing happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// What was violated, and after how many steps.
    pub failure: Option<Failure>,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// How many steps it took.
    pub steps: u64,
    /// Which of them are needed for it to fail.
    pub needed: Vec<u64>,
    /// What was violated.
    pub violation: Violation,
}

/// Runs a seed for so many steps.
pub fn run(seed: u64, steps: u64) -> Run {
    run_steps(seed, &(0..steps).collect::<Vec<_>>())
}

/// Runs chosen steps of a seed.
pub fn run_steps(seed: u64, steps: &[u64]) -> Run {
    let mut world = match World::new(seed) {
        Ok(world) => world,
        Err(violation) => {
            let failure = Failure { seed, steps: 0, needed: Vec::new(), violation };
            return Run { trace: Trace::default(), counts: BTreeMap::new(), failure: Some(failure) };
        }
    };
    let mut done = 0;
    let mut outcome = Ok(());
    for step in steps {
        done += 1;
        outcome = world.step(&draw(seed, *step));
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| world.check());
    let failure = outcome.err().map(|violation| {
        world.trace.note(format_args!("VIOLATION {violation}"));
        Failure { seed, steps: done, needed: steps[..done as usize].to_vec(), violation }
    });
    Run { trace: world.trace, counts: world.counts, failure }
}

/// Leaves out every step without which the same thing is still violated.
pub fn shorten(failure: &Failure) -> Failure {
    let mut shortest = failure.clone();
    let mut at = shortest.needed.len();
    while at > 0 {
        at -= 1;
        let mut fewer = shortest.needed.clone();
        if at >= fewer.len() {
            continue;
        }
        fewer.remove(at);
        if let Some(again) = run_steps(failure.seed, &fewer).failure
            && again.violation.invariant == failure.violation.invariant
        {
            shortest = again;
        }
    }
    shortest
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<String> = self.needed.iter().map(u64::to_string).collect();
        writeln!(f, "seed {}: {}", self.seed, self.violation)?;
        writeln!(f, "after {} steps, of which these suffice: {}", self.steps, steps.join(","))?;
        write!(f, "replay: cargo run -p world -- --seed {} --only {} --trace", self.seed, steps.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_are_sound() {
        for seed in 0..8 {
            let run = run(seed, STEPS);
            let failure = run.failure.map(|failure| format!("{}\n{}", shorten(&failure), run.trace.text()));
            assert!(failure.is_none(), "{}", failure.unwrap_or_default());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        let (one, again, other) = (run(7, 25), run(7, 25), run(8, 25));
        assert_eq!(one.trace, again.trace);
        assert_ne!(one.trace, other.trace);
    }

    #[test]
    fn a_failure_is_shortened_and_says_how_to_see_it_again() {
        let violation = Violation::new("nothing", "made up");
        let failure = Failure { seed: 3, steps: 2, needed: vec![0, 1], violation };
        // Nothing is violated, so nothing can be left out.
        assert_eq!(shorten(&failure), failure);
        assert!(failure.to_string().contains("cargo run -p world -- --seed 3 --only 0,1 --trace"));
    }
}
