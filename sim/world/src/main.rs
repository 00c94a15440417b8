//! Runs worlds: one seed, a range of seeds, or as many as fit into some minutes.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use ports::{Clock, SystemClock};
use world::crash;
use world::runner::{self, Run, STEPS};

/// Runs simulated worlds and shows the first violation of what must always hold.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs this seed.
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// Runs a range of seeds: 100..200.
    #[arg(long, value_parser = range, conflicts_with = "minutes")]
    seeds: Option<std::ops::Range<u64>>,
    /// Runs one seed after the other until the time is over.
    #[arg(long)]
    minutes: Option<u64>,
    /// How many things happen in one run.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// Runs only these steps of the seed: 3,17,18.
    #[arg(long, value_delimiter = ',', requires = "seed")]
    only: Vec<u64>,
    /// Prints all that happens.
    #[arg(long)]
    trace: bool,
    /// Cuts the power at every sync of a real process, for so many rounds of work; needs strace.
    #[arg(long, value_name = "ROUNDS", conflicts_with_all = ["seeds", "minutes"])]
    cuts: Option<u64>,
    /// Is that process.
    #[arg(long, hide = true)]
    driver: Option<PathBuf>,
    /// How long it works.
    #[arg(long, hide = true, default_value_t = 1)]
    rounds: u64,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (start, end) = text.split_once("..").ok_or("a range is written 100..200")?;
    let number = |text: &str| text.parse::<u64>().map_err(|e| e.to_string());
    Ok(number(start)?..number(end)?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or(1);
    if let Some(root) = &arguments.driver {
        return exit(crash::driver::drive(root, seed, arguments.rounds).map_err(|error| error.to_string()));
    }
    if let Some(rounds) = arguments.cuts {
        return exit(cut(seed, rounds));
    }
    let clock = SystemClock::new();
    let started = clock.now().as_micros() as u64;
    let seeds: Box<dyn Iterator<Item = u64>> = match (arguments.seed, &arguments.seeds, arguments.minutes) {
        (Some(seed), _, _) => Box::new(std::iter::once(seed)),
        (_, Some(seeds), _) => Box::new(seeds.clone()),
        // Every night begins with other seeds.
        (_, _, Some(minutes)) => Box::new(
            (started % 1_000_000_000..).take_while(move |_| clock.elapsed().as_secs() < minutes * 60),
        ),
        _ => Box::new(0..20),
    };
    let (mut runs, mut reported) = (0_u64, 0);
    for seed in seeds {
        let run = one(seed, &arguments);
        runs += 1;
        if arguments.trace {
            say(run.trace.text());
        }
        if let Some(failure) = &run.failure {
            let shown = if arguments.only.is_empty() { runner::shorten(failure) } else { failure.clone() };
            say(&format!("{shown}\n"));
            return ExitCode::FAILURE;
        }
        let elapsed = SystemClock::now(&clock).as_micros() as u64 - started;
        if elapsed / 10_000_000 > reported || arguments.seed.is_some() {
            reported = elapsed / 10_000_000;
            say(&format!(
                "{runs} worlds are sound; seed {seed} has the trace {}; {:?}\n",
                run.trace.digest(),
                run.counts
            ));
        }
    }
    say(&format!("{runs} worlds are sound\n"));
    ExitCode::SUCCESS
}

fn cut(seed: u64, rounds: u64) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let cuts = crash::sweep(&program, seed, rounds, 4).map_err(|error| error.to_string())?;
    say(&format!("{cuts:?}\n"));
    Ok(())
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            std::io::stderr().write_all(format!("error: {error}\n").as_bytes()).ok();
            ExitCode::FAILURE
        }
    }
}

fn one(seed: u64, arguments: &Arguments) -> Run {
    if arguments.only.is_empty() {
        runner::run(seed, arguments.steps)
    } else {
        runner::run_steps(seed, &arguments.only)
    }
}

fn say(text: &str) {
    // Whoever closed the pipe does not want to know.
    std::io::stdout().write_all(text.as_bytes()).ok();
}
