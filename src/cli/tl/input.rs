//! What is decoded and encoded: from the command line, from a file, from standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::cli::exit::CliError;

/// Nothing that one object could be is larger; and a mistyped file name must not fill the memory.
const MAX_INPUT: u64 = 64 << 20;

/// Words as they were typed, or the content that `-` or `@file` stands for; the latter with the name that errors give it.
pub(super) fn read(words: &[String]) -> Result<(Vec<u8>, String), CliError> {
    match words {
        [word] if word == "-" => {
            let bytes = bounded(io::stdin().lock()).map_err(|e| CliError::failed(format!("standard input: {e}")))?;
            Ok((bytes, "standard input".to_owned()))
        }
        [word] if word.starts_with('@') => {
            let path = Path::new(word.strip_prefix('@').unwrap_or_default());
            let failed = |e: io::Error| {
                CliError::failed(format!("{}: {e}", path.display()))
                    .advise("behind @ stands the name of a file with the bytes or the JSON")
            };
            let bytes = fs::File::open(path).and_then(bounded).map_err(failed)?;
            Ok((bytes, path.display().to_string()))
        }
        words => Ok((words.join(" ").into_bytes(), "what was typed".to_owned())),
    }
}

fn bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(io::Error::other(format!("more than {} MiB", MAX_INPUT >> 20)));
    }
    Ok(bytes)
}

/// The bytes that a content stands for: hexadecimal digits, base64, or, where they come from a file or a pipe, themselves.
pub(super) fn bytes(content: Vec<u8>, typed: bool) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(&content).ok();
    let compact =
        text.map(|text| text.split_whitespace().map(|word| word.strip_prefix("0x").unwrap_or(word)).collect::<String>());
    if let Some(text) = compact.filter(|text| !text.is_empty()) {
        if let Some(bytes) = unhex(&text) {
            return Some(bytes);
        }
        if let Ok(bytes) = STANDARD.decode(&text) {
            return Some(bytes);
        }
    }
    (!typed && !content.is_empty()).then_some(content)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_bytes_is_found_out() {
        for (text, typed, found) in [
            ("0xDEAD beef", true, Some(vec![0xde, 0xad, 0xbe, 0xef])),
            ("de\nad\n", false, Some(vec![0xde, 0xad])),
            ("3q2+7w==", true, Some(vec![0xde, 0xad, 0xbe, 0xef])),
            ("dea", true, None),
            ("", true, None),
            ("", false, None),
            ("what?", true, None),
            ("what?", false, Some(b"what?".to_vec())),
        ] {
            assert_eq!(bytes(text.as_bytes().to_vec(), typed), found, "{text:?}");
        }
        assert_eq!(bytes(vec![0xff, 0], false), Some(vec![0xff, 0]));
        assert_eq!(hex(&[0, 0xaf]), "00af");
    }
}
