//! What is there to report: owns bringing together this sidecar, its clients by name and what it
//! injects. It must not know what was reported before, but of clients that may still live.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Revision;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reaction};

use super::Client;
use super::client::together;
use super::earlier::Earlier;
use super::{Table, lock};
use crate::state::State;

/// What all clients that are not kept track of one by one go by.
const FURTHER: &str = "further clients";

/// Every consumer as it is now.
pub(super) struct Found {
    pub(super) consumers: Vec<Consumer>,
    /// The processes that ended.
    pub(super) ended: Vec<Arc<Client>>,
}

/// Looks into `table` at the time `now`. `own` is a consumer with this sidecar's names, `is_last` when it
/// ends.
pub(super) fn found(
    (table, now): (&Table, Timestamp),
    own: &Consumer,
    earlier: &mut Earlier,
    is_last: bool,
) -> Found {
    let mut consumers = vec![Consumer {
        presence: presence(!is_last),
        ..own.clone()
    }];
    let mut ended = Vec::new();
    let mut there = HashSet::new();
    earlier.forget(now);
    let (named, further) = {
        let clients = lock(&table.clients);
        (clients.named(), clients.further())
    };
    if let Some(further) = further {
        let (uses, is_whole) = further.client.uses();
        there.insert(FURTHER.to_owned());
        consumers.push(earlier.join_many(Consumer {
            kind: ConsumerKind::Socket,
            presence: presence(further.is_there),
            name: FURTHER.to_owned(),
            problem: further.why.to_owned(),
            is_whole,
            uses,
            ..own.clone()
        }));
        if !further.is_there {
            ended.push(further.client);
        }
    }
    for (name, clients) in named {
        let group = together(&clients);
        ended.extend(group.ended);
        there.insert(name.clone());
        let consumer = Consumer {
            kind: ConsumerKind::Socket,
            presence: presence(group.is_there),
            is_whole: group.is_whole,
            uses: group.uses,
            name,
            ..own.clone()
        };
        let again = clients.iter().flat_map(|one| one.uses().0);
        consumers.push(earlier.join(consumer, again.map(|one| one.entry)));
    }
    consumers.extend(earlier.others(&there));
    for mut injected in table.injected() {
        injected.host.clone_from(&own.host);
        injected.sidecar.clone_from(&own.sidecar);
        if is_last && injected.kind == ConsumerKind::Process {
            injected.presence = Presence::Ended;
        }
        consumers.push(injected);
    }
    consumers.iter_mut().for_each(Consumer::fit);
    Found { consumers, ended }
}

/// The sidecar itself.
pub(super) fn own(state: &State, socket: String) -> Consumer {
    let mut own = Consumer {
        kind: ConsumerKind::Sidecar,
        reaction: Reaction::default(),
        presence: Presence::Present,
        host: state.host().to_owned(),
        sidecar: socket,
        name: String::new(),
        environment: state.environment().clone(),
        revision: Revision(0),
        since: Timestamp(0),
        problem: String::new(),
        is_whole: true,
        uses: Vec::new(),
    };
    own.fit();
    own
}

fn presence(is_there: bool) -> Presence {
    if is_there {
        Presence::Present
    } else {
        Presence::Ended
    }
}
