//! What session strings have in common: base64, and a length.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use zeroize::Zeroizing;

use super::{Error, Format};

/// The longest session string. The longest that any program writes has some four hundred characters.
pub(super) const MAX_LEN: usize = 4096;

/// Reads with padding and without it: programs differ, and people lose the `=` at the end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Which characters stand for 62 and 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `-` and `_`.
    UrlSafe,
    /// `+` and `/`.
    Standard,
}

/// The bytes that a string stands for.
///
/// # Errors
///
/// [`Error::TooLarge`], [`Error::NotBase64`].
pub(super) fn decode(format: Format, text: &str, alphabet: Alphabet) -> Result<Zeroizing<Vec<u8>>, Error> {
    decode_long(format, text, alphabet, MAX_LEN)
}

/// The same for a text of at most `limit` characters.
pub(super) fn decode_long(format: Format, text: &str, alphabet: Alphabet, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    if text.len() > limit {
        return Err(Error::TooLarge { what: format!("the {format}"), limit: limit as u64, found: text.len() as u64 });
    }
    let engine = match alphabet {
        Alphabet::UrlSafe => URL_SAFE,
        Alphabet::Standard => STANDARD,
    };
    // Room for all of it at once: a buffer that grows leaves copies of keys behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    engine.decode_vec(text, &mut out).map_err(|_| Error::NotBase64(format))?;
    Ok(out)
}

/// The string that stands for bytes.
pub(super) fn encode(prefix: &str, bytes: &[u8], engine: &GeneralPurpose) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    out.push_str(prefix);
    engine.encode_string(bytes, &mut out);
    out
}

pub(super) use general_purpose::{STANDARD as PADDED, URL_SAFE as URL_SAFE_PADDED, URL_SAFE_NO_PAD as URL_SAFE_BARE};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_optional_and_alphabets_are_not() {
        for text in ["-_8=", "-_8"] {
            assert_eq!(decode(Format::Gramjs, text, Alphabet::UrlSafe).unwrap().as_slice(), [0xfb, 0xff]);
            assert!(matches!(decode(Format::Gramjs, text, Alphabet::Standard), Err(Error::NotBase64(Format::Gramjs))));
        }
        assert_eq!(decode(Format::Gramjs, "+/8=", Alphabet::Standard).unwrap().as_slice(), [0xfb, 0xff]);
        for wrong in ["+/8=", "a", "ab=c", "é", "a b "] {
            assert!(matches!(decode(Format::Gramjs, wrong, Alphabet::UrlSafe), Err(Error::NotBase64(_))), "{wrong}");
        }
        let long = "A".repeat(MAX_LEN + 1);
        assert!(matches!(decode(Format::Gramjs, &long, Alphabet::UrlSafe), Err(Error::TooLarge { limit: 4096, .. })));
        assert_eq!(encode("1", &[0xfb, 0xff], &PADDED).as_str(), "1+/8=");
    }
}
