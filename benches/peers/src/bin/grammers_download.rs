//! Downloads the file of one message from the account's own chat with `grammers-client`, as its documentation shows it: a client to be
//! measured from outside, by `download.py`.
//!
//! `grammers_download DC IP PORT MESSAGE OUT`, and the auth key in hexadecimal on standard input: grammers knows the keys of the public
//! data centres only, so it cannot make one with a local cluster.

use std::error::Error;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use grammers_client::Client;
use grammers_mtsender::SenderPool;
use grammers_session::Session as _;
use grammers_session::storages::MemorySession;
use grammers_session::types::DcOption;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // With as many threads as the machine has, as ours: nobody is held back by the runtime.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(download())
}

async fn download() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dc, ip, port, message, out] = arguments.as_slice() else {
        return Err("arguments: DC IP PORT MESSAGE OUT".into());
    };
    let mut key = String::new();
    std::io::stdin().read_to_string(&mut key)?;
    let key: Vec<u8> = key
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|digits| Ok(u8::from_str_radix(std::str::from_utf8(digits)?, 16)?))
        .collect::<Result<_, Box<dyn Error + Send + Sync>>>()?;
    let (id, ip, port): (i32, Ipv4Addr, u16) = (dc.parse()?, ip.parse()?, port.parse()?);

    let session = Arc::new(MemorySession::default());
    session.set_home_dc_id(id).await?;
    let auth_key = Some(key.try_into().map_err(|_| "an auth key has 256 bytes")?);
    let ipv6 = SocketAddrV6::new(ip.to_ipv6_mapped(), port, 0, 0);
    session.set_dc_option(&DcOption { id, ipv4: SocketAddrV4::new(ip, port), ipv6, auth_key }).await?;

    let SenderPool { runner, handle, .. } = SenderPool::new(session, 1);
    let client = Client::new(handle);
    let running = tokio::spawn(runner.run());
    let me = client.get_me().await?.to_ref().await?.ok_or("no reference to the own chat")?;
    let messages = client.get_messages_by_id(me, &[message.parse()?]).await?;
    let media = messages.into_iter().flatten().next().and_then(|message| message.media()).ok_or("a message without a file")?;
    client.download_media(&media, out).await?;
    running.abort();
    Ok(())
}
