//! The protocol's own messages: key exchange and service messages, generated from `tl-schema/mtproto.tl`.

// Fields and variants are documented by the schema line above the struct. The rest is style that does not matter in generated text.
#![allow(
    missing_docs,
    elided_lifetimes_in_paths,
    unused_imports,
    unused_parens,
    unused_variables,
    unused_qualifications,
    clippy::all,
    clippy::use_self
)]

/// `rpc_result`: the id of a request (`long`), then the result, an object of any type.
pub const RPC_RESULT_ID: u32 = 0xf35c_6d01;
/// `msg_container`: a count (`int`), then as many messages: msg_id (`long`), seq_no (`int`), length (`int`), body.
pub const MSG_CONTAINER_ID: u32 = 0x73f1_f8dc;
/// `msg_copy`: one message as in a container.
pub const MSG_COPY_ID: u32 = 0xe060_46b2;
/// `gzip_packed`: an object, compressed.
pub const GZIP_PACKED_ID: u32 = 0x3072_cfa1;

/// Constructors that no schema line describes, with their names.
pub const SPECIAL: [(u32, &str); 4] = [
    (RPC_RESULT_ID, "rpc_result"),
    (MSG_CONTAINER_ID, "msg_container"),
    (MSG_COPY_ID, "msg_copy"),
    (super::wire::VECTOR_ID, "vector"),
];

include!(concat!(env!("OUT_DIR"), "/mtproto.rs"));
