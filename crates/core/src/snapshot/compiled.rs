//! Schemas that were compiled, kept from snapshot to snapshot: owns which are kept. It must not know what
//! they are asked about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Schema;
use crate::id::Hash;

/// Most schemas that are kept. When there are more, all are forgotten: they are compiled again in a
/// millisecond each.
const MOST: usize = 256;

type Kept = HashMap<Hash, Arc<Schema>>;

/// Compiled schemas, by the hash of their sealed record: a commit that is only foreseen has a revision that
/// another one may get.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled(Arc<Mutex<Kept>>);

impl Compiled {
    /// The schema of that text, where it is kept.
    pub(super) fn get(&self, record: Hash) -> Option<Arc<Schema>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&record).map(Arc::clone)
    }

    /// Keeps a schema.
    pub(super) fn keep(&self, record: Hash, schema: Schema) -> Arc<Schema> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        Arc::clone(kept.entry(record).or_insert_with(|| Arc::new(schema)))
    }
}
