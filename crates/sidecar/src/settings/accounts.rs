//! Users and groups by name: owns looking them up in `/etc/passwd` and `/etc/group`. Names that
//! only a name service knows must be given as numbers.

use std::path::Path;

/// A user's id from its number or name.
///
/// # Errors
/// What is wrong, without the name.
pub(super) fn user(text: &str) -> Result<u32, &'static str> {
    number_or(text, "/etc/passwd").ok_or("there is no such user in /etc/passwd; a number is fine too")
}

/// A group's id from its number or name.
///
/// # Errors
/// What is wrong, without the name.
pub(super) fn group(text: &str) -> Result<u32, &'static str> {
    number_or(text, "/etc/group").ok_or("there is no such group in /etc/group; a number is fine too")
}

/// Both files give the name first and the id third. The highest number means "unchanged" to the
/// kernel and is nobody's.
fn number_or(text: &str, file: impl AsRef<Path>) -> Option<u32> {
    if let Ok(number) = text.parse::<u32>() {
        return (number != u32::MAX).then_some(number);
    }
    let list = std::fs::read_to_string(file).ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == text)
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}
