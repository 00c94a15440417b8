//! `unwipe witness`

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use model::Moment;
use serde::Serialize;
use witness::{LogState, Refusal, Witness, WitnessError, WitnessKey};

use crate::{
    arguments::{Witness as Options, WitnessAction},
    context::{Context, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{Style, count, table},
};

#[derive(Serialize)]
struct Key {
    key: String,
}

#[derive(Serialize)]
struct Answer {
    signature: String,
}

#[derive(Serialize)]
struct Log {
    origin: String,
    size: u64,
    grown_at: Option<Moment>,
    age_s: Option<i64>,
    seen_at: Option<Moment>,
    silent: bool,
    fork: Option<Moment>,
}

const STOP_CHECK: Duration = Duration::from_millis(200);

pub(crate) fn run(context: &Context, options: &Options) -> Result<Exit, Failure> {
    let folder = options.state.clone().unwrap_or_else(|| context.home.join("witness"));
    let open = || Witness::open(&folder, context.clock());
    match &options.action {
        WitnessAction::Init { name, new } => {
            let witness = Witness::init(&folder, name, *new, context.clock(), &*context.ports.random)?;
            print_key(context, &witness.key().to_string())
        }
        WitnessAction::Key => {
            let key = WitnessKey::read(&folder.join("witness.key")).map_err(WitnessError::from)?;
            print_key(context, &key.public().to_string())
        }
        WitnessAction::Watch { key } => {
            let log = key
                .parse()
                .map_err(|error| Failure::because(Exit::Usage, "this is no key of a vault", error))?;
            open()?.watch(&log)?;
            context.output.say(format!("watching {}", log.name()));
            Ok(Exit::Done)
        }
        WitnessAction::Serve { listen } => serve(context, open()?, *listen),
        WitnessAction::Cosign { file } => cosign(context, &mut open()?, file),
        WitnessAction::Status { max_age } => status(context, &Witness::logs(&folder)?, *max_age),
    }
}

fn print_key(context: &Context, key: &str) -> Result<Exit, Failure> {
    let key = Key { key: key.to_owned() };
    context.output.result(&key, || format!("{}\n", key.key))?;
    Ok(Exit::Done)
}

fn serve(context: &Context, witness: Witness, listen: SocketAddr) -> Result<Exit, Failure> {
    let stop = stop_on_signals()?;
    let key = witness.key().to_string();
    let server = witness::start(witness, listen)
        .map_err(|error| Failure::because(Exit::Failed, "the witness cannot be reached", error))?;
    context.output.say(format!("{key}\nanswering at http://{}; end with Ctrl-C", server.address()));
    while !stop.is_requested() {
        if !server.is_running() {
            return Err(Failure::new(Exit::Failed, "the witness's server ended by itself"));
        }
        context.clock().sleep(STOP_CHECK);
    }
    Ok(Exit::Done)
}

fn cosign(context: &Context, witness: &mut Witness, file: &Path) -> Result<Exit, Failure> {
    let request = ports::files::read_text(file)?.replace("\r\n", "\n");
    let signature = witness.add_checkpoint(&request).map_err(|refusal| {
        let (exit, hint) = match &refusal {
            Refusal::OldSize { size } => {
                (Exit::Failed, Some(format!("beside the vault: unwipe head request --old {size}")))
            }
            Refusal::Fork { .. } => {
                (Exit::Tampering, Some("compare: unwipe verify --against FILE".to_owned()))
            }
            Refusal::UnknownOrigin { .. } => {
                (Exit::Failed, Some("unwipe witness watch KEY, with what unwipe head key prints".to_owned()))
            }
            _ => (Exit::Failed, None),
        };
        Failure::because(exit, "the checkpoint was not cosigned", refusal).hint_opt(hint)
    })?;
    let answer = Answer { signature };
    context.output.result(&answer, || answer.signature.clone())?;
    Ok(Exit::Done)
}

fn status(
    context: &Context,
    logs: &BTreeMap<String, LogState>,
    max_age: Option<Duration>,
) -> Result<Exit, Failure> {
    let now = context.clock().now();
    let describe = |(origin, state): (&String, &LogState)| {
        let age_s = state.grown_at.map(|at| now.micros_since(at) / 1_000_000);
        let max = max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        Log {
            origin: origin.clone(),
            size: state.size,
            grown_at: state.grown_at,
            age_s,
            seen_at: state.seen_at,
            silent: max.is_some_and(|max| age_s.is_none_or(|age| age > max)),
            fork: state.fork.as_ref().map(|fork| fork.at),
        }
    };
    let logs: Vec<_> = logs.iter().map(describe).collect();
    let output = context.output;
    output.result(&logs, || {
        let mut rows =
            vec![["VAULT", "COMMITS", "NEWEST CHECKPOINT", "LAST SEEN", "STATE"].map(str::to_owned).to_vec()];
        let time = |moment: Option<Moment>| moment.map_or_else(|| "never".to_owned(), |at| at.to_string());
        for log in &logs {
            let state = match (log.fork, log.silent) {
                (Some(at), _) => output.paint(Style::Bad, &format!("forked, seen at {at}")),
                (None, true) => output.paint(Style::Bad, "silent"),
                (None, false) => output.paint(Style::Good, "good"),
            };
            rows.push(vec![
                log.origin.clone(),
                count(log.size),
                time(log.grown_at),
                time(log.seen_at),
                state,
            ]);
        }
        table(&rows)
    })?;
    Ok(if logs.iter().any(|log| log.fork.is_some()) {
        Exit::Tampering
    } else if logs.iter().any(|log| log.silent) || (logs.is_empty() && max_age.is_some()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}
