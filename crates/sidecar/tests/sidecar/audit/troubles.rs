//! Outages: telling of one holds nobody else up.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use strongroom_sidecar::audit::AuditError;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::media::faulty;
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

#[test]
fn a_log_of_the_sidecars_that_nobody_reads_holds_up_only_who_tells() {
    let desk = Desk::new();
    let (medium, faults) = faulty(&desk);
    let sink = desk.on(medium, Duration::from_millis(100));
    desk.write(&sink, 1).unwrap();
    faults.set(Some(io::ErrorKind::Other));
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
