//! A private key with its certificate: owns reading both from one text in PEM, and that they belong
//! together. It must not know where they are used.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::rotator::Trouble;
use crate::secret::Secret;

pub(super) struct Pair {
    /// The certificate of the key.
    pub(super) leaf: CertificateDer<'static>,
}

impl Pair {
    /// Refuses a key that is not its certificate's.
    pub(super) fn of(value: &Secret) -> Result<Self, Trouble> {
        let refused = |problem: &str| Trouble::Failed(format!("the value is refused: {problem}"));
        let (key, chain) = value.expose(|bytes| {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
            (PrivateKeyDer::from_pem_slice(bytes), chain)
        });
        let key = key.map_err(|_| refused("it has no private key in PEM"))?;
        let chain = chain.map_err(|_| refused("its certificates cannot be read"))?;
        let leaf = chain
            .first()
            .cloned()
            .ok_or_else(|| refused("it has no certificate in PEM"))?;
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain, key, &provider).map_err(|_| {
            refused("its key is not that of its first certificate, or of a kind that is not known")
        })?;
        Ok(Self { leaf })
    }
}
