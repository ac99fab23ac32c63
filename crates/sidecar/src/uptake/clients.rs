//! Which processes are kept track of: owns how many over all and of one user, and what becomes of those
//! beyond. It must not know what they use.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::Client;
use crate::peer::Peer;

/// How many.
#[derive(Clone, Copy, Debug)]
struct Limits {
    names: usize,
    /// Processes over all names.
    processes: usize,
    /// Processes beyond those, whose end is waited for.
    beyond: usize,
}

const LIMITS: Limits = Limits {
    names: 1024,
    processes: 4096,
    beyond: 4096,
};
/// One user has at most one part in so many of each: who starts many processes keeps no other user's from
/// being told apart.
const SHARE: usize = 4;

/// Those that are kept track of one by one, and those that are not.
#[derive(Debug)]
pub(super) struct Clients {
    limits: Limits,
    by_name: HashMap<String, Vec<Arc<Client>>>,
    count: usize,
    beyond: Beyond,
}

/// What is known of those beyond: what any of them uses, and whether they are there.
#[derive(Debug)]
struct Beyond {
    client: Arc<Client>,
    peers: Vec<Peer>,
    /// Others are there than `peers`.
    is_cut: bool,
    /// Somebody is here because there were too many, not because it is not known who it is.
    is_full: bool,
}

/// Those beyond, as they are now.
pub(super) struct Further {
    pub(super) client: Arc<Client>,
    /// Whether any may still be there.
    pub(super) is_there: bool,
    /// Why they are not kept track of.
    pub(super) why: &'static str,
}

const TOO_MANY: &str = "this sidecar has more clients than it keeps track of";
const UNKNOWN: &str = "the container engine does not answer, so that clients are not told apart";

impl Default for Clients {
    fn default() -> Self {
        Self {
            limits: LIMITS,
            by_name: HashMap::new(),
            count: 0,
            beyond: Beyond::default(),
        }
    }
}

impl Default for Beyond {
    fn default() -> Self {
        Self {
            client: Arc::new(Client::many()),
            peers: Vec::new(),
            is_cut: false,
            is_full: false,
        }
    }
}

impl Clients {
    /// What is noted of `peer`, which goes by `name` if it is known who it is; what is noted of all those
    /// beyond when there are too many.
    pub(super) fn of(&mut self, peer: &Peer, name: Option<String>) -> Arc<Client> {
        let known = name.as_ref().and_then(|name| self.by_name.get(name));
        if let Some(same) = known.and_then(|all| all.iter().find(|one| one.is_of(peer))) {
            return Arc::clone(same);
        }
        let is_new = known.is_none();
        match name {
            Some(name) if self.has_room(peer.uid, is_new) => {
                let client = Arc::new(Client::new(peer.clone()));
                if self.beyond.remove(peer) {
                    client.take_over(&self.beyond.client);
                }
                if self.beyond.is_empty() {
                    self.beyond = Beyond::default();
                }
                self.count += 1;
                self.by_name.entry(name).or_default().push(Arc::clone(&client));
                client
            }
            name => self.beyond.add(peer, name.is_some(), self.limits.beyond),
        }
    }

    fn has_room(&self, uid: u32, is_new: bool) -> bool {
        let of_user = |all: &&Vec<Arc<Client>>| all.first().is_some_and(|one| one.is_of_user(uid));
        let own = self.by_name.values().filter(of_user);
        let (names, clients) = own.fold((0, 0), |(names, clients), all| (names + 1, clients + all.len()));
        let most = self.limits;
        let has_name = !is_new || (self.by_name.len() < most.names && names < most.names / SHARE);
        has_name && self.count < most.processes && clients < most.processes / SHARE
    }

    /// Those that are kept track of, by name.
    pub(super) fn named(&self) -> Vec<(String, Vec<Arc<Client>>)> {
        let all = self.by_name.iter();
        all.map(|(name, all)| (name.clone(), all.clone())).collect()
    }

    /// Those beyond; nothing when there were none.
    pub(super) fn further(&self) -> Option<Further> {
        let beyond = &self.beyond;
        (!beyond.is_empty()).then(|| Further {
            client: Arc::clone(&beyond.client),
            is_there: beyond.is_there(),
            why: if beyond.is_full { TOO_MANY } else { UNKNOWN },
        })
    }

    /// Forgets those that ended: it was told, or need not be.
    pub(super) fn forget(&mut self, ended: &[Arc<Client>]) {
        let mut count = 0;
        self.by_name.retain(|_, all| {
            all.retain(|one| !ended.iter().any(|other| Arc::ptr_eq(one, other)));
            count += all.len();
            !all.is_empty()
        });
        self.count = count;
        let is_told = ended.iter().any(|one| Arc::ptr_eq(one, &self.beyond.client));
        if is_told && !self.beyond.is_there() {
            self.beyond = Beyond::default();
        }
    }
}

impl Beyond {
    fn add(&mut self, peer: &Peer, is_full: bool, most: usize) -> Arc<Client> {
        if is_full && !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(
                uid = peer.uid,
                "{TOO_MANY}: rotations wait until those beyond end"
            );
        }
        let is_same = |one: &Peer| one.pid == peer.pid && one.is_alive();
        if !self.peers.iter().any(is_same) {
            if self.peers.len() >= most {
                self.peers.retain(Peer::is_alive);
            }
            match self.peers.len() < most {
                true => self.peers.push(peer.clone()),
                false => self.is_cut = true,
            }
        }
        Arc::clone(&self.client)
    }

    /// True when it was among them.
    fn remove(&mut self, peer: &Peer) -> bool {
        let before = self.peers.len();
        self.peers.retain(|one| one.pid != peer.pid);
        self.peers.len() < before
    }

    fn is_empty(&self) -> bool {
        self.peers.is_empty() && !self.is_cut
    }

    fn is_there(&self) -> bool {
        self.is_cut || self.peers.iter().any(Peer::is_alive)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::{Child, Command};

    use strongroom_core::ambient::Timestamp;
    use strongroom_core::id::{EntryId, Revision, Version};

    use super::*;
    use crate::peer::{Attestor, Hold};
    use crate::uptake::Took;

    /// Processes that do nothing, ended when dropped.
    struct Sleepers(Vec<Child>, Arc<Attestor>);

    impl Sleepers {
        fn new(count: usize) -> Self {
            let start = |_| Command::new("/bin/sleep").arg("1000").spawn().unwrap();
            Self((0..count).map(start).collect(), Attestor::start(None).unwrap())
        }

        /// One of them, as a process of `uid`.
        fn peer(&self, number: usize, uid: u32) -> Peer {
            let pid = i32::try_from(self.0.get(number).unwrap().id()).unwrap();
            let hold = Hold::directory(pid, rustix::process::geteuid().as_raw()).unwrap();
            Peer::held(uid, uid, pid, hold, &self.1)
        }

        fn end(&mut self, number: usize) {
            let child = self.0.get_mut(number).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    impl Drop for Sleepers {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    fn took(version: u32, at: u64) -> Took {
        Took {
            entry: EntryId([1; 16]),
            version: Version(version),
            made: Revision(version.into()),
            revision: Revision(version.into()),
            at: Timestamp(at),
        }
    }

    fn few() -> Clients {
        Clients {
            limits: Limits {
                names: 100,
                processes: 8,
                beyond: 2,
            },
            ..Clients::default()
        }
    }

    #[test]
    fn one_user_leaves_names_to_others() {
        let sleepers = Sleepers::new(1);
        let mut clients = Clients::default();
        let mut is_one = |uid, name: usize| {
            let name = Some(format!("{name} uid {uid}"));
            clients.of(&sleepers.peer(0, uid), name).is_one()
        };
        let most = LIMITS.names / SHARE;
        for name in 0..most {
            assert!(is_one(1, name));
        }
        assert!(!is_one(1, most));
        assert!(is_one(1, 0), "those that are known stay");
        assert!(is_one(2, 0));
    }

    #[test]
    fn those_beyond_are_there_until_the_last_of_them_ends() {
        let mut sleepers = Sleepers::new(4);
        let mut clients = few();
        let name = || Some("name".to_owned());
        for number in [0, 1] {
            assert!(clients.of(&sleepers.peer(number, 1), name()).is_one());
        }
        assert!(clients.further().is_none());
        let third = clients.of(&sleepers.peer(2, 1), name());
        let fourth = clients.of(&sleepers.peer(3, 1), name());
        assert!(third.read(took(1, 10)));
        fourth.read(took(2, 20));
        // it may be the third that read the second version, or not
        let (uses, is_whole) = third.uses();
        let read = uses.first().unwrap().read;
        assert_eq!(
            (read.version, read.at, is_whole),
            (Version(1), Timestamp(20), true)
        );
        sleepers.end(2);
        let further = clients.further().unwrap();
        assert_eq!((further.is_there, further.why), (true, TOO_MANY));
        sleepers.end(3);
        let further = clients.further().unwrap();
        assert!(!further.is_there);
        clients.forget(&[further.client]);
        assert!(clients.further().is_none());
    }

    #[test]
    fn who_is_kept_track_of_later_takes_along_what_it_may_have_read() {
        let mut sleepers = Sleepers::new(3);
        let mut clients = few();
        let name = || Some("name".to_owned());
        let first = clients.of(&sleepers.peer(0, 1), name());
        clients.of(&sleepers.peer(1, 1), name());
        clients.of(&sleepers.peer(2, 1), name()).read(took(1, 10));
        sleepers.end(0);
        clients.forget(&[first]);
        let third = clients.of(&sleepers.peer(2, 1), name());
        assert!(third.is_one());
        assert_eq!(third.uses().0.first().unwrap().read.version, Version(1));
        assert!(clients.further().is_none(), "nobody is beyond any more");
    }

    #[test]
    fn more_than_can_be_held_are_not_known_to_end() {
        let mut sleepers = Sleepers::new(3);
        let mut clients = few();
        for number in 0..3 {
            // the engine does not answer
            assert!(!clients.of(&sleepers.peer(number, 1), None).is_one());
        }
        (0..3).for_each(|number| sleepers.end(number));
        let further = clients.further().unwrap();
        assert_eq!((further.is_there, further.why), (true, UNKNOWN));
        clients.forget(&[further.client]);
        assert!(clients.further().is_some());
    }
}
