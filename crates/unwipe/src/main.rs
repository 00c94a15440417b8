//! The `unwipe` command: keeps a copy that production's credentials cannot destroy, and brings back what was.

mod accounts;
mod agents;
mod arguments;
mod commands;
mod connectors;
mod context;
mod exit;
mod failure;
mod output;
mod progress;
mod rehearse;
mod workshop;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    arguments::{Arguments, Verb},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::Output,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let no_colour = context::environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let output = Output::new(arguments.json, arguments.quiet, no_colour);
    match run(arguments, output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            Output::fail(&failure);
            failure.exit.into()
        }
    }
}

fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    if arguments.mirror.is_some() && !arguments.verb.only_reads() {
        return Err(Failure::new(Exit::Usage, "--mirror is for commands that only read the vault")
            .hint("unwipe mirror --help"));
    }
    let context = Context::new(arguments.home, arguments.mirror, output)?;
    match arguments.verb {
        Verb::Init(options) => commands::init::run(&context, &options),
        Verb::Protect(options) => commands::protect::run(&context, options),
        Verb::Guard(options) => commands::guard::run(&context, options),
        Verb::Capture(options) => commands::capture::run(&context, &options),
        Verb::Serve(options) => commands::serve::run(&context, &options),
        Verb::Sources => commands::sources::run(&context),
        Verb::Timeline(options) => commands::timeline::run(&context, &options),
        Verb::Show(options) => commands::show::run(&context, &options),
        Verb::Find(options) => commands::files::run_find(&context, &options),
        Verb::Search(options) => commands::browse::search(&context, &options),
        Verb::Versions(options) => commands::browse::versions(&context, &options),
        Verb::Diff(options) => commands::browse::diff(&context, &options),
        Verb::Rewind(options) => commands::rewind::run(&context, &options),
        Verb::Approve(options) => commands::approve::run(&context, &options),
        Verb::Apply(options) => commands::apply::run(&context, &options),
        Verb::Cases(options) => commands::cases::run(&context, options),
        Verb::Head(options) => commands::head::run(&context, &options),
        Verb::Witness(options) => commands::witness::run(&context, &options),
        Verb::Verify(options) => commands::verify::run(&context, &options),
        Verb::Mirror(options) => commands::mirror::run(&context, options),
        Verb::Retention(options) => commands::retention::run(&context, options.action),
        Verb::Vault(options) => commands::vault::run(&context, options),
        Verb::Keys(options) => commands::keys::run(&context, options),
        Verb::Doctor(options) => commands::doctor::run(&context, &options),
        Verb::Person(options) => commands::person::run(&context, options),
        Verb::Token(options) => commands::token::run(&context, options),
        Verb::Siege(options) => commands::siege::run(&context, &options),
        Verb::Log(options) => commands::log::run(&context, &options),
        Verb::Rehearse(options) => rehearse::run(&context, &options),
        Verb::Incidents(options) => commands::incidents::run(&context, options),
        Verb::Contain(options) => commands::contain::run(&context, &options),
        Verb::Expect(options) => commands::expect::run(&context, &options),
        Verb::Mcp(options) => commands::mcp::run(&context, &options),
        Verb::Export(options) => commands::export::run(&context, &options),
        Verb::Shadow(options) => commands::shadow::run(&context, options),
        Verb::Drill(options) => commands::drill::run(&context, options),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "unwipe", &mut std::io::stdout());
            Ok(Exit::Done)
        }
        Verb::Reference { folder } => commands::reference::run(&context, &folder),
        Verb::Man { folder } => {
            ports::files::create_folder(&folder)?;
            clap_mangen::generate_to(Arguments::command(), &folder)?;
            Ok(Exit::Done)
        }
    }
}
