//! One connection's clock: owns what it is waiting for and since when, and the order to end. It
//! costs a few relaxed stores a request instead of a timer. It must not know HTTP.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use crate::settings::Limits;

/// Milliseconds since the worker started, refreshed with every look at the connections.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    now: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            // 0 means "not blocked" below
            now: AtomicU64::new(1),
        }
    }
}

impl Clock {
    pub(super) fn refresh(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now.saturating_add(1), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

/// What a connection without requests in progress waits for.
const OPENING: u8 = 0;
const HEAD: u8 = 1;
const IDLE: u8 = 2;
/// As `IDLE`, and without buffers.
const RESTING: u8 = 3;

/// A connection rests when nothing was asked on it for so many milliseconds.
const TIRED: u64 = 100;

/// What it was ordered to do.
const GO_ON: u8 = 0;
const DRAIN: u8 = 1;
const END: u8 = 2;

/// One connection, shared by its input, its requests and its worker.
#[derive(Debug)]
pub struct Connection {
    clock: Arc<Clock>,
    phase: AtomicU8,
    since: AtomicU64,
    in_progress: AtomicU32,
    blocked: AtomicU64,
    multiplexed: AtomicBool,
    /// Bytes of bodies that have not come whole.
    held: AtomicUsize,
    /// Streams of events that are followed over HTTP/2.
    followed: AtomicUsize,
    /// It was told to rest.
    rest: AtomicBool,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
    /// The uid at the other end, where the kernel tells.
    pub uid: Option<u32>,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(clock: Arc<Clock>, uid: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(OPENING),
            since: AtomicU64::new(clock.now()),
            in_progress: AtomicU32::new(0),
            blocked: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            followed: AtomicUsize::new(0),
            rest: AtomicBool::new(false),
            order: AtomicU8::new(GO_ON),
            waker: Mutex::default(),
            clock,
            uid,
        })
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }

    /// It speaks HTTP/2: bytes between requests are not the beginning of a head.
    pub(crate) fn multiplex(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
        self.enter(IDLE);
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        if self.phase.load(Ordering::Relaxed) != HEAD && !self.multiplexed.load(Ordering::Relaxed) {
            self.enter(HEAD);
        }
    }

    /// True when nothing is asked and everything was said, for a while. (An answered request whose
    /// body is still on its way is none of these: hyper closes such a connection.)
    pub(super) fn may_rest(&self) -> bool {
        let is_idle = self.phase.load(Ordering::Relaxed) == IDLE;
        let since = self.since.load(Ordering::Relaxed);
        is_idle
            && self.clock.now().saturating_sub(since) >= TIRED
            && !self.is_blocked()
            && !self.is_in_progress()
            && !self.multiplexed.load(Ordering::Relaxed)
    }

    /// Tells it to rest.
    pub(super) fn rest(&self) {
        self.rest.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// True when it rests from now on, as it was told, if nothing has come meanwhile.
    pub(crate) fn rests(&self) -> bool {
        if !self.rest.load(Ordering::Relaxed) {
            return false;
        }
        self.rest.store(false, Ordering::Relaxed);
        let rests = self.may_rest();
        if rests {
            self.phase.store(RESTING, Ordering::Relaxed);
        }
        rests
    }

    /// A request was answered.
    pub fn touch(&self) {
        self.enter(IDLE);
    }

    /// The other end takes what it is sent, or does not.
    pub(crate) fn wrote(&self, taken: bool) {
        if taken {
            // an answer on its way is no rest between requests, and takes what time it takes; over
            // HTTP/2 it may as well be the answer to a ping
            if self.phase.load(Ordering::Relaxed) == IDLE && !self.multiplexed.load(Ordering::Relaxed) {
                self.since.store(self.clock.now(), Ordering::Relaxed);
            }
            if self.blocked.load(Ordering::Relaxed) != 0 {
                self.blocked.store(0, Ordering::Relaxed);
            }
        } else if self.blocked.load(Ordering::Relaxed) == 0 {
            self.blocked.store(self.clock.now(), Ordering::Relaxed);
        }
    }

    /// True while the other end does not take what it was sent.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) != 0
    }

    /// True while a request takes longer than a call.
    pub(crate) fn is_in_progress(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) > 0
    }

    /// True when it waited longer than it may.
    pub(super) fn is_overdue(&self, limits: &Limits) -> bool {
        let now = self.clock.now();
        let over = |since: u64, limit: std::time::Duration| {
            u128::from(now.saturating_sub(since)) > limit.as_millis()
        };
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked != 0 {
            return over(blocked, limits.write_timeout);
        }
        if self.is_in_progress() {
            return false;
        }
        let limit = match self.phase.load(Ordering::Relaxed) {
            IDLE | RESTING => limits.idle_timeout,
            _ => limits.header_timeout,
        };
        over(self.since.load(Ordering::Relaxed), limit)
    }

    fn command(&self, order: u8) {
        self.order.fetch_max(order, Ordering::AcqRel);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }

    /// Orders it to answer what it has begun and end.
    pub fn drain(&self) {
        self.command(DRAIN);
    }

    /// Orders it to end at once.
    pub fn end(&self) {
        self.command(END);
    }

    /// Remembers whom to wake for an order.
    pub(super) fn attend(&self, context: &Context<'_>) {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|kept| kept.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.order.load(Ordering::Acquire) >= DRAIN
    }

    pub(super) fn is_ended(&self) -> bool {
        let order = self.order.load(Ordering::Acquire);
        let waits = || matches!(self.phase.load(Ordering::Relaxed), OPENING | RESTING);
        order == END || (order == DRAIN && waits())
    }
}

/// A request that takes longer than a call; while it lives, the connection is not idle.
#[derive(Debug)]
pub struct InProgress(Arc<Connection>);

impl InProgress {
    /// Begins.
    #[must_use]
    pub fn new(connection: &Arc<Connection>) -> Self {
        connection.in_progress.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// Bytes that one request holds until its body has come, among those of its connection.
#[derive(Debug)]
pub struct Held {
    connection: Arc<Connection>,
    bytes: usize,
}

impl Held {
    /// None yet.
    #[must_use]
    pub fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::clone(connection),
            bytes: 0,
        }
    }

    /// Holds so many more; how many all requests of the connection hold then.
    pub fn more(&mut self, bytes: usize) -> usize {
        self.bytes = self.bytes.saturating_add(bytes);
        let before = self.connection.held.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connection.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A stream that is followed beside others on one connection.
#[derive(Debug)]
pub struct Followed(Arc<Connection>);

impl Followed {
    /// Begins, unless `most` are followed already.
    #[must_use]
    pub fn begin(connection: &Arc<Connection>, most: usize) -> Option<Self> {
        let before = connection.followed.fetch_add(1, Ordering::Relaxed);
        let followed = Self(Arc::clone(connection));
        (before < most).then_some(followed)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.followed.fetch_sub(1, Ordering::Relaxed);
    }
}
