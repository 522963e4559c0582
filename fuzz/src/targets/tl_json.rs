//! JSON to objects. Input: a byte that picks the schema (a small one, or the compiled one) and the options, then the text. What can be read has
//! bytes, and the JSON made of it reads as the same.

use std::sync::OnceLock;

use tdl::tl::compiled_schema;
use tdl::tl::dynamic::json::{ByteText, JsonOptions, Longs, from_json, to_json};
use tdl::tl::dynamic::{decode, encode};
use tdl::tl::schema::{Schema, parse};

use super::Seed;

/// Every kind of parameter there is.
fn small() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    let text = "boolTrue#997275b5 = Bool; boolFalse#bc799737 = Bool; leaf#1 = Tree; node#2 left:Tree right:Tree = Tree; \
                all#3 flags:# t:flags.0?true u:flags.0?int i:int l:long d:double s:string b:bytes q:Bool x:int128 y:int256 \
                v:Vector<int> w:vector<pair> o:flags.1?Tree p:%Pair = All; pair#4 a:int b:int = Pair; any#6 o:Object = Any;\n\
                ---functions---\ncall#5 {X:Type} query:!X = X;";
    SCHEMA.get_or_init(|| parse(text).expect("a schema"))
}

pub fn run(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let schema = if choice & 1 == 0 { small() } else { compiled_schema() };
    let options = JsonOptions {
        longs: if choice & 2 == 0 { Longs::String } else { Longs::Number },
        bytes: if choice & 4 == 0 { ByteText::Base64 } else { ByteText::Hex },
    };
    let Ok(json) = serde_json::from_slice(text) else { return };
    let value = match from_json(schema, &json, &options) {
        Ok(value) => value,
        Err(error) => {
            assert!(!error.path.is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    let again = from_json(schema, &to_json(&value, &options), &options).expect("what was written reads");
    let (mut bytes, mut same) = (Vec::new(), Vec::new());
    encode(schema, &value, &mut bytes).expect("what was read has bytes");
    encode(schema, &again, &mut same).expect("and again");
    assert_eq!(bytes, same);
    // Bytes nest less deeply than JSON may; whatever decodes is the same value. A NaN is equal to nothing, so the bytes are compared.
    if let Ok(decoded) = decode(schema, bytes.clone().into()) {
        let mut third = Vec::new();
        encode(schema, &decoded, &mut third).expect("what was decoded has bytes");
        assert_eq!(bytes, third);
    }
}

pub fn seeds() -> Vec<Seed> {
    let pair = r#"{"_":"pair","a":1,"b":-2}"#;
    let all = format!(
        r#"{{"_":"all","t":true,"u":5,"i":-1,"l":"1099511627776","d":0.5,"s":"a\"ß","b":"AP8=","q":false,"x":"{}","y":"{}","v":[7],"w":[{pair}],"o":{{"_":"leaf"}},"p":{{"a":1,"b":2}}}}"#,
        "01".repeat(16),
        "02".repeat(32)
    );
    let mut seeds = Vec::new();
    let mut add = |name: &str, choice: u8, text: &str| seeds.push((name.to_owned(), [&[choice], text.as_bytes()].concat()));
    add("all", 0, &all);
    add("all-hex", 6, &all.replace("AP8=", "00ff").replace("\"1099511627776\"", "1099511627776"));
    add("call", 0, &format!(r#"{{"_":"call","query":{{"_":"call","query":{{"_":"nothing"}}}},"o":{pair}}}"#));
    add("any", 0, &format!(r#"{{"_":"any","o":{pair}}}"#));
    add("not-finite", 0, r#"{"_":"all","d":"0x7ff8000000000001"}"#);
    add(
        "deep",
        0,
        &format!("{}{{\"_\":\"leaf\"}}{}", r#"{"_":"node","right":{"_":"leaf"},"left":"#.repeat(40), "}".repeat(40)),
    );
    add("shared-bit", 0, r#"{"_":"all","t":true}"#);
    add("raw", 1, r#"{"_":"rpc_result","body":"AQIDBA=="}"#);
    add("peer", 1, r#"{"_":"inputPeerUser","user_id":"7","access_hash":-1}"#);
    add("mistyped", 1, r#"{"_":"inputPeerUsr","user_id":7}"#);
    add(
        "bits",
        3,
        r#"{"_":"messages.sendMessage","flags":2147483648,"peer":{"_":"inputPeerSelf"},"message":"","random_id":1}"#,
    );
    seeds
}
