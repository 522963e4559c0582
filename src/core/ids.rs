//! The protocol's identifiers, each a type of its own, so that none can stand in for another.
//!
//! See "Mobile Protocol: Detailed Description" for what each one means.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $fmt:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $fmt, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(", $fmt, ")"), self.0)
            }
        }
    };
}

id!(
    /// A message identifier: server Unix time × 2³² in the upper bits. Divisible by 4 from a client; 1 or 3 modulo 4 from a
    /// server (an answer, or anything else).
    MsgId(i64),
    "{:#018x}"
);
id!(
    /// A message's sequence number: twice the content-related messages sent before it, plus one if it is itself one.
    SeqNo(i32),
    "{}"
);
id!(
    /// A server salt, valid for a period that the server announces.
    Salt(i64),
    "{:#018x}"
);
id!(
    /// A client-chosen session identifier.
    SessionId(i64),
    "{:#018x}"
);
id!(
    /// A data centre's number, 1 to 5 in production. Negative for a media-only one and with 10000 added for a test one, as the
    /// key exchange and the obfuscated transport write it.
    DcId(i32),
    "DC{}"
);

impl MsgId {
    /// The Unix time that the identifier claims, in whole seconds.
    pub fn unix(self) -> i64 {
        self.0 >> 32
    }

    /// Whether a client made it: divisible by 4.
    pub fn is_from_client(self) -> bool {
        self.0 & 3 == 0
    }

    /// Whether a server made it: odd.
    pub fn is_from_server(self) -> bool {
        self.0 & 1 == 1
    }
}

impl SeqNo {
    /// Whether the message is content-related, so that its receiver has to acknowledge it: odd.
    pub fn is_content_related(self) -> bool {
        self.0 & 1 == 1
    }
}
