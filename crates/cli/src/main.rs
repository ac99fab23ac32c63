//! `strongroom`: manages and rotates secrets, config and flags. Owns the order of a run: parse,
//! resolve the settings, do one command, end with its exit code.

mod args;
mod change;
mod checkup;
mod command;
mod conflict;
mod context;
mod differing;
mod dotenv;
mod editor;
mod error;
mod generated;
mod material;
mod moment;
mod open;
mod output;
mod progress;
mod prompt;
mod reads;
mod settings;
mod settings_file;
mod source;
mod tree;
mod unique;
mod usage;
mod value;
mod wiped;
mod workload;
mod yaml;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Wipes whatever is freed: the only cover for buffers that are not ours.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    strongroom_core::crypto::heap::is_wiped_when_freed();
    // Plaintext passes through this process: it leaves no core dump and nobody of the same user attaches.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage::show(error, args::asks_for_json())),
    };
    let json = cli.json;
    match command::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::show_error(&error, json);
            ExitCode::from(error.exit as u8)
        }
    }
}
