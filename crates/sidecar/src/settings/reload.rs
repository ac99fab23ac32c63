//! What a change of the settings may do: owns which keys take effect while the sidecar runs, and which
//! at the next start only.

use super::{Limits, Log, Settings, Socket, audit, changed, listener};

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
            overrides: new.overrides,
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
            .chain(listener::changed(self.listener.as_ref(), other.listener.as_ref()))
            .chain(audit::changed(self.audit.as_ref(), other.audit.as_ref()))
            .filter(|(_, changed)| *changed)
            .map(|(key, _)| key)
            .collect()
    }

    /// The keys whose values differ from `other`'s and take effect while the sidecar runs, by name
    /// as in `other`. What a new directory or process is given is not listed one by one.
    #[must_use]
    pub fn takes_effect(&self, other: &Self) -> Vec<String> {
        let (socket, limits) = (self.socket(&other.socket), self.limits(&other.limits));
        let own = [
            ("log.level", self.log.level != other.log.level),
            ("overrides", self.overrides != other.overrides),
        ];
        let simple = socket.into_iter().chain(limits).chain(own);
        let mut keys: Vec<String> = simple
            .filter(|(_, changed)| *changed)
            .map(|(key, _)| key.to_owned())
            .collect();
        keys.extend(changed::files(&self.files, &other.files));
        keys.extend(changed::process(self.process.as_ref(), other.process.as_ref()));
        keys
    }

    fn socket(&self, other: &Socket) -> [(&'static str, bool); 3] {
        let Socket {
            path: _,
            mode,
            group,
            allow_uids,
        } = &self.socket;
        [
            ("socket.mode", *mode != other.mode),
            ("socket.group", *group != other.group),
            ("socket.allow_uids", *allow_uids != other.allow_uids),
        ]
    }

    fn limits(&self, other: &Limits) -> [(&'static str, bool); 8] {
        let Limits {
            workers: _,
            connections,
            connections_per_uid,
            header_bytes,
            body_bytes,
            header_timeout,
            idle_timeout,
            write_timeout,
            drain_timeout,
        } = &self.limits;
        [
            ("limits.connections", *connections != other.connections),
            (
                "limits.connections_per_uid",
                *connections_per_uid != other.connections_per_uid,
            ),
            ("limits.header_bytes", *header_bytes != other.header_bytes),
            ("limits.body_bytes", *body_bytes != other.body_bytes),
            ("limits.header_timeout", *header_timeout != other.header_timeout),
            ("limits.idle_timeout", *idle_timeout != other.idle_timeout),
            ("limits.write_timeout", *write_timeout != other.write_timeout),
            ("limits.drain_timeout", *drain_timeout != other.drain_timeout),
        ]
    }
}
