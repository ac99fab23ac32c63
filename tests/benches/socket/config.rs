//! From a commit that changes one key of a document, in a store of 10,000 entries, to the file that it is
//! delivered as; beside the same for a secret in a store that has nothing else.

use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use strongroom_core::config::Format;
use strongroom_core::kind::Kind;
use strongroom_core::vault::Edit;
use tempfile::TempDir;

use super::kit::{note, percentile, row};
use super::vault_kit::{change, put, secret};
use super::world::{Sidecar, World};

const ENTRIES: usize = 10_000;
const CHANGES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(5);

pub fn run() {
    let small = Delivery::new("secret", 0, |number| {
        secret("prod", "web", text(number).as_bytes())
    });
    let large = Delivery::new("document", ENTRIES, |number| {
        put(
            "prod",
            "web",
            Kind::Config,
            Format::Toml,
            document(number).as_bytes(),
        )
    });
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for number in 1..=CHANGES {
        // in turn, so that a noisy moment strikes both
        of_small.push(small.change(number, &text(number)));
        of_large.push(large.change(number, &document(number)));
    }
    let mut at = |percent| {
        (
            percentile(&mut of_large, percent),
            percentile(&mut of_small, percent),
        )
    };
    let what = "commit of one key to the file, 10,000 entries";
    let (large, small) = at(50);
    note(
        &format!("{what}, p50 of {CHANGES}"),
        "a secret, nothing else stored",
        large,
        small,
    );
    let (large, small) = at(99);
    row(
        &format!("{what}, p99 of {CHANGES}"),
        "a secret, nothing else stored",
        large,
        small,
        2.0,
    );
}

fn text(number: u32) -> String {
    format!("{number:064}")
}

/// 200 keys, of which one is `number`.
fn document(number: u32) -> String {
    let mut text = format!("changing = {number}\n");
    for table in 0..20 {
        let _ = writeln!(text, "[table-{table}]");
        for key in 0..10 {
            let _ = writeln!(text, "key-{key} = \"value {table} {key}\"");
        }
    }
    text
}

/// A store, a sidecar and the file that `web` is delivered as.
struct Delivery<F> {
    world: World,
    _sidecar: Sidecar,
    _files: TempDir,
    file: PathBuf,
    notify: OwnedFd,
    edit: F,
}

impl<F: Fn(u32) -> Edit> Delivery<F> {
    fn new(name: &str, others: usize, edit: F) -> Self {
        let world = World::bare();
        world.vault().commit(&change(vec![edit(0)])).unwrap();
        for chunk in (0..others).collect::<Vec<_>>().chunks(1000) {
            let edits = chunk.iter().map(|number| match number % 100 {
                0 => {
                    let path = format!("others/document-{number}");
                    put("prod", &path, Kind::Config, Format::Toml, document(0).as_bytes())
                }
                _ => secret("prod", &format!("others/secret-{number}"), &[b'x'; 64]),
            });
            world.vault().commit(&change(edits.collect())).unwrap();
        }
        let tmpfs = Path::new("/dev/shm");
        let parent = if tmpfs.is_dir() {
            tmpfs
        } else {
            world.directory.path()
        };
        let files = tempfile::tempdir_in(parent).unwrap();
        let directory = files.path().display();
        let more =
            format!("[[files]]\ndirectory = \"{directory}\"\nderive = false\nnames = {{ web = \"web\" }}");
        let sidecar = Sidecar::start(&world, name, &more);
        let file = files.path().join("web");
        super::process::until("the first file", || file.exists());
        let notify = inotify::init(CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&notify, files.path(), WatchFlags::MOVED_TO).unwrap();
        Self {
            world,
            _sidecar: sidecar,
            _files: files,
            file,
            notify,
            edit,
        }
    }

    fn change(&self, number: u32, delivered: &str) -> Duration {
        std::thread::sleep(PAUSE);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.notify, &mut buffer);
        let change = change(vec![(self.edit)(number)]);
        let start = Instant::now();
        self.world.vault().commit(&change).unwrap();
        while std::fs::read_to_string(&self.file).unwrap() != delivered {
            reader.next().unwrap();
        }
        start.elapsed()
    }
}
