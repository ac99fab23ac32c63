//! Waiting for commits of other processes: owns the notification (inotify) and the slow look that
//! backs it. Every writer touches the store file after a commit, and the file is watched for that;
//! its directory is watched for the file being replaced, deleted and put back.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::connect::Link;
use super::error::Fail;
use crate::store::{StoreError, StoreWatch, Wake, Waker};

/// How long a commit whose writer was killed before it could notify stays unseen, and how often
/// a store that is gone is looked for.
const SLOW_LOOK: Duration = Duration::from_secs(2);

/// See [`StoreWatch`]. `T` is what changes with everything that it waits for.
pub(super) struct SqliteWatch<T> {
    reader: Arc<Link>,
    read: fn(&Connection) -> Result<T, Fail>,
    /// What was last reported; None after an error, so that recovery is reported.
    reported: Option<T>,
    inotify: OwnedFd,
    /// The watch on the file.
    file: Option<i32>,
    /// The watch on its directory, and the file's name in it; none if that cannot be listed.
    directory: Option<(i32, OsString)>,
    /// When these two were last renewed.
    armed: Instant,
    woken: Arc<OwnedFd>,
}

/// What notifications say, the weightiest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Nothing,
    /// The file was touched.
    Touched,
    /// Another file may be in its place, or none.
    Moved,
}

impl<T: Copy + PartialEq> SqliteWatch<T> {
    pub(super) fn new(
        reader: Arc<Link>,
        read: fn(&Connection) -> Result<T, Fail>,
    ) -> Result<Self, StoreError> {
        let failed = |error| unwatchable(&reader, error);
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let mut watch = Self {
            reader: Arc::clone(&reader),
            read,
            reported: None,
            inotify,
            file: None,
            directory: None,
            armed: Instant::now(),
            woken: Arc::new(woken),
        };
        // First the notification, then the head: a commit between the two is seen twice, not never.
        watch.arm()?;
        watch.reported = Some(watch.head()?);
        Ok(watch)
    }

    fn head(&self) -> Result<T, StoreError> {
        self.reader.run(|open| (self.read)(&open.connection))
    }

    /// Watches the file that is there now and its directory; to be repeated when it may be another.
    fn arm(&mut self) -> Result<(), StoreError> {
        self.armed = Instant::now();
        let path = self.reader.place().resolve()?;
        let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let file = inotify::add_watch(&self.inotify, &path, WatchFlags::ATTRIB | gone)
            .map_err(|error| unwatchable(&self.reader, error))?;
        if let Some(old) = self.file.replace(file).filter(|old| *old != file) {
            let _ = inotify::remove_watch(&self.inotify, old);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let moves = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let directory = match inotify::add_watch(&self.inotify, parent, moves | gone) {
            Ok(number) => Some((number, name.to_owned())),
            // It may be passed through but not listed: the slow look must do.
            Err(Errno::ACCESS) => None,
            Err(error) => return Err(unwatchable(&self.reader, error)),
        };
        let old = std::mem::replace(&mut self.directory, directory);
        if let Some((old, _)) = old
            && self.directory.as_ref().is_none_or(|(new, _)| *new != old)
        {
            let _ = inotify::remove_watch(&self.inotify, old);
        }
        Ok(())
    }

    /// Takes all notifications.
    fn news(&mut self) -> News {
        let mut news = News::Nothing;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        // An error is the end of what there is to take.
        while let Ok(event) = events.next() {
            news = news.max(match (event.file_name(), &self.directory) {
                (Some(found), Some((_, name))) if found.to_bytes() != name.as_bytes() => News::Nothing,
                (None, _) if event.events() == ReadFlags::ATTRIB => News::Touched,
                _ => News::Moved,
            });
        }
        news
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

impl<T: Copy + PartialEq + Send> StoreWatch for SqliteWatch<T> {
    fn wait(&mut self, timeout: Duration) -> Result<Wake, StoreError> {
        let begin = Instant::now();
        let mut last_look = begin;
        // After an error it sleeps first, so that a caller in a loop does not spin.
        let mut due = self.reported.is_some();
        loop {
            // Taken before the look, which answers it; what comes later is for the next sleep.
            let news = self.news();
            due |= news > News::Nothing;
            if due {
                let late = self.armed.elapsed() >= SLOW_LOOK;
                if news == News::Moved || late || self.reported.is_none() {
                    // The look meets the same error.
                    let _ = self.arm();
                }
                last_look = Instant::now();
                if self.look()? {
                    return Ok(Wake::Changed);
                }
            }
            let left = timeout.saturating_sub(begin.elapsed());
            if left.is_zero() && due {
                return Ok(Wake::Idle);
            }
            if self.sleep(left.min(SLOW_LOOK.saturating_sub(last_look.elapsed()))) {
                return Ok(Wake::Idle);
            }
            due = last_look.elapsed() >= SLOW_LOOK || timeout <= begin.elapsed();
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

fn unwatchable(reader: &Link, error: Errno) -> StoreError {
    reader.place().unreachable(format!(
        "it cannot be watched: {error} (the limits are in /proc/sys/fs/inotify)"
    ))
}
