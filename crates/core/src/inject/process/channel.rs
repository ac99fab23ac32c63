//! What a supervisor is told, and by whom: owns its queue. It must not know what it does about it.

use std::sync::mpsc::{Receiver, Sender};

use super::Signal;
use crate::inject::Material;

#[derive(Debug)]
pub(super) enum Event {
    Revision(Material),
    Revised(u64),
    Signal(Signal),
    /// Some child ended.
    Ended,
    Stop,
}

/// Delivers revisions to a supervisor from any thread.
#[derive(Clone, Debug)]
pub struct Handle(Sender<Event>);

impl Handle {
    /// Hands over a revision; a newer one replaces it if the supervisor is still busy. False when
    /// supervision has ended.
    #[must_use]
    pub fn deliver(&self, material: Material) -> bool {
        self.0.send(Event::Revision(material)).is_ok()
    }

    /// Tells that the values delivered last are those of a later revision too. False when
    /// supervision has ended.
    #[must_use]
    pub fn revised(&self, revision: u64) -> bool {
        self.0.send(Event::Revised(revision)).is_ok()
    }

    /// Ends the process in good order and then the supervision.
    pub fn stop(&self) {
        // it has ended already when nobody listens
        let _ = self.0.send(Event::Stop);
    }
}

/// The supervisor's end of [`channel`].
#[derive(Debug)]
pub struct Updates {
    pub(super) sender: Sender<Event>,
    pub(super) receiver: Receiver<Event>,
}

/// Makes the two ends that join a source of revisions and a supervisor.
#[must_use]
pub fn channel() -> (Handle, Updates) {
    let (sender, receiver) = std::sync::mpsc::channel();
    (Handle(sender.clone()), Updates { sender, receiver })
}
