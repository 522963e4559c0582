//! Schema files. Input: the text.

use tdl::tl::schema::{canonical, parse};

use super::Seed;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(schema) = parse(text) {
        let text = canonical(&schema);
        let again = parse(&text).expect("the canonical form is a schema");
        assert_eq!(canonical(&again), text, "and its own canonical form");
    }
}

pub fn seeds() -> Vec<Seed> {
    let texts = [
        ("types", "// LAYER 230\nboolFalse#bc799737 = Bool;\nboolTrue#997275b5 = Bool;\n"),
        ("flags", "user#1 flags:# self:flags.10?true id:long name:flags.1?string photos:Vector<Photo> = User;\n"),
        ("functions", "---functions---\ninvokeAfterMsg#cb9f372d {X:Type} msg_id:long query:!X = X;\n"),
        ("bare", "msg_container#73f1f8dc messages:vector<%Message> = MessageContainer;\n"),
        ("namespaces", "auth.sentCode#5e002502 type:auth.SentCodeType = auth.SentCode;\n"),
        ("no-id", "ping ping_id:long = Pong;"),
        ("unfinished", "user#1 flags:# = "),
        ("builtin", "int ? = Int;\nvector#1cb5c415 {t:Type} # [ t ] = Vector t;\n"),
    ];
    texts.map(|(name, text)| (name.into(), text.as_bytes().to_vec())).into()
}
