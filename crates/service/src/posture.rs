//! The three questions of every morning, answered in words: could an agent delete the backups, how new is the newest
//! restorable moment, when was restoring last proven.

use connect::{Finding, Standing};
use model::Moment;
use serde::Serialize;

use crate::{
    overview::{Overview, SourceOverview, VaultOverview},
    words,
};

/// How good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be safer.
    Warning,
    /// It must be mended.
    Bad,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        })
    }
}

impl From<Standing> for Verdict {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Good => Self::Good,
            Standing::Advice => Self::Warning,
            Standing::Bad => Self::Bad,
        }
    }
}

/// An answer: first in one sentence, then why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What was asked.
    pub question: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// The answer.
    pub sentence: String,
    /// What it rests on, each a sentence without a full stop.
    pub reasons: Vec<String>,
    /// What would make it better, as a sentence.
    pub advice: Option<String>,
    /// A command that would make it better, as it can be run.
    pub command: Option<String>,
}

/// What a place of a vault enforces, and against whom that stands up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// 0 to 4.
    pub number: u8,
    /// Where the vault lies.
    pub place: &'static str,
    /// Who cannot delete it.
    pub withstands: &'static str,
    /// Who still can.
    pub falls_to: &'static str,
    /// The command with which such a place is made; words in capitals are to be filled in.
    pub made_by: &'static str,
}

/// The tiers, the weakest first.
pub const TIERS: [Tier; 5] = [
    Tier {
        number: 0,
        place: "A folder of the user who runs unwipe",
        withstands: "Whoever can run nothing as this user.",
        falls_to: "An agent that runs as this user: one command is enough.",
        made_by: "unwipe init",
    },
    Tier {
        number: 1,
        place: "A folder whose files only the sealer can free",
        withstands: "An agent that runs as this user, and everything else it runs.",
        falls_to: "Root of this host, who can clear the flags.",
        made_by: "unwipe init --vault FOLDER --sealer SOCKET",
    },
    Tier {
        number: 2,
        place: "Another host, behind a server that can only add",
        withstands: "Root of this host, with every credential of production.",
        falls_to: "Root of that other host.",
        made_by: "unwipe init --enrolment FILE",
    },
    Tier {
        number: 3,
        place: "A bucket with Object Lock in another account",
        withstands: "Every credential, the account's own root too, until the locks run out.",
        falls_to: "Whoever closes that account, or runs the store itself.",
        made_by: "unwipe init --s3 https://HOST/BUCKET",
    },
    Tier {
        number: 4,
        place: "A copy that is not connected to anything",
        withstands: "Everybody who is not in the same room.",
        falls_to: "Whoever takes the disk away, or plugs it in.",
        made_by: "unwipe mirror add NAME --folder FOLDER --offline",
    },
];

/// What is known about restoring a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Nobody has tried.
    Hypothesis,
    /// A drill restored it.
    Proven,
    /// A drill found a difference.
    Failed,
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hypothesis => "hypothesis",
            Self::Proven => "proven",
            Self::Failed => "failed",
        })
    }
}

/// A newest moment older than this is worth a look.
const BEHIND_S_WARNING: u64 = 300;
/// A newest moment older than this is no backup of today.
const BEHIND_S_BAD: u64 = 86_400;

/// Answers: could an agent that has production's credentials, and this process's, delete the backups?
pub fn could_an_agent_delete(vault: &VaultOverview) -> Answer {
    let (verdict, sentence) = match vault.tier {
        0 => (Verdict::Bad, "Yes: whoever runs as this user could delete the vault's files.".to_owned()),
        1 => (
            Verdict::Warning,
            "Not as this user: its files are immutable. Root on this host still could.".to_owned(),
        ),
        2 => (
            Verdict::Good,
            "No: the vault is on another host, behind a server that has no way to delete.".to_owned(),
        ),
        3 => (Verdict::Good, "No: the object store refuses to delete anything before its time.".to_owned()),
        _ => (Verdict::Good, "No: the copy is not connected to anything.".to_owned()),
    };
    let worst = vault.findings.iter().map(|finding| Verdict::from(finding.standing)).max();
    let mut reasons = vec![format!("tier {} of 4: {}", vault.tier, vault.statement)];
    // What only says the tier again is said.
    let again = format!("tier {}: {}", vault.tier, vault.statement);
    let told = |finding: &&Finding| finding.standing != Standing::Good && finding.evidence != again;
    reasons.extend(vault.findings.iter().filter(told).map(finding_text));
    if vault.lock_days > 0 {
        reasons.push(format!(
            "everything stays for {} after it was live",
            words::counted(vault.lock_days.into(), "day")
        ));
    }
    reasons.push(match vault.mirrors {
        0 => "there is no copy in another place".to_owned(),
        1 => "one copy lies in another place".to_owned(),
        number => format!("{number} copies lie in other places"),
    });
    if let Some(reason) = &vault.frozen {
        reasons.push(format!("releasing is frozen: {reason}"));
    }
    reasons.extend(vault.alarms.iter().cloned());
    if let Some(reason) = &vault.retention_unknown {
        reasons.push(format!("the locks cannot be told: {reason}"));
    }
    let unsure = !vault.alarms.is_empty() || vault.retention_unknown.is_some();
    let verdict = verdict.max(worst.unwrap_or(Verdict::Good)).max(if unsure {
        Verdict::Warning
    } else {
        Verdict::Good
    });
    let fix = vault.findings.iter().find(|finding| finding.standing != Standing::Good);
    let (command, advice) = match fix {
        // A place is chosen, not mended: the tiers say what each stands up to.
        Some(finding) if finding.evidence == again => {
            (None, Some("A stronger place for the vault makes it so; the tiers below say which.".to_owned()))
        }
        _ => fix.and_then(|finding| finding.fix.as_deref()).map_or((None, None), words::help),
    };
    Answer { question: "Could an agent delete your backups?", verdict, sentence, reasons, advice, command }
}

fn finding_text(finding: &Finding) -> String {
    format!("{} (wanted: {})", finding.evidence, finding.subject)
}

/// Answers: how new is the newest restorable moment of each source?
pub fn how_new(overview: &Overview, now: Moment) -> Answer {
    const QUESTION: &str = "How new is the newest restorable moment?";
    if overview.sources.is_empty() {
        return Answer {
            question: QUESTION,
            verdict: Verdict::Bad,
            sentence: "Nothing is protected yet.".to_owned(),
            reasons: Vec::new(),
            advice: Some("Name the first source; what is to be protected is captured at once.".to_owned()),
            command: Some("unwipe protect NAME postgres --url URL".to_owned()),
        };
    }
    let mut verdict = Verdict::Good;
    let mut reasons = Vec::new();
    for source in &overview.sources {
        let (its, reason) = newest_of(source, now);
        verdict = verdict.max(its);
        reasons.push(reason);
    }
    let oldest = overview.sources.iter().map(|source| source.newest_moment).min().flatten();
    let sentence = match (oldest, overview.sources.len()) {
        (None, _) => "Not every source has been captured yet.".to_owned(),
        (Some(at), 1) => format!("The newest is from {}.", words::ago(at, now)),
        (Some(at), _) => format!("The oldest of them is from {}.", words::ago(at, now)),
    };
    let behind = overview.sources.iter().min_by_key(|source| source.newest_moment);
    let behind = behind.filter(|_| verdict != Verdict::Good);
    let advice =
        behind.map(|source| format!("The page of {} tells since when, and what was not read.", source.name));
    let command = behind.map(|source| format!("unwipe capture {} --once", source.name));
    Answer { question: QUESTION, verdict, sentence, reasons, advice, command }
}

fn newest_of(source: &SourceOverview, now: Moment) -> (Verdict, String) {
    let Some(at) = source.newest_moment else {
        return (Verdict::Bad, format!("{}: nothing was captured yet", source.name));
    };
    let behind_s = u64::try_from(now.micros_since(at) / 1_000_000).unwrap_or(0);
    let unreadable = match source.unreadable {
        0 => String::new(),
        number => format!(", {} could not be read of late", words::counted(number, "item")),
    };
    let verdict = match behind_s {
        BEHIND_S_BAD.. => Verdict::Bad,
        BEHIND_S_WARNING.. => Verdict::Warning,
        _ if source.unreadable > 0 => Verdict::Warning,
        _ => Verdict::Good,
    };
    (verdict, format!("{}: {}{unreadable}", source.name, words::ago(at, now)))
}

/// What is known about one source's proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceProof {
    /// The source.
    pub source: String,
    /// What is known.
    pub proof: Proof,
    /// When the newest drill ended.
    pub drilled_at: Option<Moment>,
    /// One line more, where there is something to say.
    pub note: Option<String>,
}

impl From<&crate::proof::Proof> for SourceProof {
    fn from(known: &crate::proof::Proof) -> Self {
        let (proof, drilled_at, note) = match &known.standing {
            drill::Standing::Hypothesis { was_proven } => {
                let note = was_proven.map(|_| "which is too long ago to count".to_owned());
                (Proof::Hypothesis, *was_proven, note)
            }
            drill::Standing::Proven { at, .. } => (Proof::Proven, Some(*at), None),
            drill::Standing::Failed { failures } => {
                let passed = !failures.is_empty() && failures.iter().all(|failure| failure.passed_since);
                let passed = passed.then_some("a later drill passed; a person has to acknowledge it");
                let notes: Vec<&str> = known.standing.problems().into_iter().chain(passed).collect();
                let note = (!notes.is_empty()).then(|| notes.join("; "));
                (Proof::Failed, failures.last().map(|failure| failure.at), note)
            }
        };
        Self { source: known.source.to_string(), proof, drilled_at, note }
    }
}

/// Answers: when was restoring last proven?
pub fn when_proven(proofs: &[SourceProof], now: Moment) -> Answer {
    let of = |proof: Proof| proofs.iter().filter(move |known| known.proof == proof);
    let (verdict, sentence) = match (of(Proof::Failed).count(), of(Proof::Hypothesis).count(), proofs.len()) {
        (_, _, 0) => (Verdict::Bad, "There is nothing to prove yet.".to_owned()),
        (0, 0, _) => {
            let oldest = proofs.iter().filter_map(|known| known.drilled_at).min();
            let when = oldest.map_or_else(|| "not known".to_owned(), |at| words::ago(at, now));
            (Verdict::Good, format!("Every source was restored and compared; the oldest drill was {when}."))
        }
        (0, open, all) if open == all => {
            (Verdict::Warning, "Never: until a drill has restored it, a copy is a hypothesis.".to_owned())
        }
        (0, 1, _) => (Verdict::Warning, "Not for all: one is still a hypothesis.".to_owned()),
        (0, open, _) => (Verdict::Warning, format!("Not for all: {open} are still hypotheses.")),
        (failed, _, _) => {
            let all = words::counted(proofs.len() as u64, "source");
            (Verdict::Bad, format!("A drill found a difference in {failed} of {all}."))
        }
    };
    let reasons = proofs.iter().map(|known| {
        let when = known.drilled_at.map_or_else(|| "never drilled".to_owned(), |at| words::ago(at, now));
        let note = known.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
        format!("{}: {}, {when}{note}", known.source, known.proof)
    });
    let unproven = proofs.iter().find(|known| known.proof != Proof::Proven);
    Answer {
        question: "When was restoring last proven?",
        verdict,
        sentence,
        reasons: reasons.collect(),
        advice: None,
        command: unproven.map(|known| format!("unwipe drill run {}@latest", known.source)),
    }
}

#[cfg(test)]
mod tests {
    use model::SourceName;

    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000_000_000_000);

    fn vault(tier: u8) -> VaultOverview {
        VaultOverview {
            place: "/srv/vault".to_owned(),
            tier,
            statement: "a plain folder".to_owned(),
            findings: Vec::new(),
            measured_at: NOW,
            lock_days: 30,
            vault_time: Some(NOW),
            frozen: None,
            alarms: Vec::new(),
            mirrors: 0,
            witnesses: 0,
            retention_unknown: None,
        }
    }

    fn overview(sources: &[(&str, Option<i64>, u64)]) -> Overview {
        let sources = sources.iter().map(|(name, behind_s, unreadable)| SourceOverview {
            name: SourceName::new(*name).unwrap(),
            kind: "postgres".to_owned(),
            commits: 1,
            newest_moment: behind_s.map(|seconds| NOW.plus_micros(-seconds * 1_000_000)),
            ledger: None,
            unreadable: *unreadable,
            quota: None,
            locked_until: None,
            floor: None,
        });
        Overview {
            at: NOW,
            vault: vault(3),
            sources: sources.collect(),
            proofs: Vec::new(),
            open_incidents: 0,
        }
    }

    #[test]
    fn a_plain_folder_is_never_called_safe() {
        let answer = could_an_agent_delete(&vault(0));
        assert_eq!(answer.verdict, Verdict::Bad);
        assert!(answer.sentence.starts_with("Yes"));
        assert_eq!(could_an_agent_delete(&vault(1)).verdict, Verdict::Warning);
        assert_eq!(could_an_agent_delete(&vault(3)).verdict, Verdict::Good);
        let mut doubtful = vault(3);
        doubtful.findings.push(Finding::bad(
            "the bucket refuses to shorten a lock",
            "it did not",
            "leave it",
        ));
        let answer = could_an_agent_delete(&doubtful);
        assert_eq!((answer.verdict, answer.advice.as_deref()), (Verdict::Bad, Some("leave it")));
        assert_eq!(answer.command, None, "only what can be run is a command");
        let unknown = VaultOverview { retention_unknown: Some("no network".to_owned()), ..vault(3) };
        assert_eq!(could_an_agent_delete(&unknown).verdict, Verdict::Warning);
    }

    #[test]
    fn what_the_tier_says_is_said_once_and_leads_to_the_tiers() {
        let mut plain = vault(0);
        let command = "unwipe init --immutable-flags, as a user of its own";
        plain.findings.push(Finding::advice("nobody can delete it", "tier 0: a plain folder", command));
        let answer = could_an_agent_delete(&plain);
        assert_eq!(answer.reasons.iter().filter(|reason| reason.contains("plain folder")).count(), 1);
        assert!(
            answer.command.is_none() && answer.advice.is_some_and(|advice| advice.contains("tiers below"))
        );
        assert!(TIERS.iter().enumerate().all(|(number, tier)| usize::from(tier.number) == number));
    }

    #[test]
    fn the_oldest_source_decides_how_new_it_is() {
        let verdict = |sources: &[(&str, Option<i64>, u64)]| how_new(&overview(sources), NOW).verdict;
        assert_eq!(verdict(&[]), Verdict::Bad);
        assert_eq!(verdict(&[("shop", Some(3), 0)]), Verdict::Good);
        assert_eq!(verdict(&[("shop", Some(3), 0), ("acme", Some(301), 0)]), Verdict::Warning);
        assert_eq!(verdict(&[("shop", Some(3), 2)]), Verdict::Warning);
        assert_eq!(verdict(&[("shop", Some(3), 0), ("acme", None, 0)]), Verdict::Bad);
        let answer = how_new(&overview(&[("shop", Some(3), 0), ("acme", Some(400), 0)]), NOW);
        assert_eq!(answer.sentence, "The oldest of them is from 6 minutes ago.");
    }

    #[test]
    fn one_failed_drill_is_louder_than_all_that_passed() {
        let known = |source: &str, proof| SourceProof {
            source: source.to_owned(),
            proof,
            drilled_at: Some(NOW.plus_micros(-7_200_000_000)),
            note: None,
        };
        let proven = known("shop", Proof::Proven);
        assert_eq!(when_proven(std::slice::from_ref(&proven), NOW).verdict, Verdict::Good);
        let never = known("acme", Proof::Hypothesis);
        assert_eq!(when_proven(&[proven.clone(), never.clone()], NOW).verdict, Verdict::Warning);
        let answer = when_proven(&[proven, never, known("wiki", Proof::Failed)], NOW);
        assert_eq!(answer.verdict, Verdict::Bad);
        assert_eq!(answer.reasons[2], "wiki: failed, 2 hours ago");
    }
}
