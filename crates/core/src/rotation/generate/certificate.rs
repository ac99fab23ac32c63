//! X.509: owns private keys and their certificates, self-signed or signed by a CA's entry. Key and
//! certificates are one PEM text, so that no reader ever sees one without the other.

use core::net::IpAddr;

use p256::pkcs8::{EncodePrivateKey, LineEnding, SecretDocument};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use zeroize::{Zeroize, Zeroizing};

use super::{GenerateError, Generated};
use crate::ambient::{Ambient, Entropy};
use crate::crypto::sign::SigningKey;
use crate::name::EntryPath;
use crate::secret::Secret;

/// How much earlier than now a certificate begins: clocks differ.
const BEFORE: Duration = Duration::minutes(5);
/// The DER of an Ed25519 private key (RFC 8410) before its 32 bytes.
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Keys drawn before one is below the curve's order; all but one in 2^32 are.
const ATTEMPTS: usize = 8;
/// The label of a certificate in a PEM text.
const CERTIFICATE: &str = "CERTIFICATE";

/// A private key and a certificate for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject.
    pub name: String,
    /// The names it is for.
    pub dns: Vec<String>,
    /// The addresses it is for.
    pub addresses: Vec<IpAddr>,
    /// How long it is valid.
    pub days: u16,
    /// The kind of key.
    pub key: KeyKind,
    /// Whether it may sign certificates.
    pub is_authority: bool,
    /// The entry that signs; the key itself when there is none.
    pub authority: Option<EntryPath>,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, which everything takes.
    P256,
    /// Ed25519, which browsers do not take.
    Ed25519,
}

impl Certificate {
    pub(super) fn generate(
        &self,
        ambient: &Ambient,
        authority: Option<&Secret>,
    ) -> Result<Generated, GenerateError> {
        let failed = || GenerateError::Encoding { what: "certificate" };
        let params = self.params(ambient).ok_or_else(failed)?;
        let document = self.key.document(ambient.entropy())?;
        let mut key =
            KeyPair::from_pkcs8_der_and_sign_algo(&document.as_bytes().into(), self.key.algorithm())
                .map_err(|_| failed())?;
        let signed = match (&self.authority, authority) {
            (None, _) => params
                .self_signed(&key)
                .map(|certificate| certificate.pem())
                .map_err(|_| failed()),
            (Some(_), Some(authority)) => {
                authority.expose(|text| signed_by(params, &key, text, now(ambient)))
            }
            (Some(_), None) => Err(unable("its entry was not read")),
        };
        key.zeroize();
        let public = signed?;
        let private = document
            .to_pem("PRIVATE KEY", LineEnding::LF)
            .map_err(|_| failed())?;
        let mut text = Zeroizing::new(String::with_capacity(private.len() + public.len()));
        text.push_str(&private);
        text.push_str(&public);
        Ok(Generated {
            value: Secret::new(std::mem::take(&mut *text).into_bytes()),
            public: Some(public),
        })
    }

    fn params(&self, ambient: &Ambient) -> Option<CertificateParams> {
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, self.name.as_str());
        params.distinguished_name = subject;
        for name in &self.dns {
            let name = name.as_str().try_into().ok()?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let addresses = self.addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let now = now(ambient);
        params.not_before = now.checked_sub(BEFORE)?;
        params.not_after = now.checked_add(Duration::days(i64::from(self.days)))?;
        let mut serial: [u8; 16] = ambient.random().ok()?;
        // positive, and never of a leading zero
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = self.authority.is_some();
        if self.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        } else {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
        }
        Some(params)
    }
}

impl KeyKind {
    fn algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }

    /// A new private key as PKCS #8.
    fn document(self, entropy: &dyn Entropy) -> Result<SecretDocument, GenerateError> {
        let failed = GenerateError::Encoding { what: "private key" };
        match self {
            Self::Ed25519 => {
                let key = SigningKey::generate(entropy)?;
                let mut der = Zeroizing::new(Vec::with_capacity(ED25519.len() + key.seed().len()));
                der.extend_from_slice(&ED25519);
                der.extend_from_slice(key.seed());
                SecretDocument::try_from(der.as_slice()).map_err(|_| failed)
            }
            Self::P256 => {
                let mut scalar = Zeroizing::new([0; 32]);
                for _ in 0..ATTEMPTS {
                    entropy.fill(scalar.as_mut_slice())?;
                    if let Ok(key) = p256::SecretKey::from_slice(scalar.as_slice()) {
                        return key.to_pkcs8_der().map_err(|_| failed);
                    }
                }
                Err(GenerateError::Entropy)
            }
        }
    }
}

/// The certificate and what of the CA's chain a server has to show: all but the root, which who
/// checks has already. An entry below a root holds no root, so that none is looked for by place.
fn signed_by(
    mut params: CertificateParams,
    key: &KeyPair,
    authority: &[u8],
    now: OffsetDateTime,
) -> Result<String, GenerateError> {
    let text = std::str::from_utf8(authority).map_err(|_| unable("its entry is no PEM text"))?;
    let unreadable = || unable("a certificate of its entry does not parse");
    let shown = blocks(text, CERTIFICATE);
    let first = *shown
        .first()
        .ok_or_else(|| unable("its entry has no certificate"))?;
    let pems: Vec<_> = shown
        .iter()
        .map(|text| x509_parser::pem::parse_x509_pem(text.as_bytes()).map(|(_, pem)| pem))
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable())?;
    let chain: Vec<_> = pems
        .iter()
        .map(Pem::parse_x509)
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable())?;
    let mut signing = KeyPair::from_pem(private_key(text)?)
        .map_err(|_| unable("its entry has no private key that can be used: P-256, P-384, Ed25519 or RSA"))?;
    let checked = chain
        .first()
        .map_or(Ok(()), |certificate| check(certificate, &signing, now));
    let signed = checked
        .and_then(|()| limit(&mut params, &chain))
        .and_then(|()| issue(&params, key, first, &signing));
    signing.zeroize();
    let mut out = signed?;
    for (text, certificate) in shown.iter().zip(&chain) {
        if certificate.issuer().as_raw() != certificate.subject().as_raw() {
            out.push_str(text);
            out.push('\n');
        }
    }
    Ok(out)
}

fn issue(
    params: &CertificateParams,
    key: &KeyPair,
    authority: &str,
    signing: &KeyPair,
) -> Result<String, GenerateError> {
    let issuer = Issuer::from_ca_cert_pem(authority, signing)
        .map_err(|_| unable("a certificate of its entry does not parse"))?;
    params
        .signed_by(key, &issuer)
        .map(|certificate| certificate.pem())
        .map_err(|_| GenerateError::Encoding { what: "certificate" })
}

fn check(certificate: &X509Certificate<'_>, key: &KeyPair, now: OffsetDateTime) -> Result<(), GenerateError> {
    if !certificate.is_ca() {
        return Err(unable("its certificate is none of a CA"));
    }
    let usage = certificate
        .key_usage()
        .map_err(|_| unable("its certificate says more than once what its key is for"))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(unable(
            "its certificate does not allow its key to sign certificates",
        ));
    }
    if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(unable("its certificate does not match its private key"));
    }
    let validity = certificate.validity();
    let seconds = now.unix_timestamp();
    if seconds < validity.not_before.timestamp() || seconds > validity.not_after.timestamp() {
        return Err(unable("its certificate is not valid now"));
    }
    Ok(())
}

/// What the certificates above allow: no more CAs below them than they say, and nothing is valid
/// for longer than they are, so that whoever looks at the new one alone sees when it ends.
fn limit(params: &mut CertificateParams, chain: &[X509Certificate<'_>]) -> Result<(), GenerateError> {
    let own = u32::from(matches!(params.is_ca, IsCa::Ca(_)));
    for (below, certificate) in (own..).zip(chain) {
        let constraints = certificate.basic_constraints().ok().flatten();
        let allowed = constraints.and_then(|constraints| constraints.value.path_len_constraint);
        if allowed.is_some_and(|allowed| allowed < below) {
            return Err(unable("its chain does not allow another CA below it"));
        }
        let end = certificate.validity().not_after.timestamp();
        let end = OffsetDateTime::from_unix_timestamp(end).unwrap_or(params.not_after);
        params.not_after = params.not_after.min(end);
    }
    Ok(())
}

/// The private key of a PEM text, wherever in it that is.
fn private_key(text: &str) -> Result<&str, GenerateError> {
    if let Some(key) = blocks(text, "PRIVATE KEY").first() {
        return Ok(key);
    }
    let has = |label: &str| !blocks(text, label).is_empty();
    Err(unable(if has("ENCRYPTED PRIVATE KEY") {
        "its private key has a passphrase: put it without one"
    } else if has("EC PRIVATE KEY") || has("RSA PRIVATE KEY") {
        "its private key is of an older form: put what `openssl pkcs8 -topk8 -nodes` makes of it"
    } else {
        "its entry has no private key"
    }))
}

/// The blocks of a PEM text that have that label, each from its first line to its last.
fn blocks<'t>(text: &'t str, label: &str) -> Vec<&'t str> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&begin) {
        let from = rest.get(at..).unwrap_or_default();
        let Some(last) = from.find(&end) else { break };
        let (block, after) = from.split_at(last + end.len());
        all.push(block);
        rest = after;
    }
    all
}

fn now(ambient: &Ambient) -> OffsetDateTime {
    let seconds = i64::try_from(ambient.now().0 / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn unable(problem: &'static str) -> GenerateError {
    GenerateError::Authority { problem }
}
