//! Waiting for commits of other processes: owns the notification (inotify) and the slow look that
//! backs it. Every writer touches the store file after a commit, and the watch is on the file's
//! directory, so that it also sees the file being replaced, deleted and put back.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::connect::Link;
use super::read;
use crate::store::{Head, StoreError, StoreWatch, Wake, Waker};

/// How long a commit whose writer was killed before it could notify stays unseen, and how often
/// a store that is gone is looked for.
const SLOW_LOOK: Duration = Duration::from_secs(2);

/// See [`StoreWatch`].
pub(super) struct SqliteWatch {
    reader: Arc<Link>,
    /// The head last reported; None after an error, so that recovery is reported.
    reported: Option<Option<Head>>,
    inotify: OwnedFd,
    /// What is watched now, and the file's name in it; no name when it is the file itself.
    watched: Option<(i32, Option<OsString>)>,
    woken: Arc<OwnedFd>,
}

impl SqliteWatch {
    pub(super) fn new(reader: Arc<Link>) -> Result<Self, StoreError> {
        let failed = |error: Errno| {
            reader.place().unreachable(format!(
                "it cannot be watched: {error} (the limits are in /proc/sys/fs/inotify)"
            ))
        };
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let mut watch = Self {
            reader: Arc::clone(&reader),
            reported: None,
            inotify,
            watched: None,
            woken: Arc::new(woken),
        };
        // First the notification, then the head: a commit between the two is seen twice, not never.
        watch.arm()?;
        watch.reported = Some(watch.head()?);
        Ok(watch)
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.reader.run(|open| read::head(&open.connection))
    }

    /// Watches the directory that the file is in now; to be repeated, as it may be another one.
    fn arm(&mut self) -> Result<(), StoreError> {
        let path = self.reader.place().resolve()?;
        let events = WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let directory = path.parent().unwrap_or(&path);
        let (added, name) = match inotify::add_watch(&self.inotify, directory, events) {
            // Only to be passed through, not read: the file itself is the next best.
            Err(Errno::ACCESS) => (inotify::add_watch(&self.inotify, &path, events), None),
            added => (added, path.file_name().map(OsString::from)),
        };
        let number = added.map_err(|error| {
            self.reader.place().unreachable(format!(
                "it cannot be watched: {error} (the limits are in /proc/sys/fs/inotify)"
            ))
        })?;
        if let Some((old, _)) = self.watched.replace((number, name))
            && old != number
        {
            let _ = inotify::remove_watch(&self.inotify, old);
        }
        Ok(())
    }

    /// Takes all notifications; true if one concerns the store.
    fn notified(&mut self) -> bool {
        let mut concerns = false;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        // An error is the end of what there is to take.
        while let Ok(event) = events.next() {
            let lost = ReadFlags::QUEUE_OVERFLOW
                | ReadFlags::IGNORED
                | ReadFlags::DELETE_SELF
                | ReadFlags::MOVE_SELF
                | ReadFlags::UNMOUNT;
            let named = match &self.watched {
                Some((_, Some(name))) => event
                    .file_name()
                    .is_some_and(|found| found.to_bytes() == name.as_bytes()),
                _ => true,
            };
            concerns |= named || event.events().intersects(lost);
        }
        concerns
    }

    /// True if the head is not the one last reported.
    fn look(&mut self) -> Result<bool, StoreError> {
        let head = self.head().inspect_err(|_| self.reported = None)?;
        Ok(self.reported.replace(head) != Some(head))
    }

    /// Sleeps until a notification, a waker or the end of `time`; true if the waker ended it.
    fn sleep(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).ok();
        let mut wanted = [
            PollFd::new(&self.inotify, PollFlags::IN),
            PollFd::new(&*self.woken, PollFlags::IN),
        ];
        // Interrupted by a signal is as good as an early end.
        let _ = poll(&mut wanted, time.as_ref());
        rustix::io::read(&*self.woken, &mut [0; 8]).is_ok()
    }
}

impl StoreWatch for SqliteWatch {
    fn wait(&mut self, timeout: Duration) -> Result<Wake, StoreError> {
        let begin = Instant::now();
        let mut last_look = begin;
        // After an error it sleeps first, so that a caller in a loop does not spin.
        let mut due = self.reported.is_some();
        loop {
            if due {
                // What was notified before the look is answered by it.
                self.notified();
                last_look = Instant::now();
                if self.look()? {
                    return Ok(Wake::Changed);
                }
            }
            let left = timeout.saturating_sub(begin.elapsed());
            if left.is_zero() && due {
                return Ok(Wake::Idle);
            }
            let slow = SLOW_LOOK.saturating_sub(last_look.elapsed());
            if self.sleep(left.min(slow)) {
                return Ok(Wake::Idle);
            }
            due = self.notified();
            if last_look.elapsed() >= SLOW_LOOK || timeout <= begin.elapsed() {
                due = true;
                let _ = self.arm();
            }
        }
    }

    fn waker(&self) -> Box<dyn Waker> {
        Box::new(SqliteWaker(Arc::clone(&self.woken)))
    }
}

struct SqliteWaker(Arc<OwnedFd>);

impl Waker for SqliteWaker {
    fn wake(&self) {
        // Only a full counter refuses, and that one wakes too.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}
