//! CBOR's core deterministic encoding (RFC 8949, 4.2.1) of JSON-like values, into a hash: the third
//! generation of `fractional` splits by these bytes. It must not know rules; nothing is decoded here.

use super::murmur::Murmur;

/// Begins a value of major type `major` with the argument `argument`, in the shortest form.
fn head(major: u8, argument: u64, out: &mut Murmur) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..24 => out.put(&[major | bytes[7]]),
        24..0x100 => out.put(&[major | 24, bytes[7]]),
        0x100..0x1_0000 => {
            out.put(&[major | 25]);
            out.put(&bytes[6..]);
        }
        0x1_0000..0x1_0000_0000 => {
            out.put(&[major | 26]);
            out.put(&bytes[4..]);
        }
        _ => {
            out.put(&[major | 27]);
            out.put(&bytes);
        }
    }
}

/// Begins a list of `count` values.
pub(super) fn list(count: usize, out: &mut Murmur) {
    head(4, count as u64, out);
}

/// Begins a map of `count` members, which have to follow in the order of [`key_order`].
pub(super) fn map(count: usize, out: &mut Murmur) {
    head(5, count as u64, out);
}

/// The order of two keys by their encoded bytes: the length stands first in them.
pub(super) fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()))
}

pub(super) fn text(text: &str, out: &mut Murmur) {
    head(3, text.len() as u64, out);
    out.put(text.as_bytes());
}

pub(super) fn null(out: &mut Murmur) {
    out.put(&[0xf6]);
}

pub(super) fn bool(bool: bool, out: &mut Murmur) {
    out.put(&[if bool { 0xf5 } else { 0xf4 }]);
}

pub(super) fn unsigned(number: u64, out: &mut Murmur) {
    head(0, number, out);
}

pub(super) fn signed(number: i64, out: &mut Murmur) {
    if number < 0 {
        head(1, !number.cast_unsigned(), out);
    } else {
        head(0, number.cast_unsigned(), out);
    }
}

/// A number: an integer when it is whole and fits 64 bits, else the shortest float that holds it.
pub(super) fn float(number: f64, out: &mut Murmur) {
    /// 2^64 and 2^63: whole numbers below and from their negative on are integers.
    const UNSIGNED: f64 = 18_446_744_073_709_551_616.0;
    const SIGNED: f64 = 9_223_372_036_854_775_808.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and in range
    if number.trunc() == number && (0.0..UNSIGNED).contains(&number) {
        unsigned(number as u64, out);
    } else if number.trunc() == number && (-SIGNED..0.0).contains(&number) {
        signed(number as i64, out);
    } else if number.is_nan() {
        out.put(&[0xf9, 0x7e, 0x00]);
    } else if let Some(half) = half(number) {
        out.put(&[0xf9]);
        out.put(&half.to_be_bytes());
    } else if f64::from(number as f32) == number {
        out.put(&[0xfa]);
        out.put(&(number as f32).to_be_bytes());
    } else {
        out.put(&[0xfb]);
        out.put(&number.to_be_bytes());
    }
}

/// The number as a float of 16 bits, where that loses nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range by the branches
fn half(number: f64) -> Option<u16> {
    let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
    let size = number.abs();
    if size.is_infinite() {
        return Some(sign | 0x7c00);
    }
    // Subnormal: a multiple of 2^-24 below 2^-14.
    let smallest = size * 16_777_216.0;
    if smallest < 1024.0 {
        return (smallest.trunc() == smallest).then_some(sign | smallest as u16);
    }
    let bits = size.to_bits();
    let exponent = i32::try_from(bits >> 52).ok()? - 1023;
    let fraction = bits & ((1 << 52) - 1);
    if !(-14..=15).contains(&exponent) || fraction & ((1 << 42) - 1) != 0 {
        return None;
    }
    let exponent = u16::try_from(exponent + 15).ok()?;
    Some(sign | (exponent << 10) | u16::try_from(fraction >> 42).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The hash of `bytes`, given in hex.
    fn hash(hex: &str) -> u32 {
        let mut murmur = Murmur::default();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        murmur.put(&bytes);
        murmur.finish()
    }

    fn encoded(f: impl FnOnce(&mut Murmur)) -> u32 {
        let mut murmur = Murmur::default();
        f(&mut murmur);
        murmur.finish()
    }

    // The examples of RFC 8949, appendix A, but for whole floats, which are integers here.
    #[test]
    fn the_examples_of_the_standard() {
        for (number, hex) in [
            (0.0, "00"),
            (-0.0, "00"),
            (23.0, "17"),
            (24.0, "1818"),
            (1000.0, "1903e8"),
            (1_000_000.0, "1a000f4240"),
            (1_000_000_000_000.0, "1b000000e8d4a51000"),
            (-1.0, "20"),
            (-100.0, "3863"),
            (1.1, "fb3ff199999999999a"),
            (1.5, "f93e00"),
            (65504.5, "fa477fe080"),
            (1.0e300, "fb7e37e43c8800759c"),
            (5.960_464_477_539_063e-8, "f90001"),
            (0.000_061_035_156_25, "f90400"),
            (-4.1, "fbc010666666666666"),
            (f64::INFINITY, "f97c00"),
            (f64::NEG_INFINITY, "f9fc00"),
            (f64::NAN, "f97e00"),
            (3.402_823_466_385_288_6e38, "fa7f7fffff"),
            (18_446_744_073_709_551_616.0, "fa5f800000"),
            (-9_223_372_036_854_775_808.0, "3b7fffffffffffffff"),
        ] {
            assert_eq!(encoded(|out| float(number, out)), hash(hex), "{number}");
        }
        assert_eq!(encoded(|out| unsigned(u64::MAX, out)), hash("1bffffffffffffffff"));
        assert_eq!(encoded(|out| signed(-1000, out)), hash("3903e7"));
        assert_eq!(encoded(|out| text("ü", out)), hash("62c3bc"));
        assert_eq!(encoded(|out| bool(true, out)), hash("f5"));
        let pair = |out: &mut Murmur| {
            list(2, out);
            null(out);
            map(0, out);
        };
        assert_eq!(encoded(pair), hash("82f6a0"));
    }

    #[test]
    fn keys_are_ordered_by_their_encoded_bytes() {
        let mut keys = ["z", "aa", "a", "", "é"];
        keys.sort_by(|a, b| key_order(a, b));
        assert_eq!(keys, ["", "a", "z", "aa", "é"]);
    }
}
