//! OpenFeature's clients: owns how a test runs a program with those that `scripts/flag-clients.sh` installs, or one of
//! ours, and reads what it prints. It must not know what a test asserts.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, Once};
use std::time::Instant;

use serde_json::Value;

use crate::component::lacking;
use crate::program::{cargo, workspace};
use crate::scene::Scene;
use crate::wait::PATIENCE;

/// Where the clients are; `None`, said aloud, where they are not installed.
#[must_use]
pub fn home(what: &str) -> Option<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let home = target.join("flag-clients");
    // written when all are there
    if !home.join("pins").is_file() {
        lacking("target/flag-clients (scripts/flag-clients.sh)", what);
        return None;
    }
    Some(home)
}

/// Python with the clients.
#[must_use]
pub fn python(home: &Path) -> PathBuf {
    home.join("python/bin/python")
}

/// An example with OpenFeature's own provider for Rust, built from the sources at hand with the crates that were
/// installed.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn rust(home: &Path, name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let target = home.join("rust");
    BUILT.call_once(|| {
        let built = cargo()
            .args(["build", "--quiet", "--locked", "--offline", "--manifest-path"])
            .arg("tests/flag_clients/rust/Cargo.toml")
            .arg("--target-dir")
            .arg(&target)
            .env("PROTOC", home.join("protoc"))
            .status();
        assert!(built.unwrap().success(), "the examples in Rust do not build");
    });
    target.join("debug").join(name)
}

/// What an example shows of a flag: its value, variant, and reason or error.
pub type Flag = (Value, String, String);

/// What an example shows at once.
#[derive(Clone, Debug)]
pub struct Shown {
    /// When its first line came.
    pub at: Instant,
    /// Why it is shown.
    pub why: String,
    /// By key.
    pub flags: BTreeMap<String, Flag>,
}

/// A running example; killed when dropped.
#[derive(Debug)]
pub struct Example {
    child: Child,
    shown: Receiver<Shown>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Example {
    /// Runs one of `examples/flags` against `socket`.
    #[must_use]
    pub fn start(scene: &Scene, home: &Path, name: &str, socket: &Path, arguments: &[&str]) -> Self {
        let directory = scene.file("examples");
        if !directory.exists() {
            std::fs::create_dir(&directory).unwrap();
            for file in std::fs::read_dir(workspace().join("examples/flags")).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), directory.join(file.file_name())).unwrap();
            }
            // Node looks for modules beside and above the program
            let modules = home.join("node/node_modules");
            std::os::unix::fs::symlink(modules, directory.join("node_modules")).unwrap();
        }
        let program = directory.join(name);
        let mut command = match program.extension() {
            Some(python) if python == "py" => scene.command(self::python(home)),
            _ => scene.command("node"),
        };
        Self::run(command.arg(program).arg(socket).args(arguments))
    }

    /// Runs any program that shows flags as those do.
    #[must_use]
    pub fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = Arc::default();
        crate::container::collect(child.stderr.take().unwrap(), &errors);
        let (send, shown) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut part: Option<Shown> = None;
            for line in output.lines().map_while(Result::ok) {
                match &mut part {
                    Some(_) if line.is_empty() => {
                        let _ = send.send(part.take().unwrap());
                    }
                    Some(part) => {
                        let (key, flag) = read(&line);
                        part.flags.insert(key, flag);
                    }
                    None => {
                        part = Some(Shown {
                            at: Instant::now(),
                            why: line,
                            flags: BTreeMap::new(),
                        });
                    }
                }
            }
        });
        Self { child, shown, errors }
    }

    /// The next that it shows for which `is_it`; what comes before is passed over.
    ///
    /// # Panics
    /// When it does not come, with what the program said instead.
    pub fn until(&self, what: &str, is_it: impl Fn(&Shown) -> bool) -> Shown {
        let start = Instant::now();
        let mut others = Vec::new();
        while let Ok(shown) = self.shown.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
            if is_it(&shown) {
                return shown;
            }
            others.push(shown);
        }
        let errors = self.errors.lock().unwrap().join("\n");
        panic!("{what}: it came to {others:#?}\nand said:\n{errors}")
    }
}

/// `KEY = VALUE (VARIANT, REASON)`.
fn read(line: &str) -> (String, Flag) {
    let parts = line.split_once(" = ").and_then(|(key, rest)| {
        let (value, rest) = rest.rsplit_once(" (")?;
        let (variant, reason) = rest.strip_suffix(')')?.split_once(", ")?;
        let value = serde_json::from_str(value).ok()?;
        Some((key.to_owned(), (value, variant.to_owned(), reason.to_owned())))
    });
    parts.unwrap_or_else(|| panic!("no flag is shown by {line:?}"))
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
