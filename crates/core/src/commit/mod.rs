//! The signed chain: owns commits, their canonical bytes, who may make them, and the verified
//! state they lead to. It must not know names, values or how a store keeps its bytes; nothing
//! here opens a record.

mod admin;
mod change;
mod checkpoint;
mod codec;
mod entry;
mod error;
mod live;
mod rewrap;
mod sealed;
mod state;

pub use admin::{Admin, CompartmentState, MemberState};
pub use change::{AdminChange, Commit, FORMAT, Link, Role, RoleError, decode};
pub use checkpoint::{Authority, Checkpoint, authority_of, encode as encode_checkpoint};
pub(crate) use codec::{Malformed, Reader, Writer};
pub use entry::{EntryChange, Labels};
pub use error::{Break, IntegrityError};
pub use live::{Labelled, Live, Marks};
pub use rewrap::Rewrap;
pub(crate) use sealed::Batch;
pub use sealed::{Checked, Sealed};
pub use state::State;

use crate::id::Hash;

/// The objects a stored commit refers to, in its order: names, key files, metadata, values and
/// records of rotations.
/// For copying a store; nothing is verified.
///
/// # Errors
/// [`Break::DamagedCommit`], [`Break::NewerFormat`].
pub fn referenced_objects(stored: &[u8]) -> Result<Vec<Hash>, Break> {
    let (commit, ..) = decode(stored)?;
    let admin = commit.admin.iter().filter_map(AdminChange::object);
    let entries = commit.entries.iter().flat_map(EntryChange::objects);
    let rewraps = commit.rewraps.iter().flat_map(Rewrap::objects);
    Ok(admin.chain(entries).chain(rewraps).collect())
}
