//! Which known incidents can be replayed here, and why the others cannot yet.

use serde::Serialize;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{Output, Style},
};

/// A known incident, documented or made up to test something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Known {
    /// What it is called in the collection of incidents.
    pub(super) id: &'static str,
    title: &'static str,
    /// How it is replayed here: the name to give to `unwipe rehearse`.
    pub(super) rehearsal: Option<&'static str>,
    /// What is replayed in place of what happened, or why it is not replayed.
    remark: &'static str,
}

const fn replayed(
    id: &'static str,
    title: &'static str,
    rehearsal: &'static str,
    remark: &'static str,
) -> Known {
    Known { id, title, rehearsal: Some(rehearsal), remark }
}

const fn not_yet(id: &'static str, title: &'static str, remark: &'static str) -> Known {
    Known { id, title, rehearsal: None, remark }
}

/// Every incident of the collection.
pub(super) const KNOWN: [Known; 20] = [
    replayed(
        "pocketos-railway-volumedelete",
        "Cursor agent deletes the production volume and its backups (April 2026)",
        "pocketos",
        "a simulated Railway around a real PostgreSQL",
    ),
    replayed(
        "replit-saastr-code-freeze",
        "Replit's agent deletes rows during a code freeze and invents others (July 2025)",
        "replit",
        "a real PostgreSQL",
    ),
    not_yet(
        "datatalks-terraform-destroy",
        "terraform destroy takes the stack, the database and its snapshots (February 2026)",
        "AWS is no source yet; what happens to the database itself is pocketos",
    ),
    replayed(
        "openclaw-inbox",
        "An agent empties an inbox and does not hear that it should stop (February 2026)",
        "openclaw",
        "a simulated Workspace domain",
    ),
    replayed(
        "vercel-context-ai-oauth",
        "An assistant that was let in walks through a drive (April 2026)",
        "vercel",
        "the part within Google Workspace, in a simulated domain; Vercel is no source yet",
    ),
    replayed(
        "antigravity-drive-wipe",
        "An agent removes a whole partition, and the sync client follows (December 2025)",
        "antigravity",
        "what the sync client does to the drive, in a simulated domain",
    ),
    not_yet(
        "amazon-q-wiper-prompt",
        "An editor's extension ships a prompt that wipes (July 2025)",
        "AWS is no source yet",
    ),
    not_yet(
        "salesloft-drift-unc6395",
        "Stolen tokens of a connected app export Salesforce cases (August 2025)",
        "Salesforce is no source yet",
    ),
    not_yet(
        "unc6040-data-loader-vishing",
        "A user is talked into letting in a false Data Loader (2025)",
        "Salesforce is no source yet",
    ),
    not_yet(
        "gemini-cli-deletes-git-bak",
        "An agent removes the copy of a repository that it had made (2026)",
        "repositories are no source yet; that no backup can be deleted is shown by unwipe siege",
    ),
    replayed(
        "syn-pg-bulk-delete",
        "One DELETE takes every row of a large table",
        "bulk-delete",
        "a real PostgreSQL",
    ),
    replayed(
        "syn-pg-autocommit-loop",
        "A loop deletes row by row and commits each",
        "row-by-row",
        "a real PostgreSQL",
    ),
    replayed("syn-pg-truncate-drop", "TRUNCATE and DROP TABLE", "truncate-drop", "a real PostgreSQL"),
    replayed(
        "syn-low-and-slow",
        "Thirty deletions an hour for ten days",
        "low-and-slow",
        "a simulated domain whose clock runs faster",
    ),
    replayed(
        "syn-hard-delete-mail",
        "A thousand messages with each call, past the trash",
        "hard-delete",
        "a simulated Workspace domain",
    ),
    replayed(
        "syn-saas-ransomware",
        "Files are read, encrypted, written back and renamed",
        "ransomware",
        "in Google Drive in place of OneDrive, in a simulated domain",
    ),
    not_yet(
        "syn-backup-first",
        "Whoever holds production's credentials attacks the backup first",
        "unwipe siege does that to a vault of your own; unwipe rehearse pocketos does it within the incident",
    ),
    not_yet(
        "syn-mcp-abuse",
        "An agent with tools of the backup is asked to free space",
        "there is no server of tools for agents yet",
    ),
    not_yet(
        "syn-salesforce-hard-delete",
        "A bulk job deletes 50,000 accounts past the recycle bin",
        "Salesforce is no source yet",
    ),
    replayed(
        "syn-benign-cleanup",
        "A person puts 3,000 files of their own into the trash, as announced",
        "clean-up",
        "a simulated Workspace domain; nothing must be stopped",
    ),
];

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    context.output.result(&KNOWN, || text(context.output))?;
    Ok(Exit::Done)
}

fn text(output: Output) -> String {
    let mut text = String::new();
    let (can, cannot): (Vec<Known>, Vec<Known>) = KNOWN.iter().partition(|known| known.rehearsal.is_some());
    text.push_str(&format!("{}\n", output.paint(Style::Strong, "can be replayed")));
    for known in can {
        let name = known.rehearsal.unwrap_or_default();
        text.push_str(&format!("  unwipe rehearse {name:<14}  {}\n", known.title));
        text.push_str(&format!(
            "                                  {}\n",
            output.paint(Style::Faint, known.remark)
        ));
    }
    text.push_str(&format!("\n{}\n", output.paint(Style::Strong, "cannot be replayed yet")));
    for known in cannot {
        text.push_str(&format!("  {}\n", known.title));
        text.push_str(&format!("    {}\n", output.paint(Style::Faint, known.remark)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;
    use crate::arguments::Incident;

    #[test]
    fn every_rehearsal_is_in_the_list_and_the_other_way_round() {
        let listed: BTreeSet<&str> = KNOWN.iter().filter_map(|known| known.rehearsal).collect();
        let values: Vec<_> =
            Incident::value_variants().iter().filter_map(Incident::to_possible_value).collect();
        let known: BTreeSet<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        assert_eq!(listed, known);
        assert_eq!(KNOWN.iter().map(|known| known.id).collect::<BTreeSet<_>>().len(), KNOWN.len());
    }
}
