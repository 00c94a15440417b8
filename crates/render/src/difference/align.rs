//! Which lines of two texts are the same: bounded by sizes, not by a clock.

use std::{collections::HashMap, ops::Range};

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A run of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// In both.
    Same {
        /// The first line in the older text.
        old: usize,
        /// The first line in the newer text.
        new: usize,
        /// How many.
        count: usize,
    },
    /// Replaced: one of the two may be empty.
    Changed {
        /// Lines of the older text.
        old: Range<usize>,
        /// Lines of the newer text.
        new: Range<usize>,
    },
}

/// Gaps of more pairs of lines than this are not looked into.
const GAP_PAIRS_MAX: usize = 1 << 20;
/// All gaps together.
const PAIRS_MAX: usize = 8 << 20;

/// Aligns two texts. Lines that occur once in each hold the two together; what lies between them is compared line by line
/// where it is small, and is otherwise taken for replaced.
pub(super) fn align(old: &[String], new: &[String]) -> Vec<Step> {
    // Lines are compared as numbers from here on.
    let mut numbers = HashMap::new();
    let mut numbered = |lines: &[String]| -> Vec<usize> {
        lines
            .iter()
            .map(|line| {
                let next = numbers.len();
                *numbers.entry(line.clone()).or_insert(next)
            })
            .collect()
    };
    let (old, new) = (numbered(old), numbered(new));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut steps = Steps::default();
    steps.same(0, 0, head);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (mut from, mut to) = (head, head);
    let mut left = PAIRS_MAX;
    let anchors = anchors(&old[head..old_end], &new[head..new_end]);
    let anchors = anchors.into_iter().map(|(a, b)| (a + head, b + head));
    for (a, b) in anchors.chain([(old_end, new_end)]) {
        gap(&mut steps, (&old, from..a), (&new, to..b), &mut left);
        if a < old_end {
            steps.same(a, b, 1);
        }
        (from, to) = (a + 1, b + 1);
    }
    steps.same(old_end, new_end, tail);
    steps.steps
}

#[derive(Default)]
struct Steps {
    steps: Vec<Step>,
}

impl Steps {
    fn same(&mut self, old: usize, new: usize, count: usize) {
        match self.steps.last_mut() {
            _ if count == 0 => {}
            Some(Step::Same { count: before, .. }) => *before += count,
            _ => self.steps.push(Step::Same { old, new, count }),
        }
    }

    fn changed(&mut self, old: Range<usize>, new: Range<usize>) {
        match self.steps.last_mut() {
            _ if old.is_empty() && new.is_empty() => {}
            Some(Step::Changed { old: before, new: to }) => (before.end, to.end) = (old.end, new.end),
            _ => self.steps.push(Step::Changed { old, new }),
        }
    }
}

/// Compares what lies between two lines that are the same.
fn gap(
    steps: &mut Steps,
    (old, old_range): (&[usize], Range<usize>),
    (new, new_range): (&[usize], Range<usize>),
    left: &mut usize,
) {
    let pairs = old_range.len().saturating_mul(new_range.len());
    if pairs > GAP_PAIRS_MAX.min(*left) || pairs == 0 {
        steps.changed(old_range, new_range);
        return;
    }
    *left -= pairs;
    let (a, b) = (old_range.start, new_range.start);
    for step in capture_diff_slices(Algorithm::Myers, &old[old_range], &new[new_range]) {
        let (from, to) = (step.old_range(), step.new_range());
        match step {
            DiffOp::Equal { len, .. } => steps.same(a + from.start, b + to.start, len),
            _ => steps.changed(a + from.start..a + from.end, b + to.start..b + to.end),
        }
    }
}

/// Returns pairs of lines that occur once in each text, in ascending order in both: as many as there are.
fn anchors(old: &[usize], new: &[usize]) -> Vec<(usize, usize)> {
    let once = |lines: &[usize]| {
        let mut places: HashMap<usize, Option<usize>> = HashMap::new();
        for (place, line) in lines.iter().enumerate() {
            places.entry(*line).and_modify(|known| *known = None).or_insert(Some(place));
        }
        places
    };
    let (of_old, of_new) = (once(old), once(new));
    let mut pairs: Vec<(usize, usize)> = of_old
        .into_iter()
        .filter_map(|(line, place)| Some((place?, of_new.get(&line).copied().flatten()?)))
        .collect();
    pairs.sort_unstable();
    longest_ascending(&pairs)
}

/// Returns the longest run of pairs whose second numbers ascend.
fn longest_ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // Of each length the run that ends lowest; each pair remembers the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (number, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].1 < pair.1);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(number);
        } else {
            ends[length] = number;
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(number) = at {
        run.push(pairs[number]);
        at = before[number];
    }
    run.reverse();
    run
}
