//! One line of a running transfer, as wide as the terminal and no wider: what matters least goes first where there is no room.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use crate::cli::output::fit;

/// What a line tells.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) done: u64,
    pub(super) total: u64,
    /// Bytes a second.
    pub(super) speed: f64,
    pub(super) left: Option<Duration>,
    /// Why nothing moves; stands where the speed would be.
    pub(super) wait: Option<&'a str>,
}

const GAP: &str = "  ";
const PERCENT: usize = 4;
const LEFT: usize = 10;
const SPEED: usize = 12;
const SIZES: usize = 17;
const NAME: usize = 16;
const BAR: usize = 10;

impl Line<'_> {
    /// The line in `width` columns.
    pub(super) fn text(&self, width: usize) -> String {
        let mut room = width.saturating_sub(NAME + GAP.len() + PERCENT);
        let mut take = |columns: usize| {
            let fits = room >= columns + GAP.len();
            if fits {
                room -= columns + GAP.len();
            }
            fits
        };
        // In the order of what a person wants to know.
        let left = take(LEFT);
        let speed = take(SPEED);
        let sizes = take(SIZES);
        let bar = take(BAR);
        // What is left over makes names readable first, and then the bar long.
        let name = (NAME + if bar { room * 2 / 3 } else { room }).min(60);
        let bar = if bar { (BAR + room + NAME - name).min(40) } else { 0 };
        let name = if width < NAME + GAP.len() + PERCENT { width.saturating_sub(GAP.len() + PERCENT) } else { name };
        let mut cells = vec![padded(&fit(self.name, name.max(1)), name)];
        let share = if self.total == 0 { 1.0 } else { (self.done as f64 / self.total as f64).clamp(0.0, 1.0) };
        if bar > 0 {
            let full = (share * bar as f64) as usize;
            cells.push(format!("{}{}", "━".repeat(full), "─".repeat(bar - full)));
        }
        cells.push(format!("{:>PERCENT$}", format!("{}%", (share * 100.0) as u64)));
        if sizes {
            cells.push(format!("{:>SIZES$}", of(self.done, self.total)));
        }
        match self.wait {
            Some(why) if left => {
                let columns = if speed { SPEED + GAP.len() + LEFT } else { LEFT };
                cells.push(fit(why, columns));
            }
            _ => {
                if speed {
                    cells.push(format!("{:>SPEED$}", rate(self.speed)));
                }
                if left {
                    cells.push(self.left.map(remaining).unwrap_or_default());
                }
            }
        }
        fit(cells.join(GAP).trim_end(), width)
    }
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// The unit of an amount of bytes, and how many bytes it has.
fn unit(bytes: u64) -> (&'static str, f64) {
    match bytes {
        0..0x400 => ("B", 1.0),
        0x400..0x10_0000 => ("KiB", 1024.0),
        0x10_0000..0x4000_0000 => ("MiB", 1024.0 * 1024.0),
        0x4000_0000..0x100_0000_0000 => ("GiB", 1024.0 * 1024.0 * 1024.0),
        _ => ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
    }
}

/// Bytes for people, short.
pub(super) fn bytes(amount: u64) -> String {
    let (name, size) = unit(amount);
    if size > 1.0 { format!("{:.1} {name}", amount as f64 / size) } else { format!("{amount} {name}") }
}

/// So much of so much, in the unit of the whole.
fn of(done: u64, total: u64) -> String {
    let (name, size) = unit(total);
    if size > 1.0 {
        format!("{:.1}/{:.1} {name}", done as f64 / size, total as f64 / size)
    } else {
        format!("{done}/{total} {name}")
    }
}

/// Bytes a second, for people.
pub(super) fn rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second.max(0.0) as u64))
}

/// The time that is left, for people.
pub(super) fn remaining(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..3600 => format!("{}:{:02} left", seconds / 60, seconds % 60),
        3600..36_000 => format!("{}:{:02} h left", seconds / 3600, seconds / 60 % 60),
        36_000..360_000 => format!("{} h left", seconds / 3600),
        360_000..86_400_000 => format!("{} d left", seconds / 86_400),
        _ => String::new(),
    }
}

/// How long `left` bytes take; nothing where nothing moves.
pub(super) fn time_for(left: u64, per_second: f64) -> Option<Duration> {
    (per_second >= 1.0).then(|| Duration::from_secs_f64((left as f64 / per_second).min(1e9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(name: &'a str, wait: Option<&'a str>) -> Line<'a> {
        Line { name, done: 512 << 20, total: 2048 << 20, speed: 47_400_000.0, left: Some(Duration::from_secs(34)), wait }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_all_that_fits_is_there() {
        for name in [
            "a.bin",
            "a very long name of a file that nobody could ever read.mkv",
            "日本語の長いファイル名.mp4",
            "🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀.tar",
            "",
        ] {
            for width in 1..200 {
                for wait in [None, Some("waiting 25 s, the server asks for it")] {
                    let text = line(name, wait).text(width);
                    assert!(text.width() <= width, "{width}: {} {text:?}", text.width());
                }
            }
        }
        let wide = line("a.bin", None).text(100);
        for part in ["a.bin", "━", "─", "25%", "0.5/2.0 GiB", "45.2 MiB/s", "0:34 left"] {
            assert!(wide.contains(part), "{part}: {wide}");
        }
        let narrow = line("a.bin", None).text(40);
        assert!(narrow.contains("25%") && narrow.contains("0:34 left") && !narrow.contains("MiB/s"), "{narrow}");
        assert!(line("a.bin", None).text(20).contains("25%"));
    }

    #[test]
    fn columns_stand_below_each_other_whatever_the_names_are() {
        let at = |name: &str| {
            let text = line(name, None).text(90);
            text.split("25%").next().unwrap().width()
        };
        assert_eq!(at("a"), at("日本語の長いファイル名日本語の長いファイル名日本語の長いファイル名"));
        assert_eq!(at("a"), at("🦀.bin"));
    }

    #[test]
    fn a_wait_stands_in_place_of_the_speed() {
        let text = line("a.bin", Some("waiting 25 s")).text(80);
        assert!(text.contains("waiting 25 s") && !text.contains("MiB/s") && !text.contains("left"), "{text}");
    }

    #[test]
    fn amounts_and_times_for_people() {
        for (amount, want) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(amount), want);
        }
        assert_eq!(of(100, 200), "100/200 B");
        for (seconds, want) in
            [(0, "0:00 left"), (61, "1:01 left"), (7260, "2:01 h left"), (90_000, "25 h left"), (864_000, "10 d left")]
        {
            assert_eq!(remaining(Duration::from_secs(seconds)), want);
        }
        assert_eq!(time_for(100, 0.5), None);
        assert_eq!(time_for(100, 50.0), Some(Duration::from_secs(2)));
        assert!(time_for(u64::MAX, 1.0).is_some(), "no overflow");
    }
}
