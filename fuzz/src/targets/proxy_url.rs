//! URLs of proxies and secrets of MTProxies, as flags, variables, files and links bring them. Input: the text.

use tdl::transport::Proxy;
use tdl::transport::mtproxy::{MAX_DOMAIN, Secret};

use super::Seed;

pub fn run(data: &[u8]) {
    if let Ok(secret) = Secret::from_bytes(data) {
        check(&secret);
        assert_eq!(secret.to_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(secret) = text.parse::<Secret>() {
        check(&secret);
    }
    if let Ok(proxy) = text.parse::<Proxy>() {
        assert_ne!(proxy.at().port, 0);
        let shown = proxy.to_string();
        assert!(shown.ends_with(&proxy.at().to_string()) && shown.contains("://"));
        match &proxy {
            Proxy::Socks5 { credentials: Some(credentials), .. } | Proxy::Http { credentials: Some(credentials), .. } => {
                let fits = |text: &str| (1..=255).contains(&text.len());
                assert!(fits(credentials.user()) && fits(credentials.password()));
                assert!(shown.contains(":***@"));
            }
            _ => {}
        }
        if let Some(secret) = proxy.secret() {
            check(secret);
            assert!(shown.contains("***@"));
        }
    }
}

fn check(secret: &Secret) {
    let bytes = secret.to_bytes();
    assert_eq!(Secret::from_bytes(&bytes).as_ref(), Ok(secret));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex.parse::<Secret>().as_ref(), Ok(secret));
    assert!(secret.domain().is_none_or(|domain| (1..=MAX_DOMAIN).contains(&domain.len()) && domain.is_ascii()));
}

pub fn seeds() -> Vec<Seed> {
    let seed = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    vec![
        seed("socks5", "socks5://user:p%40ss@127.0.0.1:9050"),
        seed("socks5h", "socks5h://[2001:db8::1]/"),
        seed("http", "http://proxy.example:3128"),
        seed("https", "https://user:word@proxy.example"),
        seed("mtproxy", "mtproxy://dd000102030405060708090a0b0c0d0e0f@proxy.example:443"),
        seed("tg-link", "tg://proxy?server=1.2.3.4&port=443&secret=7gEBAQEBAQEBAQEBAQEBAQFhLmI%3D"),
        seed("web-link", "https://t.me/proxy?server=::1&port=443&secret=000102030405060708090a0b0c0d0e0f"),
        seed("socks-link", "t.me/socks?server=a.b&port=1080&user=u&pass=p"),
        seed("secret", "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d"),
        seed("bytes", "0123456789abcdef"),
    ]
}
