//! Who asks at the gate: owns how it stands in the audit log and before policies. It must not know
//! how it was found out who it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use strongroom_core::audit::Subject;
use strongroom_core::id::Hash;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::{PolicyError, Prepared, Principal};
use strongroom_core::snapshot::Entry;
use strongroom_core::workload::Workload;

/// From this many descriptions on, those that nobody uses any more are dropped first.
const MANY: usize = 256;

/// Who asks, ready to be asked about often.
#[derive(Debug)]
pub struct Asker {
    subject: Subject,
    /// Whom policies judge; nobody where the settings have decided.
    principal: Option<Arc<Prepared>>,
    /// The only flags it may ask about, at or under these paths; anything where there is none.
    flags: Option<Box<[EntryPath]>>,
}

impl Asker {
    /// A directory or process of the settings: whoever writes those decides what it gets.
    #[must_use]
    pub fn injection(target: &str) -> Self {
        Self {
            subject: Subject::injection(target),
            principal: None,
            flags: None,
        }
    }

    /// Whoever asks through the listener of that name, for `flags` at most.
    ///
    /// # Errors
    /// [`PolicyError`] when it cannot be described to policies.
    pub fn guest(listener: &str, flags: &[EntryPath]) -> Result<Self, PolicyError> {
        Ok(Self {
            subject: Subject::guest(listener),
            principal: Some(Arc::new(Prepared::new(Principal::Guest { listener })?)),
            flags: Some(flags.into()),
        })
    }

    /// Whether policy is asked about an entry at all.
    #[must_use]
    pub fn reaches(&self, entry: &Entry) -> bool {
        self.flags.as_ref().is_none_or(|flags| {
            entry.kind == Kind::Flag && flags.iter().any(|flag| entry.path.is_under(flag))
        })
    }

    /// Whether there is anything that it does not reach.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.flags.is_some()
    }

    /// How it stands in records.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What policies see; nothing where the settings have decided.
    #[must_use]
    pub fn principal(&self) -> Option<&Prepared> {
        self.principal.as_deref()
    }
}

/// The descriptions of all who ask: processes that policies cannot tell apart share one.
#[derive(Debug, Default)]
pub struct Askers(Mutex<HashMap<Hash, Weak<Prepared>>>);

impl Askers {
    /// An attested process at the socket.
    ///
    /// # Errors
    /// [`PolicyError`] when it cannot be described to policies.
    pub fn workload(&self, workload: &Workload) -> Result<Asker, PolicyError> {
        let described = Prepared::new(Principal::Workload(workload))?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = known.get(&described.identity()).and_then(Weak::upgrade);
        let principal = shared.unwrap_or_else(|| {
            if known.len() >= MANY {
                known.retain(|_, description| description.strong_count() > 0);
            }
            let new = Arc::new(described);
            known.insert(new.identity(), Arc::downgrade(&new));
            new
        });
        Ok(Asker {
            subject: Subject::workload(workload),
            principal: Some(principal),
            flags: None,
        })
    }
}
