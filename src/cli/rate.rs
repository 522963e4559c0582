//! How people write a number of bytes a second: `500K`, `2M`, `1.5MiB/s`.

use std::num::NonZeroU64;

/// Parses bytes a second: a number with K, M or G for powers of 1024, and `B`, `iB` or `/s` after it as one likes.
pub(crate) fn parse(text: &str) -> Result<NonZeroU64, String> {
    let wrong = || format!("'{text}' is no number of bytes a second: write 500K, 2M or 1.5M");
    let plain = text.trim().to_ascii_lowercase();
    let plain = plain.strip_suffix("/s").unwrap_or(&plain).trim_end();
    let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = plain.get(digits.len()..).unwrap_or_default();
    let factor: f64 = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1024.0 * 1024.0,
        "g" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let digits = digits.trim_end();
    let number =
        digits.starts_with(|c: char| c.is_ascii_digit()).then(|| digits.parse::<f64>().ok()).flatten().ok_or_else(wrong)?;
    // A float that is too large becomes the largest integer, which is no limit at all.
    NonZeroU64::new((number * factor) as u64).ok_or_else(|| "0 bytes a second would never end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_people_write_them() {
        for (text, want) in [
            ("1", 1),
            ("500K", 500 << 10),
            ("500k/s", 500 << 10),
            ("2M", 2 << 20),
            ("1.5MiB/s", 3 << 19),
            ("1 gb", 1 << 30),
            ("64B", 64),
            ("1e400", u64::MAX),
        ] {
            let parsed = parse(text);
            if text == "1e400" {
                assert!(parsed.is_ok_and(|n| n.get() == want), "{text}");
            } else {
                assert_eq!(parsed.map(NonZeroU64::get), Ok(want), "{text}");
            }
        }
        for text in ["", "K", "0", "0.0001", "-1", "fast", "5 parsecs", "inf", "nan", "1T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
