//! The greeting of a browser: what Chromium has sent since it offers X25519MLKEM768 and the final number of its application settings
//! (version 133), and what it sent before it had encrypted greetings (version 116).
//!
//! ```text
//! record 16 03 01 len | message 01 len | 03 03 | random: 32 | session id: 32 | ciphers | 00 | extensions
//! ```
//!
//! As Chromium does it: reserved values (GREASE, RFC 8701) in front of the ciphers, groups, versions and key shares and as the first and
//! the last extension; everything between these two in an order drawn anew each time; an encrypted greeting (ECH) that is itself reserved;
//! filled up to 512 bytes when it would be between 256 and 511, and not otherwise.

use rand::Rng;

use super::{DIGEST, DIGEST_AT, content, extension, message, share};

/// Which greeting to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// With a share for X25519MLKEM768, some 1700 to 2000 bytes: today's browsers.
    #[default]
    Current,
    /// Without that and without an encrypted greeting; always 517 bytes as a record. Browsers of 2023. Proxies of that time and earlier
    /// know no other length.
    Classic,
}

/// The length up to which a greeting is filled, without the record's head.
const FILLED: usize = 512;
/// Greetings shorter than this are left as they are.
const FILLED_FROM: usize = 256;

/// The session id, which TLS 1.3 keeps for looks.
pub(super) const SESSION_ID: usize = 32;
/// Where it begins: behind the digest and its own length.
pub(super) const SESSION_ID_AT: usize = DIGEST_AT + DIGEST + 1;

/// `TLS_AES_128_GCM_SHA256`: the first choice of the greeting, and the cipher that answers name.
pub(super) const AES_128_GCM_SHA256: u16 = 0x1301;
/// The group X25519.
pub(super) const GROUP_X25519: u16 = 0x001d;
const GROUP_X25519_ML_KEM_768: u16 = 0x11ec;
const GROUPS_NIST: [u16; 2] = [0x0017, 0x0018];
/// TLS 1.3.
pub(super) const TLS_1_3: u16 = 0x0304;

const CIPHERS: [u16; 15] = [
    AES_128_GCM_SHA256,
    0x1302,
    0x1303,
    0xc02b,
    0xc02f,
    0xc02c,
    0xc030,
    0xcca9,
    0xcca8,
    0xc013,
    0xc014,
    0x009c,
    0x009d,
    0x002f,
    0x0035,
];

const SIGNATURES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

/// Extensions between the two reserved ones, in the order of their numbers; it is shuffled.
const EXTENSIONS: [u16; 16] = [
    extension::SERVER_NAME,
    STATUS_REQUEST,
    SUPPORTED_GROUPS,
    EC_POINT_FORMATS,
    SIGNATURE_ALGORITHMS,
    ALPN,
    SIGNED_CERTIFICATE_TIMESTAMP,
    EXTENDED_MASTER_SECRET,
    COMPRESS_CERTIFICATE,
    SESSION_TICKET,
    SUPPORTED_VERSIONS,
    PSK_KEY_EXCHANGE_MODES,
    KEY_SHARE,
    APPLICATION_SETTINGS,
    ENCRYPTED_CLIENT_HELLO,
    RENEGOTIATION_INFO,
];

const STATUS_REQUEST: u16 = 0x0005;
const SUPPORTED_GROUPS: u16 = 0x000a;
const EC_POINT_FORMATS: u16 = 0x000b;
const SIGNATURE_ALGORITHMS: u16 = 0x000d;
const ALPN: u16 = 0x0010;
const SIGNED_CERTIFICATE_TIMESTAMP: u16 = 0x0012;
const PADDING: u16 = 0x0015;
const EXTENDED_MASTER_SECRET: u16 = 0x0017;
const COMPRESS_CERTIFICATE: u16 = 0x001b;
const SESSION_TICKET: u16 = 0x0023;
/// The versions on offer; in an answer the one chosen.
pub(super) const SUPPORTED_VERSIONS: u16 = 0x002b;
const PSK_KEY_EXCHANGE_MODES: u16 = 0x002d;
/// The shares on offer; in an answer the server's.
pub(super) const KEY_SHARE: u16 = 0x0033;
const APPLICATION_SETTINGS: u16 = 0x44cd;
/// The number that application settings had until 2025.
const APPLICATION_SETTINGS_CLASSIC: u16 = 0x4469;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// The reserved values of one greeting. Each kind of place keeps its value throughout.
struct Reserved {
    cipher: u16,
    group: u16,
    version: u16,
    first_extension: u16,
    last_extension: u16,
}

impl Reserved {
    fn draw(rng: &mut dyn Rng) -> Self {
        let mut value = || {
            let byte = (rng.next_u32() & 0xf0) as u16 | 0x0a;
            byte << 8 | byte
        };
        let (cipher, group, version, first_extension, last) = (value(), value(), value(), value(), value());
        // No extension may be there twice.
        let last_extension = if last == first_extension { last ^ 0x1010 } else { last };
        Self { cipher, group, version, first_extension, last_extension }
    }
}

/// Makes a greeting to the web site `domain`, as a record, with zeros in the digest's place.
pub(super) fn build(domain: &str, shape: Shape, rng: &mut dyn Rng) -> Vec<u8> {
    let reserved = Reserved::draw(rng);
    let mut session_id = [0; SESSION_ID];
    rng.fill_bytes(&mut session_id);
    let mut order = EXTENSIONS;
    shuffle(&mut order, rng);

    let mut out = Writer(Vec::with_capacity(2048));
    out.u8(content::HANDSHAKE);
    // The first record of a connection names TLS 1.0, for middleboxes that know nothing newer.
    out.u16(0x0301);
    out.sized::<2>(|out| {
        out.u8(message::CLIENT_HELLO);
        out.sized::<3>(|out| {
            out.u16(0x0303);
            out.bytes(&[0; DIGEST]);
            out.sized::<1>(|out| out.bytes(&session_id));
            out.sized::<2>(|out| {
                out.u16(reserved.cipher);
                CIPHERS.iter().for_each(|cipher| out.u16(*cipher));
            });
            out.sized::<1>(|out| out.u8(0));
            out.sized::<2>(|out| {
                out.extension(reserved.first_extension, |_| {});
                for number in order {
                    let shown = match (shape, number) {
                        (Shape::Classic, ENCRYPTED_CLIENT_HELLO) => continue,
                        (Shape::Classic, APPLICATION_SETTINGS) => APPLICATION_SETTINGS_CLASSIC,
                        _ => number,
                    };
                    out.extension(shown, |out| put_extension(number, domain, shape, &reserved, out, rng));
                }
                out.extension(reserved.last_extension, |out| out.u8(0));
                // The browser counts the message from its own head on; `out` has the record's as well.
                let len = out.0.len() - super::RECORD_HEAD;
                if (FILLED_FROM..FILLED).contains(&len) {
                    // The extension's own head counts too; if there is no room for more than that, it holds one byte.
                    let room = (FILLED - len).saturating_sub(4).max(1);
                    out.extension(PADDING, |out| out.bytes(&vec![0; room]));
                }
            });
        });
    });
    out.0
}

fn put_extension(number: u16, domain: &str, shape: Shape, reserved: &Reserved, out: &mut Writer, rng: &mut dyn Rng) {
    match number {
        extension::SERVER_NAME => out.sized::<2>(|out| {
            out.u8(0);
            out.sized::<2>(|out| out.bytes(domain.as_bytes()));
        }),
        STATUS_REQUEST => out.bytes(&[1, 0, 0, 0, 0]),
        SUPPORTED_GROUPS => out.sized::<2>(|out| {
            out.u16(reserved.group);
            if shape == Shape::Current {
                out.u16(GROUP_X25519_ML_KEM_768);
            }
            out.u16(GROUP_X25519);
            GROUPS_NIST.iter().for_each(|group| out.u16(*group));
        }),
        EC_POINT_FORMATS => out.sized::<1>(|out| out.u8(0)),
        SIGNATURE_ALGORITHMS => out.sized::<2>(|out| SIGNATURES.iter().for_each(|signature| out.u16(*signature))),
        ALPN => out.sized::<2>(|out| {
            out.sized::<1>(|out| out.bytes(b"h2"));
            out.sized::<1>(|out| out.bytes(b"http/1.1"));
        }),
        // Brotli.
        COMPRESS_CERTIFICATE => out.sized::<1>(|out| out.u16(2)),
        SUPPORTED_VERSIONS => out.sized::<1>(|out| [reserved.version, TLS_1_3, 0x0303].into_iter().for_each(|v| out.u16(v))),
        PSK_KEY_EXCHANGE_MODES => out.sized::<1>(|out| out.u8(1)),
        KEY_SHARE => out.sized::<2>(|out| {
            out.u16(reserved.group);
            out.sized::<2>(|out| out.u8(0));
            if shape == Shape::Current {
                out.u16(GROUP_X25519_ML_KEM_768);
                out.sized::<2>(|out| {
                    share::put_ml_kem_768(rng, &mut out.0);
                    out.bytes(&share::x25519(rng));
                });
            }
            out.u16(GROUP_X25519);
            out.sized::<2>(|out| out.bytes(&share::x25519(rng)));
        }),
        APPLICATION_SETTINGS => out.sized::<2>(|out| out.sized::<1>(|out| out.bytes(b"h2"))),
        ENCRYPTED_CLIENT_HELLO => put_reserved_ech(out, rng),
        RENEGOTIATION_INFO => out.u8(0),
        // The others are there or not: they have no content.
        _ => {}
    }
}

/// What stands in for an encrypted greeting where the site has no key for one (draft-ietf-tls-esni, "GREASE ECH").
fn put_reserved_ech(out: &mut Writer, rng: &mut dyn Rng) {
    let [id, steps, ..] = rng.next_u32().to_le_bytes();
    // The outer one; HKDF-SHA-256; AES-128-GCM; a number for a key.
    out.bytes(&[0, 0, 1, 0, 1, id]);
    out.sized::<2>(|out| out.bytes(&share::x25519(rng)));
    // 128 to 224 bytes in steps of 32, as filled-up greetings have, and the cipher's tag.
    let mut payload = vec![0; 128 + 32 * usize::from(steps & 3) + 16];
    rng.fill_bytes(&mut payload);
    out.sized::<2>(|out| out.bytes(&payload));
}

/// Fisher and Yates. A remainder of 32 bits by at most 16 is even enough.
fn shuffle(order: &mut [u16], rng: &mut dyn Rng) {
    for last in (1..order.len()).rev() {
        let other = rng.next_u32() as usize % (last + 1);
        order.swap(last, other);
    }
}

/// Big-endian numbers, and lengths in front of what they count.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// What `fill` writes, with its length in front, in `N` bytes (1 to 3). The lengths here are a few hundred, by construction.
    pub(super) fn sized<const N: usize>(&mut self, fill: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.0.extend([0; N]);
        fill(self);
        let len = (self.0.len() - at - N).to_be_bytes();
        self.0[at..at + N].copy_from_slice(&len[len.len() - N..]);
    }

    pub(super) fn extension(&mut self, number: u16, fill: impl FnOnce(&mut Self)) {
        self.u16(number);
        self.sized::<2>(fill);
    }
}
