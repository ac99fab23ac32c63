//! `verify`: checks every signature, hash and record there ever was.

use serde::Serialize;
use strongroom_core::vault::Verification;

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open;
use crate::progress::Progress;

const EXAMPLES: &str = "\
Reads the whole history: every commit's signature and place in the chain, every sealed object's
hash, and every record that this identity opens. Ends with exit code 4 at the first thing that broke.

Commits by admins write a checkpoint now and then. In a store that only writers change, let an admin's
job run it with --checkpoint, or opening takes longer with every commit.

Examples:
  strongroom verify
  strongroom verify --checkpoint";

/// Verify every signature, hash and record of the store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Then write a checkpoint, so that opening the store verifies no commit before it (admins)
    #[arg(long)]
    checkpoint: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    store: String,
    fingerprint: String,
    commits: u64,
    objects: u64,
    opened: u64,
    revision: u64,
    hash: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = if args.checkpoint {
        open::writer(&context.settings)?
    } else {
        open::reader(&context.settings)?
    };
    let progress = Progress::new("verifying");
    let checked = opened.vault.verify(&mut |done, total| progress.show(done, total));
    drop(progress);
    let Verification {
        commits,
        objects,
        opened: records,
        revision,
        hash,
    } = checked?;
    if args.checkpoint && !opened.vault.checkpoint()? {
        return Err(CliError::new(
            Exit::Denied,
            "only an admin's checkpoint counts: nothing was written",
        ));
    }
    let verified = Verified {
        store: opened.vault.location(),
        fingerprint: opened.vault.snapshot().fingerprint().to_string(),
        commits,
        objects,
        opened: records,
        revision: revision.0,
        hash: hash.to_string(),
    };
    let text = format!(
        "{} is whole\n{commits} commits, {objects} sealed objects, {records} records opened\n\
         revision {revision}\nhash {hash}\nfingerprint {}\n",
        verified.store, verified.fingerprint,
    );
    context.output.answer(&verified, &text)
}
