//! A session for the targets of foreign formats.

use tdl::store::foreign::{ForeignSession, Format};

use super::envelope::KEY;

/// A session of which everything is known.
pub fn session() -> ForeignSession {
    let mut session = ForeignSession::new(Format::Tdl, 2, &KEY).expect("a DC that there is");
    session.set_user_id(7_000_000_001).expect("an id that there is");
    session.address = Some("149.154.167.51:443".parse().expect("an address"));
    session.is_bot = Some(false);
    session.test = Some(false);
    session.api_id = Some(2040);
    session
}
