//! `unwipe vault status`

use blobs::remote::protocol::Usage;

use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{bytes, count, table},
};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let status = installation.server_status(&environment)?.ok_or_else(|| {
        Failure::new(Exit::Nothing, "this home folder's vault lies on this machine: it has no server to ask")
    })?;
    context.output.result(&status, || {
        let title = ["account", "bytes today", "of", "objects today", "of", "last hour", "bytes in all"];
        let mut rows = vec![title.map(str::to_owned).to_vec()];
        rows.extend(status.sources.iter().map(row));
        let free = status.free_bytes.map(|free| format!("{} free above the reserve\n", bytes(free)));
        format!("{}{}", table(&rows), free.unwrap_or_default())
    })?;
    Ok(Exit::Done)
}

fn row(usage: &Usage) -> Vec<String> {
    vec![
        usage.source.clone(),
        bytes(usage.bytes_today),
        bytes(usage.bytes_per_day_max),
        count(usage.objects_today),
        count(usage.objects_per_day_max),
        count(usage.objects_last_hour),
        bytes(usage.bytes),
    ]
}
