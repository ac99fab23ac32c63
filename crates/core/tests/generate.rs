//! Generated values: what they look like, that nothing is likelier than the rest, and that any
//! text is taken or refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::rotation::generate::{GenerateError, Generated, Generator};
use strongroom_core::secret::Secret;
use x509_parser::pem::Pem;

/// 2026-11-29T12:00:00Z.
const NOW: u64 = 1_795_953_600_000;

struct At(u64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

/// Counts upwards, so that each byte comes equally often.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for byte in out {
            *byte = u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 256).unwrap();
        }
        Ok(())
    }
}

struct Stuck;

impl Entropy for Stuck {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(0xff);
        Ok(())
    }
}

fn spec(text: &str) -> Generator {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn generate(text: &str) -> Generated {
    spec(text).generate(&Ambient::system(), None).unwrap()
}

fn text(secret: &Secret) -> String {
    secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn value(spec: &str) -> String {
    text(&generate(spec).value)
}

#[test]
fn a_password_has_its_length_and_every_class() {
    for _ in 0..200 {
        let password = value("password:length=12,classes=lower+upper+digit+symbol");
        assert_eq!(password.len(), 12);
        assert!(password.contains(|c: char| c.is_ascii_lowercase()));
        assert!(password.contains(|c: char| c.is_ascii_uppercase()));
        assert!(password.contains(|c: char| c.is_ascii_digit()));
        assert!(password.contains(|c: char| c.is_ascii_punctuation()));
        assert!(!password.contains(['"', '\'', '`', '\\', ' ']));
    }
    assert_eq!(value("password").len(), 32);
    assert_ne!(value("password"), value("password"));
}

#[test]
fn an_alphabet_may_hold_anything() {
    let password = value("password:length=40,alphabet=,=+ä");
    assert_eq!(password.chars().count(), 40);
    let used: BTreeSet<_> = password.chars().collect();
    assert!(used.iter().all(|c| ",=+ä".contains(*c)), "{used:?}");
}

#[test]
fn no_character_of_an_alphabet_is_likelier_than_another() {
    // Of 256 equally likely bytes 250 count for ten digits: each exactly 25 times.
    let ambient = Ambient::new(Arc::new(At(NOW)), Arc::new(Counting(AtomicU64::new(0))));
    let generated = spec("password:length=1000,alphabet=0123456789").generate(&ambient, None);
    let text = text(&generated.unwrap().value);
    for digit in '0'..='9' {
        assert_eq!(text.matches(digit).count(), 100, "{digit}");
    }
}

#[test]
fn a_random_source_that_is_stuck_ends_in_an_error() {
    let ambient = Ambient::new(Arc::new(At(NOW)), Arc::new(Stuck));
    for text in ["password", "password:alphabet=0123456789", "x509:dns=a.test"] {
        let error = spec(text).generate(&ambient, None).unwrap_err();
        assert_eq!(error, GenerateError::Entropy, "{text}");
    }
}

#[test]
fn bytes_come_in_four_encodings() {
    let hex = value("bytes:length=24,encoding=hex");
    assert_eq!(hex.len(), 48);
    assert!(
        hex.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let base64 = value("bytes:length=32");
    assert_eq!((base64.len(), base64.ends_with('=')), (44, true));
    let url = value("bytes:length=32,encoding=base64url");
    assert_eq!((url.len(), url.contains(['=', '+', '/'])), (43, false));
    assert_eq!(generate("bytes:length=64,encoding=raw").value.len(), 64);
}

#[test]
fn a_uuid_is_of_version_4() {
    let uuid = value("uuid");
    let parts: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert_eq!(&uuid[14..15], "4");
    assert!("89ab".contains(&uuid[19..20]));
}

#[test]
fn an_ssh_key_is_read_by_others_and_its_public_half_is_told() {
    let generated = generate("ssh-ed25519:comment=deploy@web");
    let private = ssh_key::PrivateKey::from_openssh(text(&generated.value)).unwrap();
    assert_eq!(private.comment(), "deploy@web");
    let public = generated.public.unwrap();
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" deploy@web"));
    assert_eq!(private.public_key().to_openssh().unwrap(), public);
}

#[test]
fn an_age_identity_belongs_to_its_recipient() {
    let generated = generate("age");
    let identity = text(&generated.value);
    assert!(identity.starts_with("AGE-SECRET-KEY-1") && identity.ends_with('\n'));
    let key: age::x25519::Identity = identity.trim().parse().unwrap();
    assert_eq!(generated.public.unwrap(), key.to_public().to_string());
}

fn blocks(text: &str) -> Vec<Pem> {
    Pem::iter_from_buffer(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_certificate_signs_itself_and_is_for_its_names() {
    for key in ["p256", "ed25519"] {
        let generated = generate(&format!(
            "x509:dns=web.example.org+*.example.org,ip=10.0.0.1,days=30,key={key}"
        ));
        let text = text(&generated.value);
        let blocks = blocks(&text);
        let labels: Vec<_> = blocks.iter().map(|block| block.label.as_str()).collect();
        assert_eq!(labels, ["PRIVATE KEY", "CERTIFICATE"]);
        assert!(text.ends_with(generated.public.unwrap().as_str()));
        let certificate = blocks[1].parse_x509().unwrap();
        certificate.verify_signature(None).unwrap();
        assert!(!certificate.is_ca());
        assert_eq!(certificate.subject().to_string(), "CN=web.example.org");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 3);
        let validity = certificate.validity();
        let length = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert_eq!(length, 30 * 86_400 + 300);
    }
}

/// A certificate and key that the entry `authority` signs, as an entry keeps it.
fn below(what: &str, authority: &str) -> String {
    let authority = Secret::new(authority.as_bytes().to_vec());
    text(
        &spec(what)
            .generate(&Ambient::system(), Some(&authority))
            .unwrap()
            .value,
    )
}

#[test]
fn a_leaf_comes_with_every_certificate_up_to_its_root() {
    assert_eq!(
        spec("x509-ca:name=Middle,ca=ca/root")
            .authority()
            .unwrap()
            .as_str(),
        "ca/root"
    );
    let root = value("x509-ca:name=Root");
    let middle = below("x509-ca:name=Middle,ca=ca/root", &root);
    let lower = below("x509-ca:name=Lower,ca=ca/middle", &middle);
    let above = &root[root.find("-----BEGIN CERT").unwrap()..];
    for (authority, names) in [
        (root.clone(), vec!["CN=web.test"]),
        (middle.clone(), vec!["CN=web.test", "CN=Middle"]),
        // As somebody may have put it, with the root.
        (format!("{middle}{above}"), vec!["CN=web.test", "CN=Middle"]),
        (lower, vec!["CN=web.test", "CN=Lower", "CN=Middle"]),
    ] {
        let leaf = blocks(&below("x509:dns=web.test,ca=ca", &authority));
        let root = blocks(&root).remove(1);
        let mut chain: Vec<_> = leaf[1..]
            .iter()
            .map(|block| block.parse_x509().unwrap())
            .collect();
        let shown: Vec<_> = chain.iter().map(|each| each.subject().to_string()).collect();
        assert_eq!(shown, names, "a root is shown to nobody, and all else is");
        chain.push(root.parse_x509().unwrap());
        for pair in chain.windows(2) {
            pair[0].verify_signature(Some(pair[1].public_key())).unwrap();
        }
    }
}

/// A CA as another program makes one: certificate first, then the key.
fn foreign(make: impl FnOnce(&mut rcgen::CertificateParams)) -> (String, String) {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    make(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn refused_by(what: &str, authority: &str) -> String {
    let authority = Secret::new(authority.as_bytes().to_vec());
    let error = spec(what).generate(&Ambient::system(), Some(&authority));
    error.unwrap_err().to_string()
}

#[test]
fn nothing_is_valid_for_longer_than_what_signed_it() {
    let root = value("x509-ca:name=Root,days=20");
    let middle = below("x509-ca:name=Middle,days=10,ca=ca/root", &root);
    let lower = below("x509-ca:name=Lower,ca=ca/middle", &middle);
    let end = |text: &str| {
        let certificate = &blocks(text)[1];
        certificate.parse_x509().unwrap().validity().not_after.timestamp()
    };
    for authority in [&middle, &lower] {
        let long = below("x509:dns=web.test,days=90,ca=ca", authority);
        assert_eq!(end(&long), end(&middle));
        let short = below("x509:dns=web.test,days=5,ca=ca", authority);
        assert!(end(&short) < end(&middle));
    }
}

#[test]
fn a_ca_signs_what_its_certificate_allows() {
    let leaf = "x509:dns=web.test,ca=ca";
    let another = "x509-ca:name=Sub,ca=ca";
    let (certificate, key) = foreign(|params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    });
    let last = format!("{certificate}{key}");
    below(leaf, &last);
    assert!(refused_by(another, &last).contains("another CA below it"));
    let (certificate, key) = foreign(|params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
    });
    let sub = below(another, &format!("{certificate}{key}"));
    let kept = format!("{sub}{certificate}");
    below(leaf, &kept);
    assert!(refused_by(another, &kept).contains("another CA below it"));
    let (certificate, key) = foreign(|params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    });
    assert!(refused_by(leaf, &format!("{key}{certificate}")).contains("sign certificates"));
}

#[test]
fn a_key_is_found_wherever_it_stands_or_it_is_said_what_it_is() {
    let leaf = "x509:dns=web.test,ca=ca";
    let (certificate, key) = foreign(|_| {});
    below(leaf, &format!("{certificate}{key}"));
    below(leaf, &format!("{key}{certificate}"));
    for (label, says) in [
        ("EC ", "older form"),
        ("RSA ", "older form"),
        ("ENCRYPTED ", "passphrase"),
    ] {
        let other = key.replace("PRIVATE KEY", &format!("{label}PRIVATE KEY"));
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        for text in [
            format!("{certificate}{other}"),
            format!("{parameters}{other}{certificate}"),
        ] {
            let error = refused_by(leaf, &text);
            assert!(error.contains(says), "{label}: {error}");
        }
    }
}

#[test]
fn what_cannot_sign_is_refused_by_its_reason() {
    let ambient = Ambient::system();
    let wanted = spec("x509:dns=web.test,ca=ca");
    let refused = |authority: &str| {
        let authority = Secret::new(authority.as_bytes().to_vec());
        wanted
            .generate(&ambient, Some(&authority))
            .unwrap_err()
            .to_string()
    };
    let ca = value("x509-ca:name=CA");
    let other = value("x509-ca:name=CA");
    let at = |text: &str| text.find("-----BEGIN CERT").unwrap();
    let mixed = format!("{}{}", &ca[..at(&ca)], &other[at(&other)..]);
    assert!(refused(&mixed).contains("does not match its private key"));
    assert!(refused(&ca[at(&ca)..]).contains("no private key"));
    assert!(refused(&ca[..at(&ca)]).contains("no certificate"));
    assert!(refused(&value("x509:dns=a.test")).contains("none of a CA"));
    let later = Ambient::new(
        Arc::new(At(4_102_444_800_000)),
        Arc::new(Counting(AtomicU64::new(7))),
    );
    let error = wanted
        .generate(&later, Some(&Secret::new(ca.into_bytes())))
        .unwrap_err();
    assert!(error.to_string().contains("not valid now"), "{error}");
    let error = wanted.generate(&ambient, None).unwrap_err();
    assert!(matches!(error, GenerateError::Authority { .. }));
}

#[test]
fn what_is_no_generator_is_refused_with_what_one_is() {
    for (text, says) in [
        ("", "a generator is one of"),
        ("passwort", "a generator is one of"),
        ("password:length=5", "64 bits"),
        ("password:alphabet=aa", "each character once"),
        ("password:length=x", "is a number"),
        ("password:length=5000", "4096"),
        ("password:classes=lower+vowel", "classes are"),
        ("password:size=3", "`length` and `classes`"),
        ("password:length=20,length=30", "given once"),
        ("uuid:length=3", "no options"),
        ("bytes:length=4", "8 to 65536"),
        ("bytes:encoding=base32", "`encoding` is"),
        ("ssh-rsa", "RSA"),
        ("x509:days=3", "needs `name` or `dns`"),
        ("x509:name=web", "needs `dns` or `ip`"),
        ("x509:dns=a.test,days=0", "1 to 3660"),
        ("x509:dns=a b", "host names"),
        ("x509:dns=web.*.org", "host names"),
        ("x509:dns=*", "host names"),
        ("x509:dns=-web.org", "host names"),
        ("x509:dns=web..org", "host names"),
        (
            "x509:dns=a-host-with-a-name.that-is-longer-than.what-fits-into-a.common-name.example.org",
            "at most 64 characters",
        ),
        ("x509:dns=a.test,ip=1.2.3", "`ip` is"),
        ("x509:dns=a.test,ca=../x", "`ca`"),
    ] {
        let error = text.parse::<Generator>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,80}") {
        let _ = text.parse::<Generator>();
    }

    #[test]
    fn what_is_taken_can_be_generated(
        kind in "(password|bytes|uuid|ssh-ed25519|age|x509|x509-ca)",
        options in "(:((length|classes|alphabet|encoding|comment|name|dns|ip|days|key)=[a-z0-9.+=*_-]{0,40},?){0,4})?",
    ) {
        if let Ok(generator) = format!("{kind}{options}").parse::<Generator>() {
            let generated = generator.generate(&Ambient::system(), None);
            prop_assert!(generated.is_ok(), "{kind}{options}: {:?}", generated.err());
        }
    }
}
