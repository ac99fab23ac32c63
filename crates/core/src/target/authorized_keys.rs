//! Keys in an `authorized_keys` file: owns which line each action adds or takes away (`docs/rotation.md`,
//! "SSH keys"). All other lines stay as they are.

use std::time::Duration;

use ssh_key::PrivateKey;

use super::file::Place;
use super::ssh;
use crate::rotation::Strategy;
use crate::rotation::plan::AuthorizedKeysPlan;
use crate::rotator::{Action, Call, Check, Target, Trouble};
use crate::secret::Secret;

pub(super) struct AuthorizedKeys<'a>(pub(super) &'a AuthorizedKeysPlan);

/// The public half of a value, as a file has it.
struct Key {
    /// Kind and key.
    words: [String; 2],
    line: Vec<u8>,
}

impl Target for AuthorizedKeys<'_> {
    fn check(&mut self, check: &Check<'_>, _: Duration) -> Result<(), Trouble> {
        strategy(check.strategy)?;
        Place::of(&self.0.file)?.read()?;
        if self.0.login.is_some() {
            ssh::check()?;
        }
        Ok(())
    }

    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble> {
        strategy(call.strategy)?;
        let (new, old) = (self.key(call.new.value)?, self.key(call.old.value)?);
        let overlaps = call.strategy == Strategy::Overlap;
        match call.action {
            Action::Apply if overlaps => self.change(Some(&new), None, limit),
            Action::Apply => self.change(Some(&new), Some(&old), limit),
            Action::Undo => self.change(Some(&old), Some(&new), limit),
            Action::Retire if overlaps => self.change(None, Some(&old), limit),
            Action::Retire => Ok(()),
            Action::ProbeNew => self.probe(&new, call.new.value, limit),
            Action::ProbeOld => self.probe(&old, call.old.value, limit),
        }
    }
}

fn strategy(strategy: Strategy) -> Result<(), Trouble> {
    match strategy {
        Strategy::Overlap | Strategy::Replace => Ok(()),
        Strategy::Alternate => Err(Trouble::Failed(
            "a file of keys has no accounts that take turns".into(),
        )),
    }
}

impl AuthorizedKeys<'_> {
    fn key(&self, value: &Secret) -> Result<Key, Trouble> {
        let unusable = |_| Trouble::Failed("the value is no private key of OpenSSH".into());
        let key = value
            .expose(|bytes| PrivateKey::from_openssh(bytes))
            .map_err(unusable)?;
        let comment = self.0.comment.as_deref().unwrap_or(key.comment());
        if comment.contains(char::is_control) {
            return Err(Trouble::Failed(
                "the comment of the key has control characters".into(),
            ));
        }
        let mut public = key.public_key().clone();
        public.set_comment("");
        let public = public.to_openssh().map_err(unusable)?;
        let mut words = public.split_whitespace().map(str::to_owned);
        let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
            return Err(Trouble::Failed("the value has no public half".into()));
        };
        let options = self.0.options.iter().map(String::as_str);
        let line = options.chain([kind.as_str(), &blob, comment]);
        let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        Ok(Key {
            words: [kind, blob],
            line: line.into_bytes(),
        })
    }

    /// Sees to it that one key has its line and the other one has none.
    fn change(&self, with: Option<&Key>, without: Option<&Key>, limit: Duration) -> Result<(), Trouble> {
        let place = Place::held(&self.0.file, limit)?;
        let found = place.read()?;
        let mut out = Vec::with_capacity(found.bytes.len() + 1_024);
        let mut is_there = false;
        for line in found.bytes.split_inclusive(|byte| *byte == b'\n') {
            if without.is_some_and(|key| key.is_in(line)) {
                continue;
            }
            // A key that is there keeps its line: options that somebody gave it stay.
            is_there |= with.is_some_and(|key| key.is_in(line));
            out.extend(line);
        }
        if let (Some(key), false) = (with, is_there) {
            if !(out.is_empty() || out.ends_with(b"\n")) {
                out.push(b'\n');
            }
            out.extend(&key.line);
            out.push(b'\n');
        }
        if out == *found.bytes {
            return Ok(());
        }
        place.replace(&found, &out)
    }

    /// Looks into the file, and logs in where the plan says so.
    fn probe(&self, key: &Key, value: &Secret, limit: Duration) -> Result<(), Trouble> {
        let found = Place::of(&self.0.file)?.read()?;
        if !found
            .bytes
            .split(|byte| *byte == b'\n')
            .any(|line| key.is_in(line))
        {
            return Err(Trouble::Failed(format!("{} does not have the key", self.0.file)));
        }
        match &self.0.login {
            None => Ok(()),
            Some(login) => ssh::login(login, value, limit),
        }
    }
}

impl Key {
    /// Whether a line lets this key in, whatever its options.
    fn is_in(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        if line.starts_with(b"#") {
            return false;
        }
        let words: Vec<_> = line.split(u8::is_ascii_whitespace).collect();
        let [kind, blob] = &self.words;
        words
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if *a == kind.as_bytes() && *b == blob.as_bytes()))
    }
}
