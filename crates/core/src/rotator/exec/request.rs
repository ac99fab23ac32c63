//! What a program reads: owns the JSON document of a call. It must not know how it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::rotation::Strategy;
use crate::rotator::account::{Account, AccountError, quote};
use crate::rotator::{Action, Call, Credential};
use crate::secret::Secret;

/// The document, and every form in which it holds a value.
pub(super) struct Request {
    pub(super) input: Secret,
    pub(super) values: Vec<Secret>,
}

pub(super) fn of(call: &Call<'_>) -> Result<Request, AccountError> {
    let room = 4_096 + 14 * (call.new.value.len() + call.old.value.len());
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    let mut values = Vec::new();
    out.extend(b"{\"format\":1");
    let (action, probed) = match call.action {
        Action::Apply => ("apply", None),
        Action::ProbeNew => ("probe", Some("new")),
        Action::ProbeOld => ("probe", Some("old")),
        Action::Retire => ("retire", None),
        Action::Undo => ("undo", None),
    };
    text(&mut out, ",\"action\":", action);
    if let Some(probed) = probed {
        text(&mut out, ",\"probe\":", probed);
    }
    text(&mut out, ",\"environment\":", call.environment.as_str());
    text(&mut out, ",\"path\":", call.path.as_str());
    text(&mut out, ",\"strategy\":", call.strategy.as_str());
    for (key, credential) in [(",\"new\":", call.new), (",\"old\":", call.old)] {
        out.extend(key.as_bytes());
        write(&mut out, &mut values, credential, call.strategy)?;
    }
    out.extend(b"}\n");
    Ok(Request {
        input: Secret::new(std::mem::take(&mut *out)),
        values,
    })
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend(key.as_bytes());
    quote(out, value);
}

fn write(
    out: &mut Vec<u8>,
    values: &mut Vec<Secret>,
    credential: Credential<'_>,
    strategy: Strategy,
) -> Result<(), AccountError> {
    out.extend(format!("{{\"version\":{}", credential.version).as_bytes());
    credential.value.expose(|bytes| {
        let encoded = Zeroizing::new(STANDARD.encode(bytes));
        match std::str::from_utf8(bytes) {
            Ok(plain) => text(out, ",\"text\":", plain),
            Err(_) => text(out, ",\"base64\":", &encoded),
        }
        values.push(Secret::new(bytes.to_vec()));
        values.push(Secret::new(encoded.as_bytes().to_vec()));
    });
    if strategy == Strategy::Alternate {
        let account = Account::of(credential.value)?;
        text(out, ",\"username\":", &account.name);
        account.password.expose(|bytes| {
            text(
                out,
                ",\"password\":",
                std::str::from_utf8(bytes).unwrap_or_default(),
            );
        });
        values.push(account.password);
    }
    out.push(b'}');
    Ok(())
}
