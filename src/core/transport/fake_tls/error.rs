//! Rules of the disguise, each with what breaks it.

/// A rule that the peer broke. The connection cannot go on after any of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The server's answer.
    /// The answer is a TLS alert: whoever is there is a real TLS server that did not like our greeting.
    #[error("a TLS alert came (level {level}, description {description}): this is a web server, not a proxy with this secret")]
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// The alert, as RFC 8446 numbers it.
        description: u8,
    },
    /// The answer does not begin with a record of handshake messages.
    #[error("the answer begins with a record of type {found:#04x}, not with a TLS greeting: this is no proxy for fake TLS")]
    NotHandshake {
        /// The type found.
        found: u8,
    },
    /// A real TLS server of an older version answers like this.
    #[error("a record of type {found:#04x} came where ChangeCipherSpec belongs: the proxy does not know this secret")]
    NoChangeCipherSpec {
        /// The type found.
        found: u8,
    },
    /// ChangeCipherSpec is not the one byte that it always is.
    #[error("ChangeCipherSpec is not the single byte 1")]
    BadChangeCipherSpec,
    /// The answer does not end with a record of data.
    #[error("a record of type {found:#04x} came where the answer's data belongs: the proxy does not know this secret")]
    NoData {
        /// The type found.
        found: u8,
    },
    /// The answer was made without the secret, or to another greeting, or was changed on its way.
    #[error("the answer's digest is wrong: the proxy does not know this secret, and shows us its web site")]
    WrongServerDigest,
    /// The answer is proven but does not begin with a ServerHello that fills its record.
    #[error("the answer is no ServerHello: {what}")]
    NotServerHello {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The answer is proven but does not repeat the session id of our greeting, as TLS demands.
    #[error("the answer does not repeat our session id")]
    WrongSessionId,

    // The client's greeting.
    /// The connection does not begin with a record of handshake messages.
    #[error("the client begins with {found:#04x}, not with a TLS greeting")]
    NotTls {
        /// The first byte.
        found: u8,
    },
    /// The message is not a ClientHello.
    #[error("the client's first message is of type {found}, not a ClientHello")]
    NotClientHello {
        /// The type found.
        found: u8,
    },
    /// A length in the greeting does not fit what is around it.
    #[error("the greeting's {field} runs past its end, or stops short of it")]
    BadLength {
        /// Which part.
        field: &'static str,
    },
    /// The greeting has no name of a web site.
    #[error("the greeting names no web site")]
    NoServerName,
    /// The greeting names another web site than the secret.
    #[error("the greeting names another web site")]
    WrongServerName,
    /// The greeting was made without the secret: a visitor of the web site, or a prober.
    #[error("the greeting's digest is wrong: the client does not know the secret")]
    WrongClientDigest,
    /// The greeting is too old, or from the future.
    #[error("the client's clock is {behind} s behind ours")]
    ClockSkew {
        /// Our time minus the client's, in seconds.
        behind: i64,
    },
    /// The greeting has been used before.
    #[error("the greeting was used before")]
    Replayed,

    // Records of either side.
    /// The record's version is none that a record has.
    #[error("a record has the version {}.{}", found[0], found[1])]
    WrongVersion {
        /// The version found.
        found: [u8; 2],
    },
    /// A record is announced that is longer than TLS allows.
    #[error("a record of {found} bytes is announced, at most {max} are allowed")]
    RecordTooLong {
        /// The length announced.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A record without content: TLS 1.3 has none, as each holds at least the cipher's tag.
    #[error("an empty record came")]
    EmptyRecord,
    /// A record of another type where only data may come.
    #[error("a record of type {found:#04x} came in the middle of the data")]
    NotDataRecord {
        /// The type found.
        found: u8,
    },
}

impl Error {
    /// Whether another attempt would end the same way: the peer is there, and is no proxy that knows this secret.
    pub const fn is_about_the_secret(&self) -> bool {
        matches!(
            self,
            Self::Alert { .. }
                | Self::NotHandshake { .. }
                | Self::NoChangeCipherSpec { .. }
                | Self::NoData { .. }
                | Self::WrongServerDigest
        )
    }
}
