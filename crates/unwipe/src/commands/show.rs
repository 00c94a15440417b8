//! `unwipe show`

use std::path::Path;

use connect::plan::{Bundle, Counts, Document, Plan, PlanFolder, PlanHash};
use postgres_recovery::deed::read_deed;
use serde::Serialize;

use crate::{
    arguments::Show,
    connectors::recovery::{StoredCluster, source_and_moment},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{Output, Style, count, printable, table},
};

pub(crate) fn run(context: &Context, options: &Show) -> Result<Exit, Failure> {
    let place = context.plan_folder(Path::new(&options.what));
    if place.is_dir() {
        return show_plan(context, &place);
    }
    let installation = context.installation()?;
    if let Some(tree) =
        crate::connectors::files::open(context, &installation, &options.what, &options.reading)?
    {
        return crate::commands::files::show(context, &tree, options);
    }
    if let Some(domain) =
        crate::connectors::google::open(context, &installation, &options.what, &options.reading)?
    {
        return crate::commands::google::show(context, &domain, options);
    }
    let (source, moment) = source_and_moment(&options.what);
    let (name, _) = installation.config().source(source)?;
    let stored = context.stored(&installation, &name, &options.reading)?;
    let cluster = StoredCluster::open(context, &installation, &name, stored)?;
    show_moment(context, &cluster, moment)
}

fn show_plan(context: &Context, folder: &Path) -> Result<Exit, Failure> {
    let folder = PlanFolder::new(folder);
    let output = context.output;
    let document = folder.read_document(None)?;
    let text = document_text(output, &folder, &document)?;
    match &document {
        Document::Plan(plan) => output.result(plan, || text)?,
        Document::Bundle(bundle) => output.result(bundle, || text)?,
    }
    Ok(Exit::Done)
}

/// Renders what a plan's folder holds as a person reads it before approving; of a bundle all parts, whose hashes are
/// compared with what the bundle says.
pub(crate) fn document_text(
    output: Output,
    folder: &PlanFolder,
    document: &Document,
) -> Result<String, Failure> {
    let hash = document.hash()?;
    Ok(match document {
        Document::Plan(plan) => plan_text(output, plan, hash),
        Document::Bundle(bundle) => {
            let mut text = bundle_text(output, bundle, hash);
            for part in &bundle.parts {
                let plan = folder.part(&part.folder).read(Some(part.plan))?;
                text.push('\n');
                text.push_str(&plan_text(output, &plan, part.plan));
            }
            text
        }
    })
}

/// Renders a bundle: its parts in one line each, and what was left out.
pub(crate) fn bundle_text(output: Output, bundle: &Bundle, hash: PlanHash) -> String {
    let title = format!("undo      {}", printable(&bundle.title));
    let mut text = format!("{}\nhash      {hash}\n\n", output.paint(Style::Strong, &title));
    let rows: Vec<Vec<String>> = bundle
        .parts
        .iter()
        .map(|part| {
            vec![
                printable(&part.folder),
                printable(&part.source),
                printable(&part.destination),
                counts_text(&part.counts),
            ]
        })
        .collect();
    text.push_str(&table(&rows));
    text.push_str(&format!("\ntogether  {}\n", counts_text(&bundle.counts)));
    for note in &bundle.notes {
        text.push_str(&format!("  note  {}\n", printable(note)));
    }
    text
}

fn counts_text(sums: &Counts) -> String {
    format!(
        "put back {}, set back {}, remove {}, objects {}; already right {}; conflicts left alone {}",
        count(sums.inserted),
        count(sums.reverted),
        count(sums.removed),
        count(sums.objects),
        count(sums.unchanged),
        count(sums.conflicts),
    )
}

/// Renders a plan as a person reads it before approving.
pub(crate) fn plan_text(output: Output, plan: &Plan, hash: PlanHash) -> String {
    let mut text = format!(
        "{}\nfrom      {}\ninto      database {} of source {}\n",
        output.paint(Style::Strong, &format!("undo      {}", printable(&plan.subject.title))),
        printable(&plan.base),
        printable(&plan.destination),
        plan.source,
    );
    if let Some(at) = plan.subject.at {
        text.push_str(&format!("happened  {at}\n"));
    }
    text.push_str(&format!("hash      {hash}\n\n"));
    let rows: Vec<Vec<String>> = plan
        .steps
        .iter()
        .map(|step| {
            vec![
                format!("{:>4}", step.number),
                printable(&step.title),
                printable(&step.target),
                count(step.rows),
            ]
        })
        .collect();
    text.push_str(&table(&rows));
    text.push_str(&format!("\n{}\n", counts_text(&plan.counts)));
    for conflict in plan.conflicts.iter().take(20) {
        text.push_str(&format!(
            "  {}  {} {}: {}\n",
            output.paint(Style::Warning, "conflict"),
            printable(&conflict.target),
            printable(&conflict.key),
            printable(&conflict.reason)
        ));
    }
    for loss in &plan.losses {
        let word = output.paint(Style::Bad, "loss");
        text.push_str(&format!("  {word}  {}: {}\n", printable(&loss.target), printable(&loss.reason)));
    }
    for note in &plan.notes {
        text.push_str(&format!("  note  {}\n", printable(note)));
    }
    text
}

#[derive(Serialize)]
struct Moment {
    source: String,
    timeline: u32,
    stops_at: String,
    base: String,
    commit: Option<postgres_recovery::CommitPoint>,
    also_on_timelines: Vec<u32>,
    transaction: Option<postgres_wal::TransactionSummary>,
}

fn show_moment(context: &Context, cluster: &StoredCluster<'_>, moment: &str) -> Result<Exit, Failure> {
    let resolution = cluster.resolve(moment)?;
    let names_one = moment.contains("transaction:");
    let transaction = match &resolution.commit {
        Some(commit) if names_one => {
            let deed = read_deed(cluster.stored(), &cluster.history, commit).map_err(|error| {
                let hint = error.hint();
                Failure::because(Exit::Failed, "the transaction cannot be shown", error).hint_opt(hint)
            })?;
            Some(deed.summary)
        }
        _ => None,
    };
    let shown = Moment {
        source: cluster.name.to_string(),
        timeline: resolution.route.branch.timeline,
        stops_at: postgres_server::lsn::to_text(resolution.route.stop.lsn()),
        base: postgres_server::lsn::to_text(resolution.route.base.base.start_lsn),
        commit: resolution.commit,
        also_on_timelines: resolution.also_on,
        transaction,
    };
    let output = context.output;
    output.result(&shown, || {
        let mut text = format!(
            "moment    {moment}\nstops at  {} on timeline {}\nbase      {}\n",
            shown.stops_at, shown.timeline, shown.base
        );
        if let Some(commit) = &shown.commit {
            text.push_str(&format!("commit    transaction {} at {}\n", commit.transaction, commit.at));
        }
        if let Some(deed) = &shown.transaction {
            let rows = &deed.rows;
            text.push_str(&format!(
                "rows      {} inserted, {} updated, {} deleted in {} relations\nfiles     {} dropped, {} created\nobjects   {}\n",
                count(rows.inserted),
                count(rows.updated),
                count(rows.deleted),
                deed.relations.len(),
                deed.files_dropped.len(),
                deed.files_created.len(),
                if deed.changes_catalog() { "definitions changed" } else { "no definition changed" },
            ));
            text.push_str(&format!("undo it   unwipe rewind {} --undo {} --url URL\n", shown.source, deed.transaction));
        }
        text
    })?;
    Ok(Exit::Done)
}
