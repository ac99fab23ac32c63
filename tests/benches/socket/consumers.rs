//! From the start of a commit to a consumer: the file of an injected directory, and a watcher of
//! the socket that then reads the value.

use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::client::{self, Connection};
use super::kit::{line, percentile, show};
use super::world::{PATH, Sidecar, TARGET, World};

const CHANGES: usize = 500;
/// As an operator would: not in a burst.
const PAUSE: Duration = Duration::from_millis(5);

pub fn run() {
    let world = World::new();
    // where the documentation says to put them
    let tmpfs = Path::new("/dev/shm");
    let parent = if tmpfs.is_dir() {
        tmpfs
    } else {
        world.directory.path()
    };
    let files = tempfile::tempdir_in(parent).unwrap();
    let more = format!("[[files]]\ndirectory = \"{}\"", files.path().display());
    let sidecar = Sidecar::start(&world, "web", &more);
    to_file(&world, files.path());
    to_watcher(&world, &sidecar);
}

fn to_file(world: &World, directory: &Path) {
    let file = directory.join(PATH);
    super::process::until("the first files", || file.exists());
    let notify = inotify::init(CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&notify, directory, WatchFlags::MOVED_TO).unwrap();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&notify, &mut buffer);
    let mut change = || {
        let start = Instant::now();
        let value = world.change();
        // the switch may have been noticed for another name first: only the value counts
        while std::fs::read_to_string(&file).unwrap() != value {
            reader.next().unwrap();
        }
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..CHANGES).map(|_| paced(&mut change)).collect();
    report(
        "commit to the new value in a consumer's file, 100 files",
        &mut times,
    );
}

fn to_watcher(world: &World, sidecar: &Sidecar) {
    let mut watch = UnixStream::connect(&sidecar.socket).unwrap();
    watch.write_all(&client::request("/api/v1/watch")).unwrap();
    let (mut connection, _) = Connection::open(&sidecar.socket, TARGET);
    let mut buffer = vec![0; 8192];
    let _ = watch.read(&mut buffer).unwrap();
    let mut event = Vec::new();
    let mut value = Vec::new();
    for _ in 0..CHANGES {
        paced(&mut || {
            let start = Instant::now();
            let new = world.change();
            loop {
                let count = watch.read(&mut buffer).unwrap();
                assert!(count > 0, "the watcher was cut off");
                if buffer[..count]
                    .windows(PATH.len())
                    .any(|seen| seen == PATH.as_bytes())
                {
                    break;
                }
            }
            event.push(start.elapsed());
            assert!(
                connection
                    .learn()
                    .windows(new.len())
                    .any(|seen| seen == new.as_bytes())
            );
            value.push(start.elapsed());
            Duration::ZERO
        });
    }
    report("commit to the event at a watcher of the socket", &mut event);
    report("commit to the new value at a client of the socket", &mut value);
}

fn paced(change: &mut impl FnMut() -> Duration) -> Duration {
    std::thread::sleep(PAUSE);
    change()
}

fn report(what: &str, times: &mut [Duration]) {
    let p99 = percentile(times, 99);
    line(
        &format!("{what}, p50 / p99 of {}", times.len()),
        &format!("{} / {}", show(percentile(times, 50)), show(p99)),
        "p99 under 10 ms",
        p99 < Duration::from_millis(10),
    );
}
