//! The threads that serve connections: owns one single-threaded runtime each, their connections'
//! deadlines, and handing them what was accepted and what changed. A runtime that has timers looks
//! at the clock whenever it rests: a worker has none, and is told when it is time to look.

mod authority;
mod connection;
mod io;
mod sniff;
mod stream;
mod ticks;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

pub use connection::{Clock, Connection, Followed, Held, InProgress};
pub use io::Watched;
pub use stream::{Socket, Stream};
use ticks::{Ticks, Warm};

use crate::caller::Caller;
use crate::listen::Permit;
use crate::serve::feed::Feed;
use crate::serve::{self, Protocol, Rpc, Served, Service, Update};
use crate::settings::Limits;
use crate::state::State;
use crate::tally::Tally;

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub socket: Socket,
    /// Who is at its other end.
    pub caller: Caller,
    /// Its place among the connections.
    pub permit: Permit,
}

/// What a worker is told.
#[derive(Debug)]
enum Message {
    Accepted(Accepted),
    Updated(Arc<Update>),
    /// The rules changed: end connections that are not allowed any more.
    Ruled,
    /// It is time to look at deadlines.
    Look,
    /// Watchers have to hear something.
    Beat,
    /// Finish what was begun; answers when all connections have ended.
    Drain(oneshot::Sender<()>),
    /// Answers at once.
    Ping(oneshot::Sender<()>),
}

/// One worker, from outside.
#[derive(Debug)]
struct Worker {
    sender: UnboundedSender<Message>,
    load: Arc<AtomicUsize>,
}

/// All workers.
#[derive(Debug)]
pub struct Workers {
    all: Vec<Worker>,
    ticks: Arc<Ticks>,
}

impl Workers {
    /// Starts `count` workers, at least one; `runtime` tells them when it is time to look.
    ///
    /// # Errors
    /// The system's, when a thread or runtime cannot be made.
    pub fn start(count: usize, state: &Arc<State>, runtime: &Handle) -> std::io::Result<Arc<Self>> {
        let mut workers = Vec::with_capacity(count);
        let served = Arc::clone(&state.current().snapshot);
        let (revision, is_overridden) = (served.revision().0, !served.locals().is_empty());
        let ticks: Arc<Ticks> = Arc::default();
        for number in 0..count.max(1) {
            let (sender, receiver) = unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .max_blocking_threads(1)
                .thread_keep_alive(Duration::from_secs(2))
                .thread_stack_size(512 * 1024)
                .build()?;
            let load = Arc::new(AtomicUsize::new(0));
            let inside = Inside {
                state: Arc::clone(state),
                feed: Feed::new(revision, is_overridden),
                clock: Arc::default(),
                ticks: Arc::clone(&ticks),
                rpc: Rpc::default(),
                tally: state.tallies.add(&load),
                load: Arc::clone(&load),
                connections: Vec::new(),
            };
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(1024 * 1024)
                .spawn(move || runtime.block_on(inside.run(receiver)))?;
            workers.push(Worker { sender, load });
        }
        let workers = Arc::new(Self {
            all: workers,
            ticks: Arc::clone(&ticks),
        });
        runtime.spawn(ticks::run(ticks, Arc::downgrade(&workers), Arc::clone(state)));
        Ok(workers)
    }

    /// Gives a connection to the worker that has the fewest.
    pub fn hand_over(&self, accepted: Accepted) {
        if let Some(worker) = self
            .all
            .iter()
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
        {
            let before = worker.load.fetch_add(1, Ordering::Relaxed);
            // a worker only ends with the process
            let _ = worker.sender.send(Message::Accepted(accepted));
            if before == 0 {
                self.ticks.are_needed();
            }
        }
    }

    fn tell(&self, message: impl Fn() -> Message) {
        for worker in &self.all {
            let _ = worker.sender.send(message());
        }
    }

    fn is_idle(&self) -> bool {
        self.all
            .iter()
            .all(|worker| worker.load.load(Ordering::Relaxed) == 0)
    }

    /// Sends an update to every watcher.
    pub fn update(&self, update: &Arc<Update>) {
        self.tell(|| Message::Updated(Arc::clone(update)));
    }

    /// Ends the connections that the rules do not allow any more.
    pub fn ruled(&self) {
        self.tell(|| Message::Ruled);
    }

    /// Finishes what was begun; returns when every connection has ended.
    pub async fn drain(&self) {
        self.ticks.drain();
        self.ask(Message::Drain).await;
    }

    /// Returns when every worker has answered.
    pub async fn ping(&self) {
        self.ask(Message::Ping).await;
    }

    async fn ask(&self, message: impl Fn(oneshot::Sender<()>) -> Message) {
        let mut answers = Vec::with_capacity(self.all.len());
        for worker in &self.all {
            let (sender, receiver) = oneshot::channel();
            let _ = worker.sender.send(message(sender));
            answers.push(receiver);
        }
        for answer in answers {
            // a worker that is gone has nothing left to end
            let _ = answer.await;
        }
    }
}

/// A worker's own side.
struct Inside {
    state: Arc<State>,
    feed: Arc<Feed>,
    clock: Arc<Clock>,
    ticks: Arc<Ticks>,
    rpc: Rpc,
    tally: Arc<Tally>,
    load: Arc<AtomicUsize>,
    connections: Vec<std::sync::Weak<Connection>>,
}

impl Inside {
    async fn run(mut self, mut receiver: UnboundedReceiver<Message>) {
        let mut draining: Option<oneshot::Sender<()>> = None;
        // a worker only ends with the process
        while let Some(message) = receiver.recv().await {
            let limits = self.state.rules().limits;
            match message {
                Message::Accepted(accepted) => self.accept(accepted, &limits),
                Message::Updated(update) => {
                    self.feed.push(update);
                    self.feed.announce().await;
                }
                Message::Ruled => self.end_disallowed(),
                Message::Look => self.look(&limits),
                Message::Beat => {
                    self.feed.beat();
                    self.feed.announce().await;
                }
                Message::Ping(answer) => drop(answer.send(())),
                Message::Drain(done) => {
                    self.feed.close();
                    self.feed.announce().await;
                    self.alive().for_each(|connection| connection.drain());
                    draining = Some(done);
                }
            }
            if draining.is_some() && self.load.load(Ordering::Relaxed) == 0 {
                draining.take().map(|done| done.send(()));
            }
        }
    }

    fn alive(&self) -> impl Iterator<Item = Arc<Connection>> {
        self.connections.iter().filter_map(std::sync::Weak::upgrade)
    }

    /// Ends connections that are overdue, lets those rest that nothing is asked on, and forgets
    /// those that have ended.
    fn look(&mut self, limits: &Limits) {
        self.clock.refresh();
        for connection in self.alive() {
            if connection.is_overdue(limits) {
                connection.end();
            } else if connection.may_rest() {
                connection.rest();
            }
        }
        self.connections
            .retain(|connection| connection.strong_count() > 0);
    }

    fn end_disallowed(&self) {
        let rules = self.state.rules();
        self.alive()
            .filter(|connection| connection.uid.is_some_and(|uid| !rules.allows(uid)))
            .for_each(|connection| connection.end());
    }

    fn accept(&mut self, accepted: Accepted, limits: &Limits) {
        self.clock.refresh();
        let Accepted {
            socket,
            caller,
            permit,
        } = accepted;
        let counted = Counted(Arc::clone(&self.load), permit);
        self.tally.connected();
        let stream = match socket.register() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken over");
                return;
            }
        };
        let connection = Connection::new(Arc::clone(&self.clock), caller.uid());
        if self.connections.len() == self.connections.capacity() {
            self.connections
                .retain(|connection| connection.strong_count() > 0);
        }
        self.connections.push(Arc::downgrade(&connection));
        let service = Service::new(
            Arc::clone(&self.state),
            Arc::clone(&self.feed),
            Arc::clone(&self.tally),
            caller.clone(),
            Arc::clone(&connection),
            self.rpc.clone(),
        );
        let header_bytes = limits.header_bytes;
        let ticks = Arc::clone(&self.ticks);
        tokio::spawn(async move {
            let _counted = counted;
            // pinned where it is made: an argument would be kept beside it, twice as large
            let serve = pin!(served_on(stream, service, header_bytes, ticks));
            obedient(&connection, &caller, serve).await;
        });
    }
}

/// Serves a connection from its first byte on. While nothing is asked it has no buffers, and no
/// more memory than to know whose it is.
async fn served_on(stream: Stream, service: Service, header_bytes: usize, ticks: Arc<Ticks>) {
    if service.caller.noted().await.is_err() {
        return;
    }
    let mut stream = Watched::new(stream, Arc::clone(&service.connection));
    let mut service = service;
    loop {
        // half a request may have come behind the last one
        let protocol = match stream.has_unread() {
            true => Ok(Some(Protocol::Http1)),
            false => sniff::sniff(stream.get()).await,
        };
        let protocol = match protocol {
            Ok(Some(protocol)) => protocol,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "a connection broke before its first byte");
                return;
            }
        };
        // who asks over TCP names no path
        if protocol == Protocol::Http2 && service.caller.peer().is_some() {
            stream.is_http2();
        }
        let warm = Warm::new(&ticks);
        let served = Box::pin(serve::connection(stream, protocol, service, header_bytes)).await;
        drop(warm);
        match served {
            Served::Ended => return,
            Served::Alone(alone) => return alone.serve().await,
            Served::Resting(rested, again) => {
                again.rest();
                (stream, service) = (rested, again);
            }
        }
    }
}

/// Counts a connection while it lives.
struct Counted(
    Arc<AtomicUsize>,
    #[allow(dead_code, reason = "held until the connection ends")] Permit,
);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, is ordered to end at once, or the process that made it has
/// ended, whoever may hold its end of the connection then.
async fn obedient(connection: &Connection, caller: &Caller, mut serve: Pin<&mut impl Future<Output = ()>>) {
    let mut gone = pin!(caller.gone());
    let mut attends = false;
    std::future::poll_fn(|context| {
        if !std::mem::replace(&mut attends, true) {
            connection.attend(context);
        }
        if connection.is_ended() || gone.as_mut().poll(context).is_ready() {
            Poll::Ready(())
        } else {
            serve.as_mut().poll(context)
        }
    })
    .await;
}
