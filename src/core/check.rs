//! The checks of what a peer sends, by name, so that each can be taken away and a test be seen to fail.
//!
//! A check is an `if` around `broken`. In every ordinary build that is the condition itself: no cost, no setting, no way around
//! a check. Only with the feature `mutations`, which nothing but `tests/mutations.rs` asks for, one check of the process can be out of
//! force: the one that the environment variable `TDL_WITHOUT_CHECK` names.
//!
//! Some rules have no `if` of their own, because what they demand is also what the code goes on with: the bytes of a length that a
//! frame has to have, an object that has to be read. Nobody can take such a check away and have a program left;
//! `tests/mutations.rs` lists them.

/// Declares [`Check`]: for each, the error variant that tells of it, and where the tests are that notice
/// (the beginning of their paths).
macro_rules! checks {
    ($($check:ident, $variant:literal, $tests:literal;)*) => {
        /// A check that can be taken away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check {
            $(
                #[doc = concat!("Refuses with `", $variant, "`; looked after by the tests of `", $tests, "`.")]
                $check,
            )*
        }

        impl Check {
            /// Every check.
            pub const ALL: &[Self] = &[$(Self::$check),*];

            /// The error variant that tells of it.
            pub const fn variant(self) -> &'static str {
                match self { $(Self::$check => $variant),* }
            }

            /// Where the tests are that look after it: the beginning of their paths.
            pub const fn tests(self) -> &'static str {
                match self { $(Self::$check => $tests),* }
            }
        }
    };
}

checks! {
    EnvelopeTooShort, "TooShort", "mtproto::envelope";
    EnvelopeKeyId, "KeyIdMismatch", "mtproto::envelope";
    EnvelopeBlocks, "NotBlockAligned", "mtproto::envelope";
    EnvelopeMsgKey, "MsgKeyMismatch", "mtproto::envelope";
    EnvelopeLengthByFour, "LengthNotDivisibleByFour", "mtproto::envelope";
    EnvelopeLengthBounds, "LengthOutOfBounds", "mtproto::envelope";
    EnvelopePaddingLeast, "PaddingTooShort", "mtproto::envelope";
    EnvelopePaddingMost, "PaddingTooLong", "mtproto::envelope";

    PlainEncrypted, "Encrypted", "mtproto::plain";
    PlainLengthMost, "LengthOutOfBounds", "mtproto::plain";
    PlainLengthByFour, "LengthNotDivisibleByFour", "mtproto::plain";
    PlainLengthThere, "LengthTooLong", "mtproto::plain";
    PlainTrailingBytes, "TrailingBytes", "mtproto::plain";

    ContainerCount, "TooManyMessages", "mtproto::container";
    ContainerBodyLength, "BadLength", "mtproto::container";
    ContainerTrailingBytes, "TrailingBytes", "mtproto::container";
    ContainerNested, "Nested", "mtproto::container";
    ContainerIdOrder, "InnerIdNotLower", "mtproto::container";
    ContainerRepeatedId, "Repeated", "mtproto::container";

    GzipCap, "TooLarge", "mtproto::gzip";
    GzipDamaged, "Damaged", "mtproto::gzip";

    NonceInResPq, "NonceMismatch", "mtproto::handshake";
    NonceInServerDhParams, "NonceMismatch", "mtproto::handshake";
    NonceInServerDhInner, "NonceMismatch", "mtproto::handshake";
    NonceInDhGen, "NonceMismatch", "mtproto::handshake";
    NonceInReqDhParams, "NonceMismatch", "mtproto::handshake";
    NonceInPqInner, "NonceMismatch", "mtproto::handshake";
    NonceInSetClientDhParams, "NonceMismatch", "mtproto::handshake";
    NonceInClientDhInner, "NonceMismatch", "mtproto::handshake";
    ServerNonceInServerDhParams, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInServerDhInner, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInDhGen, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInReqDhParams, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInPqInner, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInSetClientDhParams, "ServerNonceMismatch", "mtproto::handshake";
    ServerNonceInClientDhInner, "ServerNonceMismatch", "mtproto::handshake";
    PqLength, "PqTooLong", "mtproto::handshake";
    PqSize, "PqTooLarge", "mtproto::handshake";
    PqOdd, "PqNotTwoOddPrimes", "mtproto::handshake";
    KeyOffered, "NoCommonKey", "mtproto::handshake";
    DhParamsFailHash, "DhParamsFailHashMismatch", "mtproto::handshake";
    NewNonceHash1, "NewNonceHash1Mismatch", "mtproto::handshake";
    NewNonceHash2, "NewNonceHash2Mismatch", "mtproto::handshake";
    NewNonceHash3, "NewNonceHash3Mismatch", "mtproto::handshake";
    RetriesEnd, "TooManyRetries", "mtproto::handshake";
    SealedMost, "EncryptedTooLong", "mtproto::handshake";
    SealedLeast, "EncryptedTooShort", "mtproto::handshake";
    SealedBlocks, "EncryptedNotBlockAligned", "mtproto::handshake";
    SealedHash, "InnerHashMismatch", "mtproto::handshake";
    SealedPadding, "InnerPaddingTooLong", "mtproto::handshake";
    FactorP, "FactorsMismatch", "mtproto::handshake";
    FactorQ, "FactorsMismatch", "mtproto::handshake";
    ServerKeyKnown, "UnknownFingerprint", "mtproto::handshake";
    LegacyRsaHash, "LegacyRsaHashMismatch", "mtproto::handshake";
    InnerPq, "InnerPqMismatch", "mtproto::handshake";
    InnerFactorP, "InnerFactorsMismatch", "mtproto::handshake";
    InnerFactorQ, "InnerFactorsMismatch", "mtproto::handshake";
    RightDc, "WrongDc", "mtproto::handshake";
    LifetimePositive, "ExpiresInNotPositive", "mtproto::handshake";
    RetryId, "RetryIdMismatch", "mtproto::handshake";
    RestartsEnd, "TooManyRestarts", "mtproto::handshake";
    KeyIdFree, "TooManyRetries", "mtproto::handshake";

    PqFactorsDiffer, "PqNotTwoOddPrimes", "crypto::pq";
    PqFactorsPrime, "PqNotTwoOddPrimes", "crypto::pq";
    RsaReduced, "NotReduced", "crypto::rsa";
    RsaPadHash, "HashMismatch", "crypto::rsa";
    DhPrimeSize, "PrimeSize", "crypto::dh";
    DhPrimePrime, "PrimeComposite", "crypto::dh";
    DhPrimeSafe, "PrimeNotSafe", "crypto::dh";
    DhGeneratorRange, "GeneratorOutOfRange", "crypto::dh";
    DhGeneratorResidue, "GeneratorNotResidue", "crypto::dh";
    DhPublicRange, "PublicOutOfRange", "crypto::dh";
    DhPublicLeast, "PublicTooSmall", "crypto::dh";
    DhPublicMost, "PublicTooLarge", "crypto::dh";

    SrpScrambler, "ScramblerZero", "crypto::srp";
    SrpUnblinded, "Unblinded", "crypto::srp";
    SrpProof, "ProofMismatch", "crypto::srp";

    SessionOurs, "WrongSession", "mtproto::session";
    Parity, "WrongParity", "mtproto::session";
    ParityInside, "WrongParity", "mtproto::session";
    ParityOfCopy, "WrongParity", "mtproto::session";
    Novelty, "Duplicate", "mtproto::session";
    NoveltyInside, "Duplicate", "mtproto::session";
    Memory, "BelowMemory", "mtproto::session";
    MessageAge, "TooOld", "mtproto::session";
    MessageLead, "TooEarly", "mtproto::session";
    SeqNoEven, "SeqNoNotEven", "mtproto::session";
    PackedObject, "PackedWrongly", "mtproto::session";
    CopyIdOrder, "Container", "mtproto::session";
    CopyNested, "Container", "mtproto::session";
    ServiceTrailingBytes, "Malformed", "mtproto::session";
    ListIsVector, "Malformed", "mtproto::session";
    ListLength, "TooManyIds", "mtproto::session";
    SaltsLength, "TooManyIds", "mtproto::session";
    SaltsAsked, "AboutUnknown", "mtproto::session";
    RefusalOfOurs, "AboutUnknown", "mtproto::session";
    RefusalsEnd, "ConnectionDead", "mtproto::session";
    ResetsEnd, "Refused", "mtproto::session";
    StateCount, "StateCount", "mtproto::session";
    AnswerStateCount, "StateCount", "mtproto::session";
    ServerRole, "WrongRole", "mtproto::session";
    ServiceQueue, "Flood", "mtproto::session";
    AnswersToFetch, "Flood", "mtproto::session";
    ClientParity, "WrongParity", "mtproto::session";
    ClientParityInside, "WrongParity", "mtproto::session";
    ClientNovelty, "Duplicate", "mtproto::session";
    ClientNoveltyInside, "Duplicate", "mtproto::session";
    ClientMemory, "BelowMemory", "mtproto::session";
    ContainerIdFree, "ContainerIdCollision", "mtproto::session";
    Salt, "WrongSalt", "mtproto::session";
    SeqNoOdd, "SeqNoNotOdd", "mtproto::session";
    SeqNoRises, "SeqNoTooLow", "mtproto::session";
    SeqNoBelowNewer, "SeqNoTooHigh", "mtproto::session";
    RequestsAtOnce, "Flood", "mtproto::session";
    ClientStateCount, "StateCount", "mtproto::session";
    ClientStatesAsked, "AboutUnknown", "mtproto::session";
    ClientRole, "WrongRole", "mtproto::session";

    FrameMost, "FrameTooLong", "transport";
    PaddedFrameMost, "FrameTooLong", "transport";
    FrameWords, "FrameNotAligned", "transport";
    FullFrameLeast, "FrameTooShort", "transport";
    FullCrc, "WrongCrc", "transport";
    FullSeq, "WrongSeq", "transport";
    ErrorCodeNegative, "ErrorCodeNotNegative", "transport";
    PaddedErrorCodeNegative, "ErrorCodeNotNegative", "transport";
    PaddedQuickAckLength, "QuickAckLength", "transport";
    StreamNotHttp, "Http", "transport";
    StreamNotTls, "Tls", "transport";
    ObfuscatedTag, "UnknownProtocol", "transport";

    TlsServerHandshake, "NotHandshake", "transport::fake_tls";
    TlsChange, "NoChangeCipherSpec", "transport::fake_tls";
    TlsChangeContent, "BadChangeCipherSpec", "transport::fake_tls";
    TlsClientChangeContent, "BadChangeCipherSpec", "transport::fake_tls";
    TlsAnswerData, "NoData", "transport::fake_tls";
    TlsServerDigest, "WrongServerDigest", "transport::fake_tls";
    TlsServerHello, "NotServerHello", "transport::fake_tls";
    TlsServerHelloFills, "NotServerHello", "transport::fake_tls";
    TlsSessionId, "WrongSessionId", "transport::fake_tls";
    TlsClientHandshake, "NotTls", "transport::fake_tls";
    TlsClientHello, "NotClientHello", "transport::fake_tls";
    TlsSessionIdMost, "BadLength", "transport::fake_tls";
    TlsCiphers, "BadLength", "transport::fake_tls";
    TlsCompression, "BadLength", "transport::fake_tls";
    TlsEnd, "BadLength", "transport::fake_tls";
    TlsNameThere, "NoServerName", "transport::fake_tls";
    TlsNameKind, "NoServerName", "transport::fake_tls";
    TlsName, "WrongServerName", "transport::fake_tls";
    TlsClientDigest, "WrongClientDigest", "transport::fake_tls";
    TlsClockBehind, "ClockSkew", "transport::fake_tls";
    TlsClockAhead, "ClockSkew", "transport::fake_tls";
    TlsReplay, "Replayed", "transport::fake_tls";
    TlsRecordVersion, "WrongVersion", "transport::fake_tls";
    TlsClientVersion, "WrongVersion", "transport::fake_tls";
    TlsRecordMost, "RecordTooLong", "transport::fake_tls";
    TlsRecordEmpty, "EmptyRecord", "transport::fake_tls";
    TlsDataRecord, "NotDataRecord", "transport::fake_tls";

    SocksNameLength, "NameLength", "transport::socks5";
    SocksVersion, "WrongVersion", "transport::socks5";
    SocksReplyVersion, "WrongVersion", "transport::socks5";
    SocksAuthVersion, "WrongAuthVersion", "transport::socks5";
    SocksAuthStatus, "CredentialsRefused", "transport::socks5";
    SocksReply, "Refused", "transport::socks5";
    SocksReserved, "ReservedByte", "transport::socks5";
    SocksReplyName, "BadName", "transport::socks5";
    SocksEarlyData, "EarlyData", "transport::socks5";

    ConnectHttp, "NotHttp", "transport::http_connect";
    ConnectStatus, "BadStatus", "transport::http_connect";
    ConnectHeadOpen, "HeadTooLong", "transport::http_connect";
    ConnectHeadMost, "HeadTooLong", "transport::http_connect";
    ConnectWelcome, "Refused", "transport::http_connect";
    ConnectEarlyData, "EarlyData", "transport::http_connect";

    SecretTextMost, "TextTooLong", "transport::mtproxy";
    SecretWhole, "BadEnd", "transport::mtproxy";
    SecretFilling, "BadEnd", "transport::mtproxy";
    SecretDomainThere, "NoDomain", "transport::mtproxy";
    SecretDomainMost, "DomainTooLong", "transport::mtproxy";
    SecretDomainName, "BadDomain", "transport::mtproxy";

    HttpHeadMost, "HeadTooLong", "transport::http::";
    HttpFieldsMost, "TooManyFields", "transport::http::";
    HttpText, "NotText", "transport::http::";
    HttpFieldName, "MalformedField", "transport::http::";
    HttpLengthDigits, "LengthMalformed", "transport::http::";
    HttpLengthOnce, "LengthRepeated", "transport::http::";
    HttpBodyMost, "BodyTooLong", "transport::http::";
    HttpBodyThere, "BodyEmpty", "transport::http::";
    HttpBodyWords, "BodyNotAligned", "transport::http::";
    HttpTransferEncoding, "TransferEncoding", "transport::http::";
    HttpMethod, "WrongMethod", "transport::http::";
    HttpPath, "WrongPath", "transport::http::";
    HttpHost, "HostMissing", "transport::http::";
    HttpStatusDigits, "MalformedStatus", "transport::http::";
    HttpStatusRange, "MalformedStatus", "transport::http::";
    HttpNotSwitched, "Switched", "transport::http::";
    HttpAsked, "Unasked", "transport::http::";

    WsSwitched, "Refused", "transport::websocket";
    WsGet, "NotGet", "transport::websocket";
    WsPath, "WrongPath", "transport::websocket";
    WsHost, "Head", "transport::websocket";
    WsServerUpgrade, "NotWebSocket", "transport::websocket";
    WsClientUpgrade, "NotWebSocket", "transport::websocket";
    WsVersion, "WrongVersion", "transport::websocket";
    WsKey, "WrongKey", "transport::websocket";
    WsAccept, "WrongAccept", "transport::websocket";
    WsServerSubprotocol, "WrongSubprotocol", "transport::websocket";
    WsClientSubprotocol, "WrongSubprotocol", "transport::websocket";
    WsExtensions, "Extension", "transport::websocket";
    WsReserved, "ReservedBit", "transport::websocket";
    WsOpcode, "UnknownOpcode", "transport::websocket";
    WsNotText, "Text", "transport::websocket";
    WsMasked, "NotMasked", "transport::websocket";
    WsNotMasked, "Masked", "transport::websocket";
    WsLengthOfTwo, "LengthNotShortest", "transport::websocket";
    WsLengthOfEight, "LengthNotShortest", "transport::websocket";
    WsMessageMost, "MessageTooLong", "transport::websocket";
    WsControlWhole, "ControlFragmented", "transport::websocket";
    WsControlMost, "ControlTooLong", "transport::websocket";
    WsContinues, "NothingToContinue", "transport::websocket";
    WsFinished, "Unfinished", "transport::websocket";
    WsCloseLength, "WrongCloseCode", "transport::websocket";
    WsCloseCode, "WrongCloseCode", "transport::websocket";
    WsAfterClose, "AfterClose", "transport::websocket";
    WsSendClosed, "Closed", "transport::websocket";
}

/// Whether a rule is broken and its check in force: `broken`, but for the one check that a mutation test has taken away.
#[cfg(not(feature = "mutations"))]
#[inline(always)]
pub(crate) const fn broken(_: Check, broken: bool) -> bool {
    broken
}

/// Whether a rule is broken and its check in force.
#[cfg(feature = "mutations")]
pub(crate) fn broken(check: Check, broken: bool) -> bool {
    static WITHOUT: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("TDL_WITHOUT_CHECK").ok());
    broken && WITHOUT.as_deref().is_none_or(|without| without != format!("{check:?}"))
}
