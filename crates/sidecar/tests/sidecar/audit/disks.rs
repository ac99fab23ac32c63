//! The next file and the way to the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use strongroom_sidecar::audit::{Attempt, AuditError, Durability, Files, Medium as _, Options, Rest};

use super::media::{Between, Faults, Over};
use super::{Desk, told, until};

/// Begins its second file when it is let, and never gets the first one to the disk.
struct Slow {
    faults: Arc<Faults>,
    begun: u64,
    begins: Sender<()>,
    may_begin: Receiver<()>,
    synced: Option<Receiver<()>>,
}

impl Between for Slow {
    fn append(&mut self, files: &mut Files, bytes: &[u8]) -> io::Result<()> {
        self.faults.append(files, bytes)
    }
    fn begin(
        &mut self,
        files: &mut Files,
        first: u64,
        bytes: &[u8],
        durability: Durability,
    ) -> io::Result<Option<Rest>> {
        self.begun += 1;
        if self.begun != 2 {
            return files.begin(first, bytes, durability);
        }
        self.begins.send(()).unwrap();
        let _ = self.may_begin.recv();
        files.begin(first, bytes, durability)?;
        let synced = self.synced.take().unwrap();
        Ok(Some(Box::new(move || {
            let _ = synced.recv();
            Ok(())
        })))
    }
}

#[test]
fn nobody_waits_for_a_whole_file_to_reach_the_disk() {
    let desk = Desk::new();
    let (begins, begun) = channel();
    let (may_begin, begin) = channel();
    let (on_disk, synced) = channel();
    let faults: Arc<Faults> = Arc::default();
    let slow = Slow {
        faults: Arc::clone(&faults),
        begun: 0,
        begins,
        may_begin: begin,
        synced: Some(synced),
    };
    let sink = desk.with(
        Over::new(&desk, slow),
        Options {
            rotate_bytes: 4096,
            timeout: Duration::from_secs(10),
            ..desk.options()
        },
    );
    let mut request = 0;
    until(|| {
        sink.try_write(&desk.record(request)).detach();
        request += 1;
        begun.try_recv().is_ok()
    });
    // the next file is being begun, which is too slow for nobody
    let Attempt::Pending(pending) = sink.try_write(&desk.record(1000)) else {
        panic!("the sink's thread has the lock")
    };
    may_begin.send(()).unwrap();
    drop(pending.wait().unwrap());
    // after an error only the sink's thread writes, and it has nothing else to do either
    faults.set(Some(io::ErrorKind::Other));
    let refused = desk.write(&sink, 1001);
    assert_eq!(refused, Err(AuditError::Io(io::ErrorKind::Other)));
    faults.set(None);
    until(|| sink.trouble().is_none());
    desk.write(&sink, 1002).unwrap();
    drop(on_disk);
    drop(sink);
    desk.whole();
}

/// A disk of which the kernel forgets what could not be brought there.
struct Forgetful {
    fails: Arc<AtomicBool>,
    file: std::path::PathBuf,
    flushed: u64,
}

impl Between for Forgetful {
    fn flush(&mut self, files: &mut Files) -> io::Result<()> {
        let length = files.length().unwrap();
        if !self.fails.load(Ordering::SeqCst) {
            self.flushed = length;
            return files.flush();
        }
        let lost = vec![0; usize::try_from(length - self.flushed).unwrap()];
        let file = File::options().write(true).open(&self.file)?;
        file.write_all_at(&lost, self.flushed)?;
        Err(io::ErrorKind::Other.into())
    }
}

#[test]
fn what_a_failed_flush_may_have_lost_leaves_no_hole() {
    let desk = Desk::new();
    let fails: Arc<AtomicBool> = Arc::default();
    let forgetful = Forgetful {
        fails: Arc::clone(&fails),
        file: desk.directory().join(strongroom_core::audit::file_name(1)),
        flushed: 0,
    };
    let sink = desk.with(
        Over::new(&desk, forgetful),
        Options {
            durability: Durability::Fsync,
            timeout: Duration::from_secs(20),
            ..desk.options()
        },
    );
    desk.write(&sink, 1).unwrap();
    fails.store(true, Ordering::SeqCst);
    let refused = Err(AuditError::Io(io::ErrorKind::Other));
    assert_eq!(desk.write(&sink, 2), refused);
    assert_eq!(desk.write(&sink, 3), refused);
    fails.store(false, Ordering::SeqCst);
    until(|| sink.trouble().is_none());
    desk.write(&sink, 4).unwrap();
    sink.stop();
    assert!(desk.whole().closed);
    assert_eq!(told(&desk.directory()).0, [1, 4]);
}
