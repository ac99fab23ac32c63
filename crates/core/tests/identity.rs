//! Identities and their files: text forms, modes, passphrases, refusals.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::unreachable)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::{Identity, IdentityError, PublicIdentity, is_passphrase_protected};
use strongroom_core::secret::Secret;
use tempfile::TempDir;

fn identity() -> Identity {
    Identity::generate(&Ambient::system()).unwrap()
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alice.identity");
    (dir, path)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn never() -> Option<Secret> {
    unreachable!("a plain file asked for a passphrase")
}

#[test]
fn a_plain_file_gives_the_identity_back() {
    let (_dir, path) = place();
    let alice = identity();
    alice.write_file(&path, None).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(!is_passphrase_protected(&path).unwrap());
    let read = Identity::read_file(&path, never).unwrap();
    assert_eq!(read.public(), alice.public());
    let signature = read.signing_key().sign(b"message");
    alice.public().verify_key.verify(b"message", &signature).unwrap();
    assert!(read.to_text().same_as(&alice.to_text()));
}

#[test]
fn a_passphrase_seals_the_file_and_only_it_opens_it() {
    let (_dir, path) = place();
    let alice = identity();
    alice.write_file(&path, Some(&secret("correct horse"))).unwrap();

    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(is_passphrase_protected(&path).unwrap());
    let read = Identity::read_file(&path, || Some(secret("correct horse"))).unwrap();
    assert!(read.to_text().same_as(&alice.to_text()));

    let wrong = Identity::read_file(&path, || Some(secret("correct mule")));
    assert!(matches!(wrong, Err(IdentityError::WrongPassphrase { .. })));
    let none = Identity::read_file(&path, || None);
    assert!(matches!(none, Err(IdentityError::NeedsPassphrase { .. })));
    let binary = Identity::read_file(&path, || Some(Secret::new(vec![0xff])));
    assert!(matches!(binary, Err(IdentityError::WrongPassphrase { .. })));

    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let cut = Identity::read_file(&path, || Some(secret("correct horse")));
    assert!(matches!(cut, Err(IdentityError::Format { .. })));
}

#[test]
fn a_passphrase_that_nobody_can_type_is_refused() {
    for bad in [Vec::new(), vec![0xff]] {
        let (_dir, path) = place();
        let written = identity().write_file(&path, Some(&Secret::new(bad)));
        assert!(matches!(written, Err(IdentityError::BadPassphrase { .. })));
        assert!(!path.exists());
    }
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let (_dir, path) = place();
    fs::write(&path, "mine").unwrap();
    let written = identity().write_file(&path, None);
    assert!(
        matches!(written, Err(IdentityError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");

    let (_dir, link) = place();
    symlink(&path, &link).unwrap();
    assert!(identity().write_file(&link, None).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn files_that_others_may_read_are_refused_whatever_way_they_are_reached() {
    let (dir, path) = place();
    identity().write_file(&path, None).unwrap();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for path in [&path, &link] {
            let read = Identity::read_file(path, never);
            assert!(
                matches!(read, Err(IdentityError::Mode { mode: seen, .. }) if seen == mode),
                "{mode:o}"
            );
        }
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Identity::read_file(&path, never).unwrap();
        Identity::read_file(&link, never).unwrap();
    }
}

#[test]
fn what_is_no_identity_file_is_refused_without_hanging() {
    let (dir, path) = place();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for path in [fifo.as_path(), dir.path()] {
        let read = Identity::read_file(path, never);
        assert!(
            matches!(read, Err(IdentityError::Format { .. })),
            "{}",
            path.display()
        );
    }
    let missing = Identity::read_file(&path, never);
    assert!(
        matches!(missing, Err(IdentityError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound)
    );

    let good = identity().to_text();
    let long = good.expose(|good| [good, "#\n".repeat(16 << 10).as_bytes()].concat());
    for bytes in [Vec::new(), b"age1".to_vec(), vec![0xff; 100], long] {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let read = Identity::read_file(&path, never);
        assert!(matches!(read, Err(IdentityError::Format { .. })));
    }
}

#[test]
fn every_cut_and_every_changed_character_of_the_keys_is_refused() {
    let text = identity()
        .to_text()
        .expose(|text| String::from_utf8(text.to_vec()).unwrap());
    let keys: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    Identity::from_text(keys.as_bytes()).unwrap();

    // the last byte is a line end, which may be missing
    for length in 0..keys.len() - 1 {
        assert!(
            Identity::from_text(&keys.as_bytes()[..length]).is_err(),
            "{length}"
        );
    }
    for at in (0..keys.len()).filter(|at| keys.as_bytes()[*at] != b'\n') {
        let mut changed = keys.clone().into_bytes();
        changed[at] = if changed[at] == b'Q' { b'P' } else { b'Q' };
        assert!(Identity::from_text(&changed).is_err(), "{at}");
    }
}

#[test]
fn a_text_has_each_key_once_and_nothing_else() {
    let text = |identity: &Identity| {
        identity
            .to_text()
            .expose(|text| String::from_utf8(text.to_vec()).unwrap())
    };
    let (alice, bob) = (text(&identity()), text(&identity()));
    let line = |text: &str, prefix: &str| {
        text.lines()
            .find(|line| line.starts_with(prefix))
            .unwrap()
            .to_owned()
    };
    for prefix in ["AGE-SECRET-KEY-1", "STRONGROOM-SIGNING-KEY-1"] {
        let doubled = format!("{alice}{}\n", line(&bob, prefix));
        assert!(Identity::from_text(doubled.as_bytes()).is_err());
        let lower = alice.replace(&line(&alice, prefix), &line(&alice, prefix).to_lowercase());
        assert!(Identity::from_text(lower.as_bytes()).is_err());
    }
    for extra in ["age1 ", " ", "\0", "comment"] {
        assert!(Identity::from_text(format!("{alice}{extra}\n").as_bytes()).is_err());
    }
    for harmless in ["\n", "# more\n", "#\r\n"] {
        Identity::from_text(format!("{harmless}{alice}{harmless}").as_bytes()).unwrap();
    }
}

#[test]
fn a_public_identity_is_one_strict_token() {
    let public = identity().public();
    let token = public.to_string();
    assert_eq!(token.parse(), Ok(public.clone()));
    let (recipient, key) = token.split_once(':').unwrap();
    assert_eq!((recipient.len(), key.len()), (62, 43));

    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
        match String::from_utf8(changed).unwrap().parse::<PublicIdentity>() {
            // base64 has no checksum: another key, but never the same one
            Ok(other) => assert!(at > recipient.len() && other != public),
            Err(_) => assert!(at <= recipient.len() || at == token.len() - 1),
        }
    }
    for bad in [
        String::new(),
        ":".to_owned(),
        recipient.to_owned(),
        format!("{recipient}:"),
        format!("{recipient}:{key}="),
        format!("{recipient}:{}", &key[..42]),
        format!("{recipient}:{key}A"),
        format!("{recipient}:{key}:"),
        format!("{}:{key}", recipient.to_uppercase()),
        format!(" {token}"),
        format!("{token}\n"),
    ] {
        assert!(bad.parse::<PublicIdentity>().is_err(), "{bad}");
    }
}

#[test]
fn debug_and_errors_show_no_key() {
    let alice = identity();
    assert_eq!(
        format!("{alice:?} {:?}", alice.signing_key()),
        "Identity([redacted]) SigningKey([redacted])"
    );
    let error = Identity::from_text(b"AGE-SECRET-KEY-1canary").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}
