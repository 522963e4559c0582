//! Spans of time as people type them, and as the Go tool took them: `90s`, `5m`, `1h30m`, `500ms`, `0`.

use std::time::Duration;

/// Units, longest name first where one begins with another.
const UNITS: &[(&str, f64)] = &[
    ("ms", 0.001),
    ("us", 0.000_001),
    ("µs", 0.000_001),
    ("ns", 1e-9),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

/// The longest span that makes sense for any flag: ten years.
const MAX: Duration = Duration::from_secs(10 * 366 * 86400);

/// Reads a span. A bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a span of time: write 90s, 5m, 1h30m, 500ms or 0");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0.0;
    let mut terms = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let (factor, after) = match UNITS.iter().find_map(|(unit, factor)| Some((*factor, after.strip_prefix(unit)?))) {
            Some(found) => found,
            None if after.is_empty() && terms == 0 => (1.0, after),
            None => return Err(wrong()),
        };
        total += number * factor;
        terms += 1;
        rest = after;
    }
    match Duration::try_from_secs_f64(total) {
        Ok(span) if span <= MAX => Ok(span),
        _ => Err(format!("'{text}' is longer than ten years")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1.5s", 1500),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "5x", "5m3", "-5s", "1..2s", "m5", "999999d", "1e9"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
