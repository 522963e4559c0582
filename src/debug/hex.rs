//! Bytes as hexadecimal digits, as recordings write them.

/// Appends two digits for each byte.
pub fn put(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// The digits of some bytes.
pub fn of(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    put(bytes, &mut out);
    out.into_iter().map(char::from).collect()
}

/// The bytes that digits stand for; `None` if they are an odd number, or if there is anything else among them.
pub fn read(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&of(&all)), Some(all));
        assert_eq!(of(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(read("AbfF"), Some(vec![0xab, 0xff]));
        assert_eq!(read(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_digit_is_refused() {
        for text in ["0", "0g", "+1", "é", "0x00", " 0"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
