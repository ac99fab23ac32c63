//! Outages: telling of one holds nobody else up.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_sidecar::audit::{AuditError, Medium};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{Desk, until};

/// A log of the sidecar's that nobody reads: whoever tells something waits.
struct Unread(Mutex<Receiver<()>>);

impl Subscriber for Unread {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        let _ = self.0.lock().unwrap().recv();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Lines that go nowhere, or nowhere with an error.
#[derive(Default)]
struct Nowhere(Arc<AtomicBool>);

impl Medium for Nowhere {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn begin(&mut self, _: u64, _: &[u8]) -> io::Result<Option<File>> {
        Ok(None)
    }
    fn length(&self) -> Option<u64> {
        Some(0)
    }
    fn name(&self) -> String {
        String::new()
    }
    fn prune(&mut self, _: usize) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[test]
fn a_log_of_the_sidecars_that_nobody_reads_holds_up_only_who_tells() {
    let desk = Desk::new();
    let medium = Nowhere::default();
    let fails = Arc::clone(&medium.0);
    let sink = desk.on(medium, Duration::from_millis(100));
    desk.write(&sink, 1).unwrap();
    fails.store(true, Ordering::SeqCst);
    let (read, unread) = channel();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            let unread = Unread(Mutex::new(unread));
            tracing::subscriber::with_default(unread, || desk.write(&sink, 2))
        });
        // told or not, it has begun
        let (done, answered) = channel();
        scope.spawn({
            let (desk, sink) = (&desk, &sink);
            move || {
                until(|| sink.trouble().is_some());
                done.send(desk.write(sink, 3)).unwrap();
            }
        });
        let answer = answered.recv_timeout(Duration::from_secs(20));
        drop(read);
        assert_eq!(answer, Ok(Err(AuditError::Late)));
        assert_eq!(teller.join().unwrap(), Err(AuditError::Io(io::ErrorKind::Other)));
    });
}
