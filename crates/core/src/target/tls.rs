//! TLS to a target: owns whom it trusts. There is no way to trust everybody.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::rotator::Trouble;

/// A client that wants a certificate for the server's name, from those in a file or of the system.
pub(super) fn verified(ca: Option<&str>) -> Result<ClientConfig, Trouble> {
    let failed = |problem: String| Trouble::Failed(problem);
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|_| failed(format!("{file} cannot be read as certificates in PEM")))?;
            roots.add_parsable_certificates(certificates);
        }
        // One that cannot be read is passed over: the others may do.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let whose = ca.unwrap_or("the system");
        return Err(failed(format!("{whose} has no certificate to trust")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(format!("TLS cannot be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
