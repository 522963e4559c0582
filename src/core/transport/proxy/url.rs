//! The URLs and links that people have.
//!
//! ```text
//! socks5://[user[:password]@]host[:port]      names are looked up here             port 1080 unless given
//! socks5h://…                                 names are looked up by the proxy
//! http://[user[:password]@]host[:port]        CONNECT                              port 80 unless given
//! https://…                                   the same inside TLS                  port 443 unless given
//! mtproxy://secret@host[:port]                                                     port 443 unless given
//! tg://proxy?server=…&port=…&secret=…         the links that Telegram shares; t.me/proxy?… likewise, with https:// or without
//! tg://socks?server=…&port=…[&user=…&pass=…]  and t.me/socks?…
//! ```
//!
//! User, password and values of links may have bytes written as `%xx`. Printing a [`Proxy`] shows neither passwords nor secrets, and no
//! error repeats a part of the URL that could hold one.

use std::net::Ipv6Addr;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::{Credentials, Host, Proxy, Target};
use crate::transport::mtproxy::SecretError;

/// The longest URL that is looked at.
const MAX_URL: usize = 4096;
/// The longest host name (RFC 1035).
const MAX_NAME: usize = 253;

/// Why a text names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// There is nothing.
    #[error("the proxy's URL is empty")]
    Empty,
    /// It is too long to be a URL of a proxy.
    #[error("the proxy's URL has {len} bytes, at most {max} are possible")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// It does not say which kind of proxy it is.
    #[error("the proxy's URL does not begin with a scheme such as socks5:// or mtproxy://")]
    NoScheme,
    /// A kind of proxy that we do not know.
    #[error(
        "`{found}` is no kind of proxy; known are socks5, socks5h, http, https and mtproxy, and links to t.me/proxy and t.me/socks"
    )]
    UnknownScheme {
        /// The scheme, shortened.
        found: String,
    },
    /// A link of Telegram's that is about something else.
    #[error("the link is not about a proxy: it leads neither to `proxy` nor to `socks`")]
    NotAProxyLink,
    /// There is no host.
    #[error("the proxy's URL names no host")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error("the proxy's host is neither a name nor an address")]
    BadHost,
    /// The port is not one.
    #[error("the proxy's port is not a number from 1 to 65535")]
    BadPort,
    /// Something follows the port.
    #[error("something follows the proxy's host and port (write a / in a user's name or password as %2F)")]
    Trailing,
    /// A `%` is not followed by two hexadecimal digits, or what they stand for is no text.
    #[error("a % in the proxy's URL is not followed by two hexadecimal digits of a character")]
    BadEscape,
    /// The user's name or password is empty or too long.
    #[error("the proxy's user and password have 1 to 255 bytes each")]
    BadCredentials,
    /// The user's name has a colon, which HTTP cannot transport.
    #[error("a user of an HTTP proxy cannot have a colon in their name")]
    ColonInUser,
    /// An `mtproxy://` URL without a secret.
    #[error("mtproxy:// needs the secret in front of the host: mtproxy://SECRET@HOST:PORT")]
    NoSecret,
    /// A value that the link must have is not in it.
    #[error("the link has no `{name}`")]
    MissingValue {
        /// Its name.
        name: &'static str,
    },
    /// A value is in the link more than once.
    #[error("the link has `{name}` more than once")]
    RepeatedValue {
        /// Its name.
        name: &'static str,
    },
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(url: &str) -> Result<Self, ProxyUrlError> {
        let url = url.trim();
        if url.is_empty() {
            return Err(ProxyUrlError::Empty);
        }
        if url.len() > MAX_URL {
            return Err(ProxyUrlError::TooLong { len: url.len(), max: MAX_URL });
        }
        if let Some(link) = link_of(url) {
            return from_link(link);
        }
        let (scheme, rest) = url.split_once("://").ok_or(ProxyUrlError::NoScheme)?;
        let place = Place::parse(rest);
        match scheme.to_ascii_lowercase().as_str() {
            "socks5" => place?.socks5(false),
            "socks5h" => place?.socks5(true),
            "http" => place?.http(false),
            "https" => place?.http(true),
            "mtproxy" => place?.mtproxy(),
            _ => Err(ProxyUrlError::UnknownScheme { found: scheme.chars().filter(|c| !c.is_control()).take(16).collect() }),
        }
    }
}

/// What follows `scheme://`.
struct Place<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: Host,
    port: Option<u16>,
}

impl<'a> Place<'a> {
    fn parse(rest: &'a str) -> Result<Self, ProxyUrlError> {
        // A slash at the end is what browsers add.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ProxyUrlError::Trailing);
        }
        let (info, host) = match authority.rsplit_once('@') {
            Some((info, host)) => (Some(info), host),
            None => (None, authority),
        };
        let (user, password) = match info.map(|info| info.split_once(':').ok_or(info)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        let (host, port) = host_and_port(host)?;
        Ok(Self { user, password, host, port })
    }

    fn at(&self, default: u16) -> Target {
        Target::new(self.host.clone(), self.port.unwrap_or(default))
    }

    fn credentials(&self) -> Result<Option<Credentials>, ProxyUrlError> {
        match (self.user, self.password) {
            (None, _) => Ok(None),
            (Some(user), Some(password)) => Ok(Some(Credentials::new(unescape(user)?, unescape(password)?)?)),
            (Some(_), None) => Err(ProxyUrlError::BadCredentials),
        }
    }

    fn socks5(self, remote_dns: bool) -> Result<Proxy, ProxyUrlError> {
        Ok(Proxy::Socks5 { at: self.at(1080), credentials: self.credentials()?, remote_dns })
    }

    fn http(self, tls: bool) -> Result<Proxy, ProxyUrlError> {
        let credentials = self.credentials()?;
        match &credentials {
            Some(credentials) if credentials.user().contains(':') => Err(ProxyUrlError::ColonInUser),
            _ => Ok(Proxy::Http { at: self.at(if tls { 443 } else { 80 }), credentials, tls }),
        }
    }

    fn mtproxy(self) -> Result<Proxy, ProxyUrlError> {
        match (self.user, self.password) {
            (Some(secret), None) if !secret.is_empty() => {
                Ok(Proxy::MtProxy { at: self.at(443), secret: unescape(secret)?.parse()? })
            }
            _ => Err(ProxyUrlError::NoSecret),
        }
    }
}

fn host_and_port(text: &str) -> Result<(Host, Option<u16>), ProxyUrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']').ok_or(ProxyUrlError::BadHost)?;
            let ip: Ipv6Addr = ip.parse().map_err(|_| ProxyUrlError::BadHost)?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(ProxyUrlError::BadPort)?),
            };
            (Host::Ip(ip.into()), port)
        }
        None => {
            let (name, port) = match text.rsplit_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            (host(name)?, port)
        }
    };
    Ok((host, port.map(self::port).transpose()?))
}

fn host(text: &str) -> Result<Host, ProxyUrlError> {
    if text.is_empty() {
        return Err(ProxyUrlError::NoHost);
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::Ip(ip));
    }
    // International names come in their ASCII form.
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = text.len() <= MAX_NAME && text.bytes().all(named) && !text.starts_with('.') && !text.contains("..");
    if fits { Ok(Host::Name(text.to_owned())) } else { Err(ProxyUrlError::BadHost) }
}

fn port(text: &str) -> Result<u16, ProxyUrlError> {
    // `parse` alone takes a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if port != 0 && digits => Ok(port),
        _ => Err(ProxyUrlError::BadPort),
    }
}

fn unescape(text: &str) -> Result<String, ProxyUrlError> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(ProxyUrlError::BadEscape);
        let value = digit()? << 4 | digit()?;
        out.push(value as u8); // Two hexadecimal digits.
    }
    std::str::from_utf8(&out).map(str::to_owned).map_err(|_| ProxyUrlError::BadEscape)
}

/// What a link of Telegram's leads to: `proxy?…` of `tg://proxy?…`. `None` for other URLs.
fn link_of(url: &str) -> Option<&str> {
    let lower = url.to_ascii_lowercase();
    let behind = |prefix: &str| lower.starts_with(prefix).then(|| url.get(prefix.len()..)).flatten();
    if let Some(link) = behind("tg://").or_else(|| behind("tg:")) {
        return Some(link);
    }
    let bare = ["https://", "http://"].into_iter().find_map(behind).unwrap_or(url);
    let (host, path) = bare.split_once('/')?;
    let ours = ["t.me", "telegram.me", "telegram.dog"].iter().any(|name| host.eq_ignore_ascii_case(name));
    // An HTTP proxy of that name would be one without a path.
    (ours && !path.is_empty()).then_some(path)
}

fn from_link(link: &str) -> Result<Proxy, ProxyUrlError> {
    let (what, query) = link.split_once('?').unwrap_or((link, ""));
    let what = what.trim_end_matches('/').to_ascii_lowercase();
    if what != "proxy" && what != "socks" {
        return Err(ProxyUrlError::NotAProxyLink);
    }
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let find = |name: &'static str| {
        let mut found = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(ProxyUrlError::RepeatedValue { name }),
            (None, None) => Ok(None),
            (Some((_, value)), None) => unescape(value).map(Some),
        }
    };
    let must = |name| find(name)?.ok_or(ProxyUrlError::MissingValue { name });

    let server = must("server")?;
    // An IPv6 address has no brackets here, but nothing speaks against them.
    let server = server.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&server);
    let at = Target::new(host(server)?, port(&must("port")?)?);
    if what == "proxy" {
        return Ok(Proxy::MtProxy { at, secret: Zeroizing::new(must("secret")?).parse()? });
    }
    let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
    let credentials = match (filled(find("user")?), filled(find("pass")?)) {
        (None, None) => None,
        (Some(user), Some(password)) => Some(Credentials::new(user, password)?),
        _ => return Err(ProxyUrlError::BadCredentials),
    };
    // The official clients leave looking names up to the proxy.
    Ok(Proxy::Socks5 { at, credentials, remote_dns: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "dd0123456789abcdef0123456789abcdef";

    fn parse(url: &str) -> Proxy {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn error(url: &str) -> ProxyUrlError {
        url.parse::<Proxy>().unwrap_err()
    }

    #[test]
    fn urls_are_read_and_shown_without_what_is_secret() {
        let cases = [
            ("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050"),
            ("socks5://proxy.example", "socks5://proxy.example:1080"),
            ("SOCKS5H://proxy.example/", "socks5h://proxy.example:1080"),
            ("socks5h://u:p@[::1]:99", "socks5h://u:***@[::1]:99"),
            ("socks5h://[2001:db8::1]", "socks5h://[2001:db8::1]:1080"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("http://me%40home:p%2Fw:x%25@proxy.example:3128/", "http://me@home:***@proxy.example:3128"),
            (&format!("mtproxy://{SECRET}@proxy.example"), "mtproxy://dd***@proxy.example:443"),
            (&format!("mtproxy://{}@proxy.example:8443", &SECRET[2..]), "mtproxy://***@proxy.example:8443"),
            ("mtproxy://7gEBAQEBAQEBAQEBAQEBAQFhLmI%3D@1.2.3.4:5", "mtproxy://ee***@1.2.3.4:5"),
            (&format!("tg://proxy?server=1.2.3.4&port=443&secret={SECRET}"), "mtproxy://dd***@1.2.3.4:443"),
            (&format!("tg:proxy?secret={SECRET}&port=1&server=::1"), "mtproxy://dd***@[::1]:1"),
            (&format!(" https://t.me/proxy?server=a.b&port=443&secret={SECRET}#x\n"), "mtproxy://dd***@a.b:443"),
            (&format!("T.ME/proxy/?server=a.b&port=443&secret={SECRET}&channel=x"), "mtproxy://dd***@a.b:443"),
            (&format!("http://telegram.me/proxy?server=[::1]&port=443&secret={SECRET}"), "mtproxy://dd***@[::1]:443"),
            ("tg://socks?server=a.b&port=1080", "socks5h://a.b:1080"),
            ("https://t.me/socks?server=a.b&port=1080&user=u&pass=p%26q", "socks5h://u:***@a.b:1080"),
            ("https://t.me/socks?server=a.b&port=1080&user=&pass=", "socks5h://a.b:1080"),
            // A proxy may have any name.
            ("http://t.me:3128", "http://t.me:3128"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("HTTPS://u:p@[::1]:8443/", "https://u:***@[::1]:8443"),
            ("https://t.me", "https://t.me:443"),
        ];
        for (url, shown) in cases {
            assert_eq!(parse(url).to_string(), shown, "{url}");
        }
        let Proxy::Http { credentials: Some(credentials), .. } = parse("http://me%40home:p%2Fw:x%25@h") else { panic!() };
        assert_eq!((credentials.user(), credentials.password()), ("me@home", "p/w:x%"));
        let proxy = parse(&format!("tg://proxy?server=1.2.3.4&port=443&secret={SECRET}"));
        assert_eq!(hex::encode(proxy.secret().unwrap().to_bytes()), SECRET);
    }

    #[test]
    fn each_rule_has_its_error() {
        let link = |rest: &str| format!("tg://proxy?{rest}");
        let cases = [
            ("", ProxyUrlError::Empty),
            (" \t", ProxyUrlError::Empty),
            (&"x".repeat(5000), ProxyUrlError::TooLong { len: 5000, max: 4096 }),
            ("127.0.0.1:9050", ProxyUrlError::NoScheme),
            ("pigeon://loft", ProxyUrlError::UnknownScheme { found: "pigeon".into() }),
            ("tg://resolve?domain=x", ProxyUrlError::NotAProxyLink),
            ("https://t.me/durov", ProxyUrlError::NotAProxyLink),
            ("socks5://", ProxyUrlError::NoHost),
            ("socks5://u:p@:99", ProxyUrlError::NoHost),
            ("socks5://a b", ProxyUrlError::BadHost),
            ("socks5://a..b", ProxyUrlError::BadHost),
            ("socks5://.a", ProxyUrlError::BadHost),
            ("socks5://ä", ProxyUrlError::BadHost),
            ("socks5://[::1", ProxyUrlError::BadHost),
            ("socks5://[1.2.3.4]", ProxyUrlError::BadHost),
            ("socks5://::1", ProxyUrlError::BadHost),
            (&format!("socks5://{}", "a".repeat(254)), ProxyUrlError::BadHost),
            ("socks5://a:0", ProxyUrlError::BadPort),
            ("socks5://a:", ProxyUrlError::BadPort),
            ("socks5://a:+9", ProxyUrlError::BadPort),
            ("socks5://a:65536", ProxyUrlError::BadPort),
            ("socks5://[::1]9", ProxyUrlError::BadPort),
            ("socks5://a:1/x", ProxyUrlError::Trailing),
            ("http://u:p/q@a:1", ProxyUrlError::Trailing),
            ("https://proxy.example/path", ProxyUrlError::Trailing),
            ("https://u%3Av:p@a", ProxyUrlError::ColonInUser),
            ("http://a?b", ProxyUrlError::Trailing),
            ("socks5://u%4:p@a", ProxyUrlError::BadEscape),
            ("socks5://u%zz:p@a", ProxyUrlError::BadEscape),
            ("socks5://u%ff:p@a", ProxyUrlError::BadEscape),
            ("socks5://u@a", ProxyUrlError::BadCredentials),
            ("socks5://:p@a", ProxyUrlError::BadCredentials),
            ("socks5://u:@a", ProxyUrlError::BadCredentials),
            (&format!("socks5://{}:p@a", "u".repeat(256)), ProxyUrlError::BadCredentials),
            ("t.me/socks?server=a&port=1&user=u", ProxyUrlError::BadCredentials),
            ("http://u%3Av:p@a", ProxyUrlError::ColonInUser),
            ("mtproxy://a:1", ProxyUrlError::NoSecret),
            ("mtproxy://@a:1", ProxyUrlError::NoSecret),
            ("mtproxy://x:y@a:1", ProxyUrlError::NoSecret),
            ("mtproxy://abcd@a:1", ProxyUrlError::Secret(SecretError::TooShort { len: 2 })),
            (&link("port=1&secret=00"), ProxyUrlError::MissingValue { name: "server" }),
            (&link("server=a&secret=00"), ProxyUrlError::MissingValue { name: "port" }),
            (&link("server=a&port=1"), ProxyUrlError::MissingValue { name: "secret" }),
            (&link("server=a&port=1&port=2&secret=00"), ProxyUrlError::RepeatedValue { name: "port" }),
            (&link("server=a&port=1&secret="), ProxyUrlError::Secret(SecretError::Empty)),
            ("tg://proxy", ProxyUrlError::MissingValue { name: "server" }),
        ];
        for (url, expected) in cases {
            assert_eq!(error(url), expected, "{url}");
        }
    }

    #[test]
    fn neither_errors_nor_debug_show_a_secret() {
        for url in [
            "http://user:hunter2/@h",
            "socks5://user:hunter2@h:x",
            "pigeon://user:hunter2@h",
            "user:hunter2@h",
            "http://hunter2",
        ] {
            match url.parse::<Proxy>() {
                Ok(_) => assert_eq!(url, "http://hunter2"),
                Err(error) => assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}"),
            }
        }
        let shown = format!("{:?}", parse("socks5://user:hunter2@h"));
        assert!(shown.contains("user") && !shown.contains("hunter2"), "{shown}");
        let shown = format!("{:?}", parse(&format!("mtproxy://{SECRET}@h")));
        assert!(!shown.contains("0123") && !shown.contains("35"), "{shown}");
    }

    #[test]
    fn every_prefix_is_a_proxy_or_an_error() {
        for url in
            ["socks5h://u%20:p@[2001:db8::1]:99/", "https://t.me/proxy?server=a.b&port=443&secret=7gEBAQEBAQEBAQEBAQEBAQFhLmI"]
        {
            for (at, _) in url.char_indices() {
                let _ = url[..at].parse::<Proxy>();
            }
        }
    }
}
