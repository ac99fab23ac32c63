//! The text of a generator: owns its grammar, `KIND` or `KIND:OPTION=VALUE,OPTION=VALUE`. A list of
//! names is joined by `+`; `alphabet` is the last option, since it may hold anything.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::str::FromStr;

use super::certificate::{Certificate, KeyKind};
use super::password::{CLASSES, Password};
use super::{Encoding, Generator};
use crate::name::EntryPath;

/// Fewest and most random bytes.
const MIN_BYTES: usize = 8;
const MAX_BYTES: usize = 65_536;
/// Longest name or comment, bytes; most names of a certificate; longest validity, days.
const MAX_NAME: usize = 253;
const MAX_NAMES: usize = 100;
/// Longest common name, characters (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
const MAX_DAYS: u16 = 3_660;

/// The text does not say what to generate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(String);

impl FromStr for Generator {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut options = Options::parse(rest)?;
        let generator = match kind {
            "password" => password(&mut options)?,
            "bytes" => bytes(&mut options)?,
            "uuid" => Self::Uuid,
            "ssh-ed25519" => Self::Ssh {
                comment: options.text("comment")?.unwrap_or_default().to_owned(),
            },
            "age" => Self::Age,
            "x509" => certificate(&mut options, false)?,
            "x509-ca" => certificate(&mut options, true)?,
            "ssh-rsa" => return Err(wrong("RSA keys are not made here: use ssh-ed25519, or `put` one")),
            _ => {
                return Err(wrong(
                    "a generator is one of password, bytes, uuid, ssh-ed25519, age, x509, x509-ca",
                ));
            }
        };
        options.end(kind)?;
        Ok(generator)
    }
}

fn password(options: &mut Options<'_>) -> Result<Generator, SpecError> {
    let length = options.number("length")?.unwrap_or(32);
    let mut alphabet: Vec<char> = Vec::new();
    let mut classes = Vec::new();
    match (options.take("alphabet"), options.take("classes")) {
        (Some(_), Some(_)) => return Err(wrong("a password has `alphabet` or `classes`, not both")),
        (Some(given), None) => alphabet.extend(given.chars()),
        (None, given) => {
            for word in given.unwrap_or("lower+upper+digit").split('+') {
                let class = CLASSES.iter().find(|(name, _)| *name == word);
                let (_, class) = class
                    .ok_or_else(|| wrong("classes are lower, upper, digit and symbol, joined by `+`"))?;
                alphabet.extend(class.chars());
                classes.push(*class);
            }
        }
    }
    Password::new(length, alphabet, classes)
        .map(Generator::Password)
        .map_err(wrong)
}

fn bytes(options: &mut Options<'_>) -> Result<Generator, SpecError> {
    let length = options.number("length")?.unwrap_or(32);
    if !(MIN_BYTES..=MAX_BYTES).contains(&length) {
        return Err(wrong("`length` of bytes is 8 to 65536"));
    }
    let encoding = match options.take("encoding") {
        None | Some("base64") => Encoding::Base64,
        Some("base64url") => Encoding::Base64Url,
        Some("hex") => Encoding::Hex,
        Some("raw") => Encoding::Raw,
        Some(_) => return Err(wrong("`encoding` is base64, base64url, hex or raw")),
    };
    Ok(Generator::Bytes { length, encoding })
}

/// Whether it is a host name, or a wildcard for the first of its words.
fn is_host(name: &str) -> bool {
    let word = |word: &str| {
        (1..=63).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !word.starts_with('-')
            && !word.ends_with('-')
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= MAX_NAME && rest.split('.').all(word)
}

fn certificate(options: &mut Options<'_>, is_authority: bool) -> Result<Generator, SpecError> {
    let dns = list(options.text("dns")?).map(str::to_owned).collect::<Vec<_>>();
    let addresses = list(options.text("ip")?)
        .map(|text| text.parse::<IpAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| wrong("`ip` is addresses joined by `+`"))?;
    if !dns.iter().all(|name| is_host(name)) || dns.len() + addresses.len() > MAX_NAMES {
        return Err(wrong(
            "`dns` is host names joined by `+`, 100 at most with those of `ip`",
        ));
    }
    let name = match (options.text("name")?, dns.first()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(first)) => first.clone(),
        (None, None) => return Err(wrong("a certificate needs `name` or `dns`")),
    };
    if name.chars().count() > MAX_COMMON_NAME {
        return Err(wrong(
            "`name` has at most 64 characters; where the first of `dns` has more, give one",
        ));
    }
    if !is_authority && dns.is_empty() && addresses.is_empty() {
        return Err(wrong(
            "a certificate needs `dns` or `ip`: nobody goes by `name` any more",
        ));
    }
    let days = options
        .number("days")?
        .unwrap_or(if is_authority { 3650 } else { 90 });
    let days = u16::try_from(days)
        .ok()
        .filter(|days| (1..=MAX_DAYS).contains(days));
    let authority = match options.take("ca") {
        None => None,
        Some(path) => Some(EntryPath::new(path).map_err(|error| wrong(format!("`ca`: {error}")))?),
    };
    Ok(Generator::Certificate(Box::new(Certificate {
        name,
        dns,
        addresses,
        days: days.ok_or_else(|| wrong("`days` is 1 to 3660"))?,
        key: match options.take("key") {
            None | Some("p256") => KeyKind::P256,
            Some("ed25519") => KeyKind::Ed25519,
            Some(_) => return Err(wrong("`key` is p256 or ed25519")),
        },
        is_authority,
        authority,
    })))
}

fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split('+'))
}

/// The options that were given and not yet taken.
struct Options<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Options<'a> {
    fn parse(text: &'a str) -> Result<Self, SpecError> {
        let mut options = BTreeMap::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (option, after) = if rest.starts_with("alphabet=") {
                (rest, "")
            } else {
                rest.split_once(',').unwrap_or((rest, ""))
            };
            rest = after;
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| wrong("options are OPTION=VALUE, joined by `,`"))?;
            if options.insert(key, value).is_some() {
                return Err(wrong("an option is given once"));
            }
        }
        Ok(Self(options))
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        self.0.remove(key)
    }

    /// A text without control characters.
    fn text(&mut self, key: &str) -> Result<Option<&'a str>, SpecError> {
        match self.take(key) {
            Some(text) if text.chars().any(char::is_control) || text.is_empty() => {
                Err(wrong(format!("`{key}` is a text without control characters")))
            }
            Some(text) if key != "dns" && key != "ip" && text.len() > MAX_NAME => {
                Err(wrong(format!("`{key}` has at most 253 bytes")))
            }
            taken => Ok(taken),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<usize>, SpecError> {
        let number = |text: &str| text.parse().map_err(|_| wrong(format!("`{key}` is a number")));
        self.take(key).map(number).transpose()
    }

    fn end(self, kind: &str) -> Result<(), SpecError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let known = match kind {
            "password" => "`length` and `classes` or `alphabet`",
            "bytes" => "`length` and `encoding`",
            "ssh-ed25519" => "`comment`",
            "x509" | "x509-ca" => "`name`, `dns`, `ip`, `days`, `key` and `ca`",
            _ => "no options",
        };
        Err(wrong(format!("{kind} has {known}")))
    }
}

fn wrong(problem: impl Into<String>) -> SpecError {
    SpecError(problem.into())
}
