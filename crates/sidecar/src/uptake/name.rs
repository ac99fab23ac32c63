//! What a client is called in reports: owns the words for who it is, the most telling first. It must
//! not know how that was found out.

use std::fmt;

use strongroom_core::id::Hash;
use strongroom_core::workload::Workload;

/// The name of all processes that policies cannot tell apart.
pub(super) struct Name<'a> {
    workload: &'a Workload,
    identity: &'a Hash,
}

impl<'a> Name<'a> {
    pub(super) fn of(workload: &'a Workload, identity: &'a Hash) -> Self {
        Self { workload, identity }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = &self.workload.kernel;
        let engine = self.workload.engine.as_ref();
        let service = engine.and_then(|engine| engine.compose_service.as_deref());
        let container = engine.and_then(|engine| engine.name.as_deref());
        let id = kernel.container.as_ref().and_then(|one| one.id.get(..12));
        let unit = kernel.user_unit.as_deref().or(kernel.unit.as_deref());
        if let Some(place) = service.or(container).or(id).or(unit) {
            write!(f, "{place} ")?;
        }
        if let Some(program) = &kernel.executable {
            write!(f, "{} ", program.path)?;
        }
        write!(f, "uid {}", kernel.uid)?;
        // what the words do not tell apart
        let [a, b, c, ..] = self.identity.0;
        write!(f, " #{a:02x}{b:02x}{c:02x}")
    }
}
