//! Questions at the terminal: owns hidden input and confirmation. Hidden text is never echoed,
//! and goes straight into a wiped buffer.

use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::SigId;
use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_default;
use strongroom_core::ambient::Ambient;
use strongroom_core::secret::Secret;
use zeroize::Zeroizing;

use crate::error::{CliError, Exit};
use crate::output;

/// Passphrases with fewer characters are refused when a new one is chosen.
const SHORTEST: usize = 12;
/// A generated passphrase has this many groups of five letters or digits, five bits each.
const GROUPS: usize = 5;

/// Asks for hidden text.
pub(crate) fn hidden(question: &str) -> Result<Secret, CliError> {
    let deadly = interrupt();
    // Ctrl-C must not end the process before the terminal is set right again.
    deadly.store(false, Ordering::SeqCst);
    let answer = rpassword::prompt_password(question);
    deadly.store(true, Ordering::SeqCst);
    match answer {
        Ok(text) => Ok(Secret::new(text.into_bytes())),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => std::process::exit(130),
        Err(error) => Err(CliError::io("the terminal", &error)),
    }
}

/// SIGINT after a hidden question was asked: ends the process unless the flag is false.
static INTERRUPT: OnceLock<(Option<SigId>, Arc<AtomicBool>)> = OnceLock::new();

fn interrupt() -> &'static AtomicBool {
    let (_, deadly) = INTERRUPT.get_or_init(|| {
        let deadly = Arc::new(AtomicBool::new(true));
        let handler = register_conditional_default(SIGINT, Arc::clone(&deadly));
        (handler.ok(), deadly)
    });
    deadly
}

/// Leaves SIGINT to a command that handles it from here on, and asks no hidden question any more.
pub(crate) fn release_interrupt() {
    if let Some((Some(handler), _)) = INTERRUPT.get() {
        signal_hook::low_level::unregister(*handler);
    }
}

/// True when a plan is to be shown and confirmed: a person sits at stdin.
pub(crate) fn is_attended(assume_yes: bool) -> Result<bool, CliError> {
    if assume_yes || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    if !std::io::stderr().is_terminal() {
        return Err(
            CliError::usage("this changes the store, and the question would go to a file")
                .hint("leave stderr on the terminal, or add --yes"),
        );
    }
    Ok(true)
}

/// True when somebody can be asked: one of the standard streams is a terminal.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// Asks a question; the answer is the first letter, lower-case, or `default` for an empty line.
pub(crate) fn choose(question: &str, default: char) -> Result<char, CliError> {
    output::note(&format!("{question} "));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CliError::io("the terminal", &error))?;
    Ok(line
        .trim()
        .chars()
        .next()
        .map_or(default, |letter| letter.to_ascii_lowercase()))
}

/// Asks a question that only `y` answers with yes.
pub(crate) fn confirm(question: &str) -> Result<bool, CliError> {
    Ok(choose(&format!("{question} [y/N]"), 'n')? == 'y')
}

/// The passphrase in a file: its bytes without one final newline.
pub(crate) fn passphrase_file(path: &Path) -> Result<Secret, CliError> {
    let name = format!("passphrase file {}", path.display());
    let file = std::fs::File::open(path).map_err(|error| CliError::io(&name, &error))?;
    let about = file.metadata().map_err(|error| CliError::io(&name, &error))?;
    if about.is_file() && about.mode() & 0o077 != 0 {
        return Err(CliError::new(
            Exit::Denied,
            format!(
                "{name} may be read by others (mode {:04o})",
                about.mode() & 0o7777
            ),
        )
        .hint(format!("run `chmod 600 {}`", path.display())));
    }
    let secret = crate::value::read_bounded(file, &name)?;
    let mut bytes = secret.expose(|bytes| Zeroizing::new(bytes.to_vec()));
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(CliError::failed(format!("{name} is empty")));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Asks twice for a new passphrase; an empty answer generates one and shows it.
pub(crate) fn new_passphrase() -> Result<Secret, CliError> {
    if !can_ask() {
        return Err(CliError::usage(
            "an identity for people is sealed by a passphrase, and there is no terminal to ask at",
        )
        .hint("name a file with --passphrase-file, or give --no-passphrase for a machine's identity"));
    }
    let first = hidden("New passphrase (leave empty to have one made): ")?;
    if first.is_empty() {
        return generated();
    }
    let characters = first.expose(|bytes| String::from_utf8_lossy(bytes).chars().count());
    if characters < SHORTEST {
        return Err(
            CliError::failed(format!("the passphrase is shorter than {SHORTEST} characters"))
                .hint("take a sentence, or leave it empty to have one made"),
        );
    }
    let second = hidden("The same again: ")?;
    if first.same_as(&second) {
        Ok(first)
    } else {
        Err(CliError::failed(
            "the two passphrases differ: nothing was written",
        ))
    }
}

fn generated() -> Result<Secret, CliError> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = std::io::stderr();
    if !out.is_terminal() {
        return Err(
            CliError::usage("a passphrase that is made up is shown on stderr, which is no terminal")
                .hint("leave stderr on the terminal, or choose a passphrase yourself"),
        );
    }
    let random = Zeroizing::new(
        Ambient::system()
            .random::<{ GROUPS * 5 }>()
            .map_err(|error| CliError::failed(error.to_string()))?,
    );
    let mut text = Zeroizing::new(String::with_capacity(GROUPS * 6));
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        let letter = LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
        text.push(char::from(letter));
    }
    // Straight to the terminal: stderr has no buffer that would keep it.
    let (before, after) = (
        "The passphrase is  ",
        "\nWrite it down now: it is not shown again.\n",
    );
    [before, text.as_str(), after]
        .iter()
        .try_for_each(|part| out.write_all(part.as_bytes()))
        .map_err(|error| CliError::io("the terminal", &error))?;
    Ok(Secret::new(std::mem::take(&mut *text).into_bytes()))
}
