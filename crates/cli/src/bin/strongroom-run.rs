//! `strongroom-run`: runs a command with the values of a sidecar, in any container. Owns the
//! program's beginning and end only.

use std::io::Write as _;
use std::process::ExitCode;

use strongroom_cli::run::args::{self, Asked};
use strongroom_cli::run::{self, socket::Sidecar};

/// Wipes whatever is freed: the only cover for buffers that are not ours.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let socket = std::env::var_os("STRONGROOM_SOCKET").filter(|path| !path.is_empty());
    match args::parse(std::env::args_os().skip(1), socket) {
        Ok(Asked::Help) => print(args::HELP),
        Ok(Asked::Version) => print(concat!("strongroom-run ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Asked::Run(asked)) => {
            let wanted = asked.options.process.wanted();
            match Sidecar::new(asked.socket, wanted, asked.wait) {
                Ok(source) => ExitCode::from(run::supervise(source, asked.options)),
                Err(error) => fail(&error.message, error.exit),
            }
        }
        Err(problem) => fail(&format!("{problem}; see strongroom-run --help"), 2),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    // there is nowhere left to complain to
    let _ = writeln!(std::io::stderr(), "strongroom-run: {message}");
    ExitCode::from(code)
}
