//! Spans, sizes and times of day, short.

use std::time::Duration;

/// `950 µs`, `23.4 ms`, `1.20 s`, `2 min 5 s`.
pub fn span(span: Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.2} s", micros as f64 / 1e6),
        _ => format!("{} min {} s", span.as_secs() / 60, span.as_secs() % 60),
    }
}

/// `84 B`, `1.2 KiB`, `64.0 MiB`.
pub fn size(bytes: usize) -> String {
    const KIB: f64 = 1024.0;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / KIB),
        _ => format!("{:.1} MiB", bytes as f64 / KIB / KIB),
    }
}

/// The time of day in UTC, to the millisecond, of a Unix time.
pub fn time_of_day(at: Duration) -> String {
    let seconds = at.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, at.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (23_440, "23.4 ms"),
            (450_900, "450 ms"),
            (1_204_000, "1.20 s"),
            (125_000_000, "2 min 5 s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_234, "1.2 KiB"), (64 << 20, "64.0 MiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times() {
        assert_eq!(time_of_day(Duration::from_millis(1_700_000_000_123)), "22:13:20.123");
        assert_eq!(time_of_day(Duration::ZERO), "00:00:00.000");
    }
}
