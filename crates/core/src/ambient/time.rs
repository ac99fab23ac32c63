//! A moment: owns its unit and its text. It must not read a clock.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z. Its text is RFC 3339 in UTC with milliseconds, always
/// 24 characters; what is later than the year 9999 is written as its last moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// The last millisecond of the year 9999: beyond it a time has no text of the same width.
const LAST: u64 = 253_402_300_799_999;

impl Timestamp {
    /// That many milliseconds later; saturates.
    #[must_use]
    pub fn later(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The bytes of its text.
    #[must_use]
    pub fn rfc3339(self) -> [u8; 24] {
        let millis = self.0.min(LAST);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // days to a date of the Gregorian calendar, counted in eras of 400 years from 0000-03-01,
        // so that a leap day is the last of its year
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let digit = |number: u64| b'0' + u8::try_from(number % 10).unwrap_or(0);
        let two = |number: u64| [digit(number / 10), digit(number)];
        let ([y1, y2], [y3, y4], [o1, o2], [d1, d2]) =
            (two(year / 100), two(year), two(month), two(day_of_month));
        let ([h1, h2], [m1, m2], [s1, s2]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
        let [f1, f2] = two(millis / 10);
        let f3 = digit(millis);
        [
            y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', f1,
            f2, f3, b'Z',
        ]
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
            (1_709_210_096_123, "2024-02-29T12:34:56.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
        }
    }
}
