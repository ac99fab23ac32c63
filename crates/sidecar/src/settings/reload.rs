//! What a change of the settings may do: owns which keys take effect while the sidecar runs, and which
//! at the next start only.

use super::{Limits, Log, Settings, Socket, audit};

impl Settings {
    /// These settings with what `new` may change while the sidecar runs.
    #[must_use]
    pub fn with_reloadable_of(&self, new: Self) -> Self {
        Self {
            socket: Socket {
                path: self.socket.path.clone(),
                ..new.socket
            },
            limits: Limits {
                workers: self.limits.workers,
                ..new.limits
            },
            log: Log {
                json: self.log.json,
                ..new.log
            },
            files: new.files,
            process: new.process,
            ..self.clone()
        }
    }

    /// The keys whose values differ from `other`'s and take effect only at the next start.
    #[must_use]
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let changed = [
            ("store", self.store != other.store),
            ("fingerprint", self.fingerprint != other.fingerprint),
            ("identity", self.identity != other.identity),
            ("passphrase", self.passphrase != other.passphrase),
            ("environment", self.environment != other.environment),
            ("state", self.state != other.state),
            ("offline_copy", self.offline_copy != other.offline_copy),
            ("socket.path", self.socket.path != other.socket.path),
            ("limits.workers", self.limits.workers != other.limits.workers),
            (
                "attestation.engine",
                self.attestation.engine != other.attestation.engine,
            ),
            (
                "attestation.engine_timeout",
                self.attestation.engine_timeout != other.attestation.engine_timeout,
            ),
            (
                "attestation.engine_required",
                self.attestation.engine_required != other.attestation.engine_required,
            ),
            ("log.format", self.log.json != other.log.json),
            ("sandbox.files", self.sandbox.files != other.sandbox.files),
            (
                "sandbox.syscalls",
                self.sandbox.syscalls != other.sandbox.syscalls,
            ),
        ];
        changed
            .into_iter()
            .chain(audit::changed(self.audit.as_ref(), other.audit.as_ref()))
            .filter(|(_, changed)| *changed)
            .map(|(key, _)| key)
            .collect()
    }
}
