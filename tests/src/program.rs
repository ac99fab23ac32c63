//! Programs of the workspace: owns how a test finds or builds them. Cargo builds a package's
//! programs for that package's own tests only, so this kit asks cargo for them once a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set by `scripts/unit.sh`, where one cargo call has built every program before the first test.
const PREBUILT: &str = "STRONGROOM_TESTS_PREBUILT";

/// The workspace's root.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
}

/// The path of `strongroom` or `strongroom-sidecar` as built from the sources at hand.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        // target/PROFILE/deps/TEST-HASH
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test
            .ancestors()
            .nth(2)
            .expect("a test lies in target/PROFILE/deps")
            .to_path_buf();
        let complete = ["strongroom", "strongroom-sidecar", "strongroom-run"]
            .iter()
            .all(|program| profile.join(program).exists());
        if !(complete && std::env::var_os(PREBUILT).is_some()) {
            build();
        }
        profile
    });
    let path = directory.join(name);
    assert!(path.exists(), "{} was not built", path.display());
    path
}

/// An example of one of the libraries, as built from the sources at hand.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    path("strongroom")
        .parent()
        .expect("a program lies in a directory")
        .join("examples")
        .join(name)
}

fn build() {
    let status = cargo()
        .args(["build", "--quiet", "--locked", "--all-features", "--workspace"])
        .args(["--bins", "--example", "embed"])
        .args(["--example", "in_process", "--example", "socket"])
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the programs do not build");
}

/// `strongroom-run` as it is mounted into containers: static, small, no libraries to load.
#[must_use]
pub fn static_run() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| script("build-run.sh")).clone()
}

/// The example application of `examples/consumer`, static like `strongroom-run`.
#[must_use]
pub fn static_consumer() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| script("build-consumer.sh")).clone()
}

/// Runs a build script that prints the path of what it built as its last line.
fn script(name: &str) -> PathBuf {
    let output = Command::new(workspace().join("scripts").join(name))
        .current_dir(workspace())
        .output()
        .unwrap_or_else(|error| panic!("scripts/{name}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "scripts/{name} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = workspace().join(text.lines().last().unwrap_or_default());
    assert!(path.is_file(), "scripts/{name} printed no path of a file");
    path
}

/// Cargo itself, in the workspace.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace());
    cargo
}
