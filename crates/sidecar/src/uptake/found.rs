//! What is there to report: owns bringing together this sidecar, its clients by name and what it
//! injects. It must not know what was reported before, but of clients that may still live.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Revision;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, is_outdated};

use super::Client;
use super::client::{remember, together};
use super::{Table, lock};
use crate::state::State;

/// What all clients that are not kept track of one by one go by.
const FURTHER: &str = "further clients";

/// Clients of an earlier run that were there when it was last heard of, by name.
pub(super) type Earlier = HashMap<String, Consumer>;

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
    let (named, further) = {
        let clients = lock(&table.clients);
        (clients.named(), clients.further())
    };
    if let Some(further) = further {
        let (uses, is_whole) = further.client.uses();
        consumers.push(Consumer {
            kind: ConsumerKind::Socket,
            presence: presence(further.is_there),
            name: FURTHER.to_owned(),
            problem: further.why.to_owned(),
            is_whole,
            uses,
            ..own.clone()
        });
        if !further.is_there {
            ended.push(further.client);
        }
    }
    for (name, clients) in named {
        let mut group = together(&clients);
        ended.extend(group.ended);
        if !group.is_there {
            earlier.remove(&name);
        } else if let Some(before) = earlier.get(&name) {
            remember(&mut group.uses, &before.uses);
        }
        consumers.push(Consumer {
            kind: ConsumerKind::Socket,
            presence: presence(group.is_there),
            is_whole: group.is_whole,
            uses: group.uses,
            name,
            ..own.clone()
        });
    }
    for mut injected in table.injected() {
        injected.host.clone_from(&own.host);
        injected.sidecar.clone_from(&own.sidecar);
        if is_last && injected.kind == ConsumerKind::Process {
            injected.presence = Presence::Ended;
        }
        consumers.push(injected);
    }
    consumers.iter_mut().for_each(Consumer::fit);
    consumers.extend(given_up(earlier, &consumers, now));
    Found { consumers, ended }
}

/// Clients of an earlier run that have not read for so long that nobody asks for them any more.
fn given_up(earlier: &mut Earlier, there: &[Consumer], now: Timestamp) -> Vec<Consumer> {
    let is_there = |name: &String| {
        let mut clients = there.iter().filter(|one| one.kind == ConsumerKind::Socket);
        clients.any(|one| one.name == *name)
    };
    let last = |one: &Consumer| {
        one.uses
            .iter()
            .map(|used| used.read.at.max(used.confirmed.at))
            .max()
    };
    let is_over = |name: &String, one: &mut Consumer| {
        is_outdated(last(one).unwrap_or(one.since), now) && !is_there(name)
    };
    let over = earlier.extract_if(is_over);
    over.map(|(_, one)| Consumer {
        presence: Presence::Ended,
        ..one
    })
    .collect()
}

/// The sidecar itself.
pub(super) fn own(state: &State, socket: String) -> Consumer {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut own = Consumer {
        kind: ConsumerKind::Sidecar,
        presence: Presence::Present,
        host: host.trim_end().to_owned(),
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
