//! The sidecar's binary: owns the exit code. Everything else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use strongroom_sidecar::args::Args;
use strongroom_sidecar::settings::{Settings, Surroundings, keys};
use strongroom_sidecar::{error::StartError, run};

/// Wipes whatever is freed: the only cover for the buffers of others, HTTP's and JSON's above all.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    strongroom_core::crypto::heap::is_wiped_when_freed();
    // before anything else: taking over a descriptor changes the environment, which is safe only
    // while there is one thread
    let activated = listenfd::ListenFd::from_env().take_unix_listener(0);
    let args = Args::parse();
    let ended = if args.example_settings {
        say(&keys::example());
        Ok(())
    } else {
        start(&args, activated)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "strongroom-sidecar: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(
    args: &Args,
    activated: std::io::Result<Option<std::os::unix::net::UnixListener>>,
) -> Result<(), StartError> {
    let around = Surroundings::of_process(args.settings.as_deref().unwrap_or("".as_ref()));
    let settings = Settings::load(&around)?;
    if args.check {
        say("the settings are valid\n");
        return Ok(());
    }
    let activated = activated.map_err(|source| StartError::System {
        action: "take over the service manager's socket",
        source,
    })?;
    run::run(settings, around, activated)
}

/// Nothing can be done when nobody reads.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
