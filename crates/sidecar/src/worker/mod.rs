//! The threads that serve connections: owns one single-threaded runtime each, their connections'
//! deadlines, and handing them what was accepted and what changed.

mod connection;
mod io;
mod sniff;

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

pub use connection::{Clock, Connection, InProgress};
pub use io::Watched;

use crate::listen::Permit;
use crate::peer::Peer;
use crate::serve::feed::Feed;
use crate::serve::{self, Service, Update};
use crate::settings::Limits;
use crate::state::State;

/// Watchers hear something at least this often.
const BEAT: Duration = Duration::from_secs(15);

/// How often a worker that drains looks whether it is done.
const SOON: Duration = Duration::from_millis(10);

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The stream.
    pub stream: UnixStream,
    /// Who is at its other end.
    pub peer: Peer,
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
pub struct Workers(Vec<Worker>);

impl Workers {
    /// Starts `count` workers, at least one.
    ///
    /// # Errors
    /// The system's, when a thread or runtime cannot be made.
    pub fn start(count: usize, state: &Arc<State>) -> std::io::Result<Self> {
        let mut workers = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let (sender, receiver) = unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(1)
                .thread_keep_alive(Duration::from_secs(2))
                .thread_stack_size(512 * 1024)
                .build()?;
            let load = Arc::new(AtomicUsize::new(0));
            let inside = Inside {
                state: Arc::clone(state),
                feed: Feed::new(state.current().snapshot.revision().0),
                clock: Arc::default(),
                load: Arc::clone(&load),
                connections: Vec::new(),
            };
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(1024 * 1024)
                .spawn(move || runtime.block_on(inside.run(receiver)))?;
            workers.push(Worker { sender, load });
        }
        Ok(Self(workers))
    }

    /// Gives a connection to the worker that has the fewest.
    pub fn hand_over(&self, accepted: Accepted) {
        if let Some(worker) = self
            .0
            .iter()
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
        {
            worker.load.fetch_add(1, Ordering::Relaxed);
            // a worker only ends with the process
            let _ = worker.sender.send(Message::Accepted(accepted));
        }
    }

    fn tell(&self, message: impl Fn() -> Message) {
        for worker in &self.0 {
            let _ = worker.sender.send(message());
        }
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
        self.ask(Message::Drain).await;
    }

    /// Returns when every worker has answered.
    pub async fn ping(&self) {
        self.ask(Message::Ping).await;
    }

    async fn ask(&self, message: impl Fn(oneshot::Sender<()>) -> Message) {
        let mut answers = Vec::with_capacity(self.0.len());
        for worker in &self.0 {
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
    load: Arc<AtomicUsize>,
    connections: Vec<std::sync::Weak<Connection>>,
}

impl Inside {
    async fn run(mut self, mut receiver: UnboundedReceiver<Message>) {
        let mut draining: Option<oneshot::Sender<()>> = None;
        let mut beat = pin!(tokio::time::sleep(BEAT));
        let mut look = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            if draining.is_some() && self.load.load(Ordering::Relaxed) == 0 {
                draining.take().map(|done| done.send(()));
            }
            let limits = self.state.rules().limits;
            tokio::select! {
                message = receiver.recv() => match message {
                    None => return,
                    Some(Message::Accepted(accepted)) => self.accept(accepted, &limits),
                    Some(Message::Updated(update)) => {
                        self.feed.push(update);
                        self.feed.announce().await;
                    }
                    Some(Message::Ruled) => self.end_disallowed(),
                    Some(Message::Ping(answer)) => { let _ = answer.send(()); }
                    Some(Message::Drain(done)) => {
                        look.as_mut().reset(tokio::time::Instant::now());
                        self.feed.close();
                        self.feed.announce().await;
                        self.alive().for_each(|connection| connection.drain());
                        draining = Some(done);
                    }
                },
                // with nothing to look at, a machine that rests is not woken
                () = &mut look, if !self.connections.is_empty() || draining.is_some() => {
                    self.look(&limits);
                    let pause = if draining.is_some() { SOON } else { period(&limits) };
                    look.as_mut().reset(tokio::time::Instant::now() + pause);
                }
                () = &mut beat => {
                    self.feed.beat();
                    self.feed.announce().await;
                    beat.as_mut().reset(tokio::time::Instant::now() + BEAT);
                }
            }
        }
    }

    fn alive(&self) -> impl Iterator<Item = Arc<Connection>> {
        self.connections.iter().filter_map(std::sync::Weak::upgrade)
    }

    /// Ends connections that are overdue and forgets those that have ended.
    fn look(&mut self, limits: &Limits) {
        self.clock.refresh();
        self.alive()
            .filter(|connection| connection.is_overdue(limits))
            .for_each(|connection| connection.end());
        self.connections
            .retain(|connection| connection.strong_count() > 0);
    }

    fn end_disallowed(&self) {
        let rules = self.state.rules();
        self.alive()
            .filter(|connection| !rules.allows(connection.uid))
            .for_each(|connection| connection.end());
    }

    fn accept(&mut self, accepted: Accepted, limits: &Limits) {
        self.clock.refresh();
        let Accepted { stream, peer, permit } = accepted;
        let served = Served(Arc::clone(&self.load), permit);
        let stream = match tokio::net::UnixStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken over");
                return;
            }
        };
        let connection = Connection::new(Arc::clone(&self.clock), peer.uid);
        if self.connections.len() == self.connections.capacity() {
            self.connections
                .retain(|connection| connection.strong_count() > 0);
        }
        self.connections.push(Arc::downgrade(&connection));
        let service = Service::new(
            Arc::clone(&self.state),
            Arc::clone(&self.feed),
            peer.clone(),
            Arc::clone(&connection),
        );
        let header_bytes = limits.header_bytes;
        tokio::spawn(async move {
            let _served = served;
            // pinned where it is made: an argument would be kept beside it, twice as large
            let serve = pin!(served_on(stream, service, header_bytes));
            obedient(&connection, &peer, serve).await;
        });
    }
}

/// Serves a connection from its first byte on.
async fn served_on(stream: tokio::net::UnixStream, service: Service, header_bytes: usize) {
    if service.peer.noted().await.is_err() {
        return;
    }
    match sniff::sniff(&stream).await {
        Ok(Some(protocol)) => {
            let stream = Watched::new(stream, Arc::clone(&service.connection));
            let alone = serve::connection(stream, protocol, service, header_bytes).await;
            if let Some(alone) = alone {
                alone.serve().await;
            }
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "a connection broke before its first byte"),
    }
}

/// How often deadlines are looked at: often enough to keep them within a quarter.
fn period(limits: &Limits) -> Duration {
    let shortest = limits
        .header_timeout
        .min(limits.idle_timeout)
        .min(limits.write_timeout);
    (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(1))
}

/// Counts a connection while it lives.
struct Served(
    Arc<AtomicUsize>,
    #[allow(dead_code, reason = "held until the connection ends")] Permit,
);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, is ordered to end at once, or the process that made it has
/// ended, whoever may hold its end of the connection then.
async fn obedient(connection: &Connection, peer: &Peer, mut serve: Pin<&mut impl Future<Output = ()>>) {
    let mut gone = pin!(peer.gone());
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
