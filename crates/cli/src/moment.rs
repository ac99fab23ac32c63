//! Moments that people name: owns how they are written. It must not read a clock.

use strongroom_core::ambient::Timestamp;

/// Reads a moment as RFC 3339 has it; the error says how.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp = text
        .parse()
        .map_err(|_| "a time is written as 2026-11-29T12:00:00Z".to_owned())?;
    u64::try_from(moment.as_millisecond())
        .map(Timestamp)
        .map_err(|_| "the time is before 1970".to_owned())
}
