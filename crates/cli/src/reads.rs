//! The record of what this program reads: owns writing it where a setting names a log, before a value
//! is opened. It must not know how values are opened or what becomes of them.

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Decision, Name, Record, Subject, append};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, Snapshot};

use crate::error::CliError;

/// The member's own log.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    pub(crate) directory: PathBuf,
    pub(crate) identity: Arc<Identity>,
}

impl Reads {
    /// Records that `command` reads `entries` of `environment` as they are at `revision`; `now` says
    /// who this member is.
    pub(crate) fn record<'a>(
        &self,
        now: &Snapshot,
        (environment, revision): (&EnvironmentName, Revision),
        entries: impl IntoIterator<Item = &'a Entry>,
        command: &'static str,
    ) -> Result<(), CliError> {
        let me = now.members().into_iter().find(|member| member.is_self);
        let subject = Subject::member(me.as_ref().map_or("?", |member| member.name.as_str()));
        let records: Vec<_> = entries
            .into_iter()
            .map(|entry| Record {
                revision,
                subject: &subject,
                action: Action::read_of(entry.kind).as_str(),
                entry: Some(entry.id),
                name: Some(Name {
                    environment,
                    path: Some(&entry.path),
                }),
                decision: Decision::Allow,
                reason: Some(command),
                policies: &[],
                request: None,
            })
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        append(&self.directory, &self.identity, &Ambient::system(), &records).map_err(|error| {
            let log = self.directory.display();
            CliError::failed(format!(
                "the read could not be recorded in the audit log {log}: {error}; no value was opened"
            ))
            .hint("`strongroom doctor` looks at its directory; the setting `audit` names another")
        })
    }
}
