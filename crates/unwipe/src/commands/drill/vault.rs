//! A drill of the vault itself: every pack is read, every content opened where there is a key.

use drill::{Against, Check, Extent, Tally};
use vault::verify::Depth;

use super::{Drilling, Held};
use crate::{context::environment, failure::Failure};

const OPENS: &str = "every content is what its digest says";
const HEADS: &str = "the tree heads hold, and cover the commits";

/// Reads everything.
pub(super) fn hold(drilling: &Drilling<'_>) -> Result<Held, Failure> {
    let Drilling { installation, asked, progress, .. } = drilling;
    let reference = asked.reading.key.as_deref().or(installation.config().restore.key.as_deref());
    let reader = reference.map(|reference| installation.reader(Some(reference), &environment)).transpose()?;
    let vault = installation.vault(&environment)?;
    let mut done = 0;
    let report = vault::verify::verify(&vault, reader.as_ref(), Depth::ReadData, &mut |step| {
        if done == 0 {
            progress.counted_phase("reading every object", Some(step.total));
        }
        progress.advance(step.done - done);
        done = step.done;
    })?;
    drilling.check_time()?;
    let mut tally = Tally::default();
    let bad: std::collections::BTreeSet<&str> = report.findings.iter().map(|f| f.object.as_str()).collect();
    tally.equal(report.objects.saturating_sub(bad.len() as u64));
    for finding in &report.findings {
        let items = finding.affected_items.map_or_else(String::new, |n| format!(" ({n} items affected)"));
        tally.differs(&finding.object, &format!("{}: {}{items}", finding.problem, finding.detail));
    }
    let opens = if reader.is_some() {
        let (contents, bytes) = (report.contents, report.read_bytes);
        Check::passed(OPENS, format!("{contents} contents of {} packs, {bytes} bytes read", report.packs))
    } else {
        Check::not_checked(OPENS, "there is no restore key here: packs were read, contents stayed closed")
    };
    let heads = Check::passed(
        HEADS,
        format!("{} heads; {} commits in none yet", report.heads, report.uncovered_commits),
    );
    let restored_commit = vault.last_sequence(&asked.source)?;
    Ok(Held {
        kind: "vault",
        simulated: false,
        restored_commit,
        moment: None,
        position: format!("{} commits", report.commits),
        extent: Extent::Whole,
        against: Against::Stored,
        tally,
        // What is bad about them is among the differences.
        checks: if report.is_sound() { vec![opens, heads] } else { Vec::new() },
        probes: Vec::new(),
        serving_ms: None,
        space_bytes: 0,
        tables: std::collections::BTreeMap::new(),
    })
}
