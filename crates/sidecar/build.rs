//! Makes messages and services of the protocols under `proto/`. No program is needed for it.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 3] = [
    "flagd/evaluation/v1/evaluation.proto",
    "flagd/evaluation/v2/evaluation.proto",
    "flagd/sync/v1/sync.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_files(FILES)?;
    let set = Path::new(&std::env::var("OUT_DIR")?).join("protocols.bin");
    std::fs::write(&set, compiler.encode_file_descriptor_set())?;
    connectrpc_build::Config::new()
        .descriptor_set(set)
        .files(&FILES)
        .include_file("protocols.rs")
        // It would name the descriptors, which are written here: every build would find them newer and build again.
        .emit_rerun_directives(false)
        .compile()?;
    Ok(())
}
