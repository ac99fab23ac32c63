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
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

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
                authority.expose(|text| signed_by(&params, &key, text, now(ambient)))
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
    params: &CertificateParams,
    key: &KeyPair,
    authority: &[u8],
    now: OffsetDateTime,
) -> Result<String, GenerateError> {
    let text = std::str::from_utf8(authority).map_err(|_| unable("its entry is no PEM text"))?;
    let chain = certificates(text);
    let first = *chain
        .first()
        .ok_or_else(|| unable("its entry has no certificate"))?;
    let mut signing = KeyPair::from_pem(text)
        .map_err(|_| unable("its entry has no private key that can be used: P-256, P-384, Ed25519 or RSA"))?;
    let signed = issue(params, key, first, &signing, now);
    signing.zeroize();
    let mut out = signed?;
    for shown in chain {
        if !is_root(shown)? {
            out.push_str(shown);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Whether a certificate is its own issuer.
fn is_root(certificate: &str) -> Result<bool, GenerateError> {
    let unreadable = || unable("a certificate of its chain does not parse");
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).map_err(|_| unreadable())?;
    let certificate = pem.parse_x509().map_err(|_| unreadable())?;
    Ok(certificate.issuer().as_raw() == certificate.subject().as_raw())
}

fn issue(
    params: &CertificateParams,
    key: &KeyPair,
    authority: &str,
    signing: &KeyPair,
    now: OffsetDateTime,
) -> Result<String, GenerateError> {
    let unreadable = || unable("its certificate does not parse");
    let (_, pem) = x509_parser::pem::parse_x509_pem(authority.as_bytes()).map_err(|_| unreadable())?;
    check(&pem.parse_x509().map_err(|_| unreadable())?, signing, now)?;
    let issuer = Issuer::from_ca_cert_pem(authority, signing).map_err(|_| unreadable())?;
    params
        .signed_by(key, &issuer)
        .map(|certificate| certificate.pem())
        .map_err(|_| GenerateError::Encoding { what: "certificate" })
}

fn check(certificate: &X509Certificate<'_>, key: &KeyPair, now: OffsetDateTime) -> Result<(), GenerateError> {
    if !certificate.is_ca() {
        return Err(unable("its certificate is none of a CA"));
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

/// The certificates of a PEM text, each from its first line to its last.
fn certificates(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let from = rest.get(at..).unwrap_or_default();
        let Some(end) = from.find(END) else { break };
        let (certificate, after) = from.split_at(end + END.len());
        all.push(certificate);
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
