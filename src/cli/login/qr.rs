//! A login link as a code that a phone can scan, in the terminal: two rows of it in a line of half blocks.

use std::io::{self, IsTerminal};

use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;
use tdl::account::{LinkDisplay, LoginLink, PromptError};

use super::Prompts;

/// The light border that belongs to a code, in modules: what the standard asks for, and what still scans.
const QUIET: [usize; 2] = [4, 2];

/// Light on dark, whatever the terminal's own colours are.
const COLOURS: (&str, &str) = ("\u{1b}[38;5;231;48;5;16m", "\u{1b}[0m");

/// What kind of terminal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canvas {
    /// Columns and lines; none where there is no terminal.
    size: Option<(usize, usize)>,
    /// Whether colours may be used.
    colours: bool,
}

impl Canvas {
    /// That of standard error.
    pub(super) fn of_stderr() -> Self {
        let terminal = io::stderr().is_terminal();
        let size = terminal_size::terminal_size_of(io::stderr()).map(|(width, height)| (width.0.into(), height.0.into()));
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { size: size.filter(|_| terminal), colours: terminal && !plain }
    }

    /// The lines that show a text; none where it does not fit, or where there is no terminal.
    fn draw(self, text: &str) -> Option<Vec<String>> {
        let (columns, _) = self.size?;
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let quiet = QUIET.into_iter().find(|quiet| code.width() + 2 * quiet <= columns)?;
        let lines = half_blocks(&code, quiet);
        Some(match self.colours {
            true => lines.into_iter().map(|line| format!("{}{line}{}", COLOURS.0, COLOURS.1)).collect(),
            false => lines,
        })
    }

    /// Whether what was drawn in so many lines is still on the screen, so that it can be drawn over.
    fn reaches_back(self, lines: usize) -> bool {
        self.colours && self.size.is_some_and(|(_, height)| lines < height)
    }
}

/// Light modules are drawn, dark ones are left: most terminals are dark, and a scanner takes either.
fn half_blocks(code: &QrCode, quiet: usize) -> Vec<String> {
    let (width, modules) = (code.width(), code.to_colors());
    let side = width + 2 * quiet;
    let light = |x: usize, y: usize| {
        let inside = (quiet..quiet + width).contains(&x) && (quiet..quiet + width).contains(&y);
        // Below the last of an odd number of rows there is nothing, which is no light.
        y < side && (!inside || modules.get((y - quiet) * width + x - quiet) == Some(&Color::Light))
    };
    let line = |y: usize| {
        let glyph = |x: usize| match (light(x, y), light(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        (0..side).map(glyph).collect()
    };
    (0..side).step_by(2).map(line).collect()
}

impl LinkDisplay for Prompts {
    fn show(&mut self, link: &LoginLink) -> Result<(), PromptError> {
        let seconds = link.lifetime.as_secs();
        if self.output.json {
            self.output.json_line(&json!({ "event": "login_link", "link": link.url, "expires_in": seconds }))?;
            return Ok(());
        }
        let mut text = String::new();
        if self.drawn > 0 && self.canvas.reaches_back(self.drawn) {
            text = format!("\u{1b}[{}A\u{1b}[0J", self.drawn);
        }
        let how = "in Telegram on your phone: Settings, Devices, Link Desktop Device";
        let lines = match self.canvas.draw(&link.url) {
            Some(mut lines) => {
                lines.push(format!("scan this {how} (a new code in {seconds} s)"));
                lines
            }
            None => {
                let why = match self.canvas.size {
                    Some(_) => "the terminal is too narrow for a code; ",
                    None => "",
                };
                vec![format!("{why}open this {how} (good for {seconds} s):"), link.url.clone()]
            }
        };
        self.drawn = lines.len();
        text.push_str(&lines.join("\n"));
        // It is what was asked for: shown to the quiet as well.
        self.output.alert(&text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "tg://login?token=AQJ0aGlzIGlzIGEgdG9rZW4gb2YgdGhlIHVzdWFsIGxlbmd0aC4u";

    fn canvas(columns: usize, colours: bool) -> Canvas {
        Canvas { size: Some((columns, 60)), colours }
    }

    /// Reads the modules back out of the glyphs.
    fn modules(lines: &[String]) -> Vec<Vec<bool>> {
        let rows = |line: &String| {
            let top = line.chars().map(|glyph| matches!(glyph, '█' | '▀')).collect();
            let bottom = line.chars().map(|glyph| matches!(glyph, '█' | '▄')).collect();
            [top, bottom]
        };
        lines.iter().flat_map(rows).collect()
    }

    #[test]
    fn the_glyphs_are_the_code() {
        let code = QrCode::with_error_correction_level(LINK, EcLevel::L).expect("fits");
        for quiet in [4, 2, 1] {
            let light = modules(&half_blocks(&code, quiet));
            let side = code.width() + 2 * quiet;
            assert_eq!((light.len(), light[0].len()), (side + side % 2, side));
            for (y, row) in light.iter().enumerate() {
                for (x, light) in row.iter().enumerate() {
                    let inside = (quiet..side - quiet).contains(&x) && (quiet..side - quiet).contains(&y);
                    let expected = match inside {
                        true => code[(x - quiet, y - quiet)] == Color::Light,
                        false => y < side,
                    };
                    assert_eq!(*light, expected, "{x} {y} {quiet}");
                }
            }
        }
    }

    #[test]
    fn a_code_is_as_wide_as_the_terminal_lets_it() {
        let width = QrCode::with_error_correction_level(LINK, EcLevel::L).expect("fits").width();
        let columns = |lines: Vec<String>| lines[0].chars().count();
        assert_eq!(canvas(200, false).draw(LINK).map(columns), Some(width + 8));
        assert_eq!(canvas(width + 8, false).draw(LINK).map(columns), Some(width + 8));
        assert_eq!(canvas(width + 7, false).draw(LINK).map(columns), Some(width + 4));
        assert_eq!(canvas(width + 3, false).draw(LINK), None);
        assert_eq!(Canvas { size: None, colours: false }.draw(LINK), None);
        assert!(width <= 41, "it fits a terminal of 80 columns, and in 24 lines: {width}");
    }

    #[test]
    fn colours_are_put_around_each_line_and_only_where_they_may() {
        let plain = canvas(80, false).draw(LINK).expect("fits");
        let coloured = canvas(80, true).draw(LINK).expect("fits");
        assert!(plain.iter().all(|line| !line.contains('\u{1b}')));
        for (plain, coloured) in plain.iter().zip(&coloured) {
            assert_eq!(coloured, &format!("{}{plain}{}", COLOURS.0, COLOURS.1));
        }
        assert!(canvas(80, true).reaches_back(59) && !canvas(80, true).reaches_back(60), "it scrolled away");
        assert!(!canvas(80, false).reaches_back(5), "a terminal without colours has no cursor to move either");
    }
}
