//! Who asks over TCP: owns what is known of them, which is nothing, and which web pages and host names are let in. It
//! must not know routes.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use serde_json::{Map, Value};
use strongroom_core::policy::PolicyError;

use crate::asker::Asker;
use crate::settings;

/// What policies and the audit log call the listener.
const NAME: &str = "tcp";

/// All guests of one listener: they are not told apart.
#[derive(Debug)]
pub struct Guest {
    asker: Arc<Asker>,
    /// What rules of flags know: nothing, whatever the caller says.
    described: Arc<Value>,
    origins: Box<[Box<str>]>,
    /// What the listener is called, in small letters.
    hosts: Box<[Box<str>]>,
}

impl Guest {
    /// Those of a listener with these settings at `address`.
    ///
    /// # Errors
    /// [`PolicyError`] when they cannot be described to policies.
    pub fn new(settings: &settings::Listener, address: SocketAddr) -> Result<Self, PolicyError> {
        let port = address.port();
        let mut hosts = vec![address.to_string(), format!("localhost:{port}")];
        if port == 80 {
            // browsers leave it out
            let ip = address.to_string();
            hosts.extend(ip.strip_suffix(":80").map(str::to_owned));
            hosts.push("localhost".to_owned());
        }
        let boxed = |text: &String| text.as_str().into();
        Ok(Self {
            asker: Arc::new(Asker::guest(NAME, &settings.flags)?),
            described: Arc::new(Value::Object(Map::new())),
            origins: settings.origins.iter().map(boxed).collect(),
            hosts: hosts.iter().map(boxed).collect(),
        })
    }

    /// How they stand before policies and in the log.
    #[must_use]
    pub fn asker(&self) -> &Arc<Asker> {
        &self.asker
    }

    /// What rules of flags know of them.
    #[must_use]
    pub fn described(&self) -> &Arc<Value> {
        &self.described
    }

    /// Whether `host` is a name of the listener: a page that reached it by another one, which DNS gave it, names that.
    #[must_use]
    pub fn is_named(&self, host: &[u8]) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|name| name.as_bytes().eq_ignore_ascii_case(host))
    }

    /// Whether pages of `origin` may ask: compared byte by byte, as browsers write it.
    #[must_use]
    pub fn admits(&self, origin: &HeaderValue) -> bool {
        let mut origins = self.origins.iter();
        origins.any(|admitted| admitted.as_bytes() == origin.as_bytes())
    }
}
