//! A certificate that nginx serves: owns what each action does to its file and to nginx
//! (`docs/rotation.md`, "nginx"). What a certificate is, `pair` knows.

mod pair;
mod process;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use pair::Pair;

use super::file::Place;
use super::{net, tls, within};
use crate::rotation::Strategy;
use crate::rotation::plan::NginxPlan;
use crate::rotator::{Action, Call, Check, Target, Trouble};
use crate::secret::Secret;

/// Between two looks whether nginx serves it yet.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Nginx<'a>(pub(super) &'a NginxPlan);

impl Target for Nginx<'_> {
    fn check(&mut self, check: &Check<'_>, limit: Duration) -> Result<(), Trouble> {
        strategy(check.strategy)?;
        Place::of(&self.0.file)?.read()?;
        process::master(&self.0.pid)?;
        self.test(Instant::now(), limit)
    }

    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble> {
        strategy(call.strategy)?;
        match call.action {
            Action::Apply => self.install(call.new.value, limit),
            Action::Undo => self.install(call.old.value, limit),
            Action::ProbeNew => self.probe(call.new.value, limit),
            Action::ProbeOld => self.probe(call.old.value, limit),
            Action::Retire => Ok(()),
        }
    }
}

fn strategy(strategy: Strategy) -> Result<(), Trouble> {
    match strategy {
        Strategy::Replace => Ok(()),
        _ => Err(Trouble::Failed(
            "nginx has one certificate in a file: `replace` is for it".into(),
        )),
    }
}

impl Nginx<'_> {
    /// Puts the file in place and has nginx read it; requests that are under way go on.
    fn install(&self, value: &Secret, limit: Duration) -> Result<(), Trouble> {
        let began = Instant::now();
        Pair::of(value)?;
        {
            let place = Place::held(&self.0.file, limit)?;
            let found = place.read()?;
            value.expose(|bytes| {
                if *bytes == **found.bytes {
                    return Ok(());
                }
                place.replace(&found, bytes)
            })?;
        }
        self.test(began, limit)?;
        process::reload(&self.0.pid)
    }

    fn test(&self, began: Instant, limit: Duration) -> Result<(), Trouble> {
        match &self.0.test {
            None => Ok(()),
            Some(words) => process::test(words, limit.saturating_sub(began.elapsed())),
        }
    }

    /// Waits until nginx serves it: it takes up a file some time after it was told to.
    fn probe(&self, value: &Secret, limit: Duration) -> Result<(), Trouble> {
        let pair = Pair::of(value)?;
        let config = Arc::new(tls::pinned(&pair.leaf)?);
        let (host, port) = &self.0.probe;
        let asked = self.0.name.as_ref().unwrap_or(host);
        let name = ServerName::try_from(asked.clone())
            .map_err(|_| Trouble::Failed(format!("{asked:?} is no name of a host")))?;
        let until = Instant::now() + limit.saturating_mul(3) / 4;
        within(limit, async {
            loop {
                let stream = net::tcp(host, *port).await?;
                let connector = TlsConnector::from(Arc::clone(&config));
                let Err(error) = connector.connect(name.clone(), stream).await else {
                    return Ok(());
                };
                if Instant::now() >= until {
                    return Err(Trouble::Failed(format!(
                        "{host}:{port} does not serve the certificate: {error}"
                    )));
                }
                tokio::time::sleep(LOOK).await;
            }
        })
    }
}
