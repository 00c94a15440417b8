//! `unwipe export`

use postgres_recovery::export::{TableFormat, export_table, export_wal};
use serde::Serialize;

use crate::{
    arguments::{Export, ExportFormat},
    connectors::recovery::{StoredCluster, source_and_moment},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{counted, printable},
};

#[derive(Serialize)]
struct Exported {
    folder: String,
    files: Vec<ExportedFile>,
}

#[derive(Serialize)]
struct ExportedFile {
    file: String,
    rows: Option<u64>,
}

pub(crate) fn run(context: &Context, options: &Export) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    if let Some(domain) =
        crate::connectors::google::open(context, &installation, &options.what, &options.reading)?
    {
        empty_folder(&options.to)?;
        return crate::commands::google::export(context, &domain, options);
    }
    let (source, moment) = source_and_moment(&options.what);
    let (name, _) = installation.config().source(source)?;
    let stored = context.stored(&installation, &name, &options.reading)?;
    let cluster = StoredCluster::open(context, &installation, &name, stored)?;
    empty_folder(&options.to)?;
    let files = match options.format {
        ExportFormat::Mbox
        | ExportFormat::Eml
        | ExportFormat::Files
        | ExportFormat::Ics
        | ExportFormat::Vcard => {
            return Err(Failure::new(Exit::Usage, "only a domain is written in this format")
                .hint("--format csv, sql or wal"));
        }
        ExportFormat::Wal => wal(&cluster, moment, options)?,
        ExportFormat::Csv => tables(context, &cluster, moment, options, TableFormat::Csv, "csv")?,
        ExportFormat::Sql => tables(context, &cluster, moment, options, TableFormat::Sql, "sql")?,
    };
    let exported = Exported { folder: options.to.display().to_string(), files };
    context.output.result(&exported, || {
        let mut text = String::new();
        for file in &exported.files {
            let rows = file.rows.map(|rows| format!("  {}", counted(rows, "row"))).unwrap_or_default();
            text.push_str(&format!("{}{rows}\n", printable(&file.file)));
        }
        text
    })?;
    Ok(Exit::Done)
}

fn empty_folder(folder: &std::path::Path) -> Result<(), Failure> {
    ports::files::create_folder(folder)?;
    if folder.read_dir()?.next().is_some() {
        return Err(Failure::new(Exit::Usage, format!("{} is not empty", folder.display()))
            .hint("name a new or empty folder"));
    }
    Ok(())
}

fn wal(cluster: &StoredCluster<'_>, moment: &str, options: &Export) -> Result<Vec<ExportedFile>, Failure> {
    let resolution = cluster.resolve(moment)?;
    let route = &resolution.route;
    let range = route.wal_start_lsn()..route.stop.lsn();
    let names = export_wal(cluster.stored(), &cluster.history, route.branch.timeline, range, &options.to)
        .map_err(|error| Failure::because(Exit::Failed, "the WAL was not exported", error))?;
    Ok(names.into_iter().map(|file| ExportedFile { file, rows: None }).collect())
}

fn tables(
    context: &Context,
    cluster: &StoredCluster<'_>,
    moment: &str,
    options: &Export,
    format: TableFormat,
    extension: &str,
) -> Result<Vec<ExportedFile>, Failure> {
    if options.table.is_empty() {
        return Err(Failure::new(Exit::Usage, "say which tables").hint("--table DATABASE.SCHEMA.TABLE"));
    }
    let resolution = cluster.resolve(moment)?;
    let progress = context.progress();
    let scratch = cluster.scratch(&resolution.route, &*progress)?;
    let mut files = Vec::new();
    for text in &options.table {
        let parts: Vec<&str> = text.split('.').collect();
        let [database, schema, table] = parts.as_slice() else {
            return Err(Failure::new(Exit::Usage, format!("{text:?} names no table"))
                .hint("write DATABASE.SCHEMA.TABLE"));
        };
        let mut connection = cluster.connect_scratch(&scratch, database)?;
        let file = format!("{}.{extension}", text.replace(['/', '\0'], "_"));
        let rows = export_table(&mut connection, schema, table, format, &options.to.join(&file))
            .map_err(|error| Failure::because(Exit::Failed, format!("{text} was not exported"), error))?;
        files.push(ExportedFile { file, rows: Some(rows) });
    }
    Ok(files)
}
