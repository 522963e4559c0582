//! PEM: base64 between two lines that say what it is.

/// How a text fails to be the PEM block that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// There is no `-----BEGIN …-----` line, or something stands before it.
    #[error("the text does not begin with -----BEGIN {expected}-----")]
    NoBegin {
        /// The label that belongs there.
        expected: &'static str,
    },
    /// The block is of another kind.
    #[error("expected a block of {expected}, found {found:?}")]
    WrongLabel {
        /// The label that belongs here.
        expected: &'static str,
        /// The label found.
        found: String,
    },
    /// There is no matching `-----END …-----` line, or something stands after it.
    #[error("the text does not end with -----END {expected}-----")]
    NoEnd {
        /// The label that belongs there.
        expected: &'static str,
    },
    /// A character is not of the base64 alphabet.
    #[error("byte {found:#04x} is not base64")]
    BadCharacter {
        /// The byte found.
        found: u8,
    },
    /// The base64 ends in the middle of a group, is padded wrongly, or has bits set that no byte holds.
    #[error("the base64 does not end properly")]
    BadPadding,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LINE: usize = 64;

/// Reads the one block of kind `label` that the text is, apart from white space around it.
pub(super) fn decode(text: &str, label: &'static str) -> Result<Vec<u8>, PemError> {
    let no_begin = PemError::NoBegin { expected: label };
    let no_end = PemError::NoEnd { expected: label };

    let rest = text.trim_ascii().strip_prefix("-----BEGIN ").ok_or_else(|| no_begin.clone())?;
    let (found, rest) = rest.split_once("-----").ok_or(no_begin)?;
    if found != label {
        return Err(PemError::WrongLabel { expected: label, found: found.chars().take(40).collect() });
    }
    let (body, end) = rest.split_once("-----END ").ok_or_else(|| no_end.clone())?;
    if end.strip_suffix("-----") != Some(label) {
        return Err(no_end);
    }
    decode_base64(body)
}

/// Writes a block of kind `label`, in lines of 64 characters, with a line break after the last.
pub(super) fn encode(data: &[u8], label: &str) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    out.reserve(data.len() * 3 / 2 + 64);
    for line in data.chunks(LINE / 4 * 3) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
            for at in 0..4 {
                let digit = if at > group.len() { b'=' } else { ALPHABET[(bits >> (18 - 6 * at) & 63) as usize] };
                out.push(digit.into());
            }
        }
        out.push('\n');
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

fn decode_base64(text: &str) -> Result<Vec<u8>, PemError> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => 0,
            found => return Err(PemError::BadCharacter { found }),
        };
        if byte == b'=' {
            padding += 1;
        } else if padding > 0 {
            return Err(PemError::BadPadding);
        }
        bits = bits << 6 | u32::from(digit);
        count += 1;
        if count == 4 {
            let [_, a, b, c] = bits.to_be_bytes();
            let (kept, spare) = match padding {
                0 => (3, 0),
                1 => (2, c),
                2 => (1, b | c),
                _ => return Err(PemError::BadPadding),
            };
            if spare != 0 {
                return Err(PemError::BadPadding);
            }
            out.extend([a, b, c].into_iter().take(kept));
            (bits, count) = (0, 0);
        } else if padding > 2 {
            return Err(PemError::BadPadding);
        }
    }
    if count == 0 { Ok(out) } else { Err(PemError::BadPadding) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn published_vectors_both_ways() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(decode_base64(text).unwrap(), plain.as_bytes());
            let pem = encode(plain.as_bytes(), "X");
            assert_eq!(pem.split('\n').filter(|line| !line.starts_with('-')).collect::<String>(), text);
            assert_eq!(decode(&pem, "X").unwrap(), plain.as_bytes());
        }
    }

    #[test]
    fn lines_have_64_characters() {
        let pem = encode(&[7; 100], "X");
        let lengths: Vec<_> = pem.lines().map(str::len).collect();
        assert_eq!(lengths, ["-----BEGIN X-----".len(), 64, 64, 8, "-----END X-----".len()]);
    }

    #[test]
    fn every_deviation_has_its_error() {
        let no_begin = PemError::NoBegin { expected: "X" };
        let no_end = PemError::NoEnd { expected: "X" };
        assert_eq!(decode("", "X"), Err(no_begin.clone()));
        assert_eq!(decode("hello -----BEGIN X-----\n-----END X-----", "X"), Err(no_begin.clone()));
        assert_eq!(decode("-----BEGIN X", "X"), Err(no_begin));
        let wrong = PemError::WrongLabel { expected: "X", found: "Y".into() };
        assert_eq!(decode("-----BEGIN Y-----\n-----END Y-----", "X"), Err(wrong));
        assert_eq!(decode("-----BEGIN X-----\nZg==", "X"), Err(no_end.clone()));
        assert_eq!(decode("-----BEGIN X-----\nZg==\n-----END Y-----", "X"), Err(no_end.clone()));
        assert_eq!(decode("-----BEGIN X-----\nZg==\n-----END X----- more", "X"), Err(no_end));
        assert_eq!(decode_base64("Zg!="), Err(PemError::BadCharacter { found: b'!' }));
        for text in ["Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zg==Z", "=", "Zh==", "Zm9=", "Zg=A", "Zg=====", "Zg======"]
        {
            assert_eq!(decode_base64(text), Err(PemError::BadPadding), "{text}");
        }
    }

    #[test]
    fn a_long_wrong_label_is_cut() {
        let text = format!("-----BEGIN {}-----\n", "Y".repeat(1000));
        let found = "Y".repeat(40);
        assert_eq!(decode(&text, "X"), Err(PemError::WrongLabel { expected: "X", found }));
    }
}
