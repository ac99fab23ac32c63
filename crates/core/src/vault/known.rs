//! The policies at hand: owns which ones were compiled last, and whether they are still those of a
//! snapshot. It must not know who asks them, nor what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::name::EnvironmentName;
use crate::policy::{Policies, PolicyError};
use crate::snapshot::Snapshot;

/// The policies that were asked last, by the environments they are of: they are compiled when they
/// change, not at each commit.
#[derive(Default)]
pub(super) struct Known(Mutex<BTreeMap<Vec<EnvironmentName>, Arc<Policies>>>);

impl Known {
    /// The policies of `layers` in `base`; `None` when there are none, and what is built in leaves
    /// members to their roles.
    pub(super) fn of(
        &self,
        base: &Snapshot,
        layers: &[EnvironmentName],
    ) -> Result<Option<Arc<Policies>>, PolicyError> {
        if layers.iter().all(|layer| base.policies(layer).next().is_none()) {
            return Ok(None);
        }
        if let Some(known) = lock(&self.0).get(layers)
            && known.are_of(base, layers)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let policies = Arc::new(Policies::of_layers(base, layers.to_vec())?);
        lock(&self.0).insert(layers.to_vec(), Arc::clone(&policies));
        Ok(Some(policies))
    }
}
