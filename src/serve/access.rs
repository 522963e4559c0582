//! Who may ask: the token, the names that the server answers to, and the addresses that it may listen on.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of randomness in a token: it can be guessed as little as a key.
const TOKEN_BYTES: usize = 16;

/// What a client has to show. It is part of the address that is printed once.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A fresh one, of the system's randomness.
    ///
    /// # Errors
    ///
    /// When the system has none.
    pub fn random() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        rand::rngs::SysRng.try_fill_bytes(&mut *bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8; TOKEN_BYTES]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Its text, for the address.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that says nothing about where the first difference is.
    fn is(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

/// Who may ask.
pub struct Access {
    token: Option<Token>,
    names: Vec<String>,
}

/// Why the server may not listen on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListenError {
    /// Others could reach it, and it would let everybody in.
    #[error("{0} can be reached from outside of this machine: there it is not served without a token")]
    OpenToAll(IpAddr),
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// There is no `Host` field, or it cannot be read.
    #[error("the request does not say which host it means")]
    NoHost,
    /// It calls the server by a name that it does not have: a page somewhere has its name lead here.
    #[error("this server does not go by that name")]
    ForeignHost,
    /// A page of another site asks, and no token shows that its user wants that.
    #[error("another site may not ask")]
    CrossSite,
    /// It shows no token.
    #[error("a token is needed: open the address that was printed when the server started")]
    NoToken,
    /// It shows another token.
    #[error("the token is not that of this server")]
    WrongToken,
}

/// What a request shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// The host that the request means: of its `Host` field, or of its target where that names one.
    pub host: Option<&'a str>,
    /// Its path.
    pub path: &'a str,
    /// `token=` of its query.
    pub token: Option<&'a str>,
    /// Its `Authorization` field.
    pub authorization: Option<&'a str>,
    /// Its `Sec-Fetch-Site` field, which browsers send and pages cannot change.
    pub fetch_site: Option<&'a str>,
}

impl Access {
    /// For a server at `address`. It answers to addresses and `localhost`, and to `names` besides.
    ///
    /// # Errors
    ///
    /// Without a token only loopback addresses can be listened on.
    pub fn new(address: SocketAddr, token: Option<Token>, names: Vec<String>) -> Result<Self, ListenError> {
        if token.is_none() && !address.ip().is_loopback() {
            return Err(ListenError::OpenToAll(address.ip()));
        }
        Ok(Self { token, names })
    }

    /// The token, if one is asked for.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The path that is asked for, without the token that may stand in front of it.
    ///
    /// # Errors
    ///
    /// When the request is not to be answered.
    pub fn admit<'a>(&self, claim: &Claim<'a>) -> Result<&'a str, Denied> {
        self.check_host(claim.host.ok_or(Denied::NoHost)?)?;
        let Some(token) = &self.token else {
            // Whoever typed the address, or followed a link here, sends "none" or comes to the page itself.
            return match claim.fetch_site {
                Some(site) if site.eq_ignore_ascii_case("cross-site") || site.eq_ignore_ascii_case("same-site") => {
                    Err(Denied::CrossSite)
                }
                _ => Ok(claim.path),
            };
        };
        let inside = claim.path.strip_prefix('/').unwrap_or(claim.path);
        let (first, _) = inside.split_once('/').unwrap_or((inside, ""));
        if token.is(first) {
            let rest = &inside[first.len()..];
            return Ok(if rest.is_empty() { "/" } else { rest });
        }
        let bearer = claim.authorization.and_then(|value| {
            let (scheme, value) = value.trim().split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| value.trim())
        });
        match bearer.or(claim.token) {
            None => Err(Denied::NoToken),
            Some(offered) if token.is(offered) => Ok(claim.path),
            Some(_) => Err(Denied::WrongToken),
        }
    }

    /// A page whose name is made to lead to this address ("DNS rebinding") has a name; addresses are nobody's but ours.
    fn check_host(&self, host: &str) -> Result<(), Denied> {
        let host = host.trim();
        let name = match host.strip_prefix('[') {
            Some(v6) => {
                let (inside, _) = v6.split_once(']').ok_or(Denied::NoHost)?;
                return inside.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| Denied::NoHost);
            }
            None => host.split_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.trim_end_matches('.');
        let own = name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        match (name.is_empty(), own) {
            (true, _) => Err(Denied::NoHost),
            (false, true) => Ok(()),
            (false, false) => Err(Denied::ForeignHost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1:8080";

    fn access() -> Access {
        let token = Some(Token::from_bytes(&[7; TOKEN_BYTES]));
        Access::new(LOCAL.parse().unwrap(), token, vec!["nas.local".to_owned()]).unwrap()
    }

    fn text() -> String {
        Token::from_bytes(&[7; TOKEN_BYTES]).reveal().to_owned()
    }

    #[test]
    fn the_token_comes_in_the_path_the_query_or_the_head() {
        let (access, token) = (access(), text());
        let base = Claim { host: Some(LOCAL), path: "/a/1", ..Claim::default() };
        let in_path = format!("/{token}/a/1");
        assert_eq!(access.admit(&Claim { path: &in_path, ..base }), Ok("/a/1"));
        assert_eq!(access.admit(&Claim { path: &format!("/{token}"), ..base }), Ok("/"));
        assert_eq!(access.admit(&Claim { path: &format!("/{token}/"), ..base }), Ok("/"));
        assert_eq!(access.admit(&Claim { token: Some(&token), ..base }), Ok("/a/1"));
        let bearer = format!("bearer  {token}");
        assert_eq!(access.admit(&Claim { authorization: Some(&bearer), ..base }), Ok("/a/1"));
        assert_eq!(access.admit(&Claim { fetch_site: Some("cross-site"), path: &in_path, ..base }), Ok("/a/1"));
    }

    #[test]
    fn without_the_token_nothing_is_answered() {
        let (access, token) = (access(), text());
        let base = Claim { host: Some(LOCAL), path: "/a/1", ..Claim::default() };
        assert_eq!(access.admit(&base), Err(Denied::NoToken));
        assert_eq!(access.admit(&Claim { path: "/", ..base }), Err(Denied::NoToken));
        let longer = format!("/{token}x/a/1");
        assert_eq!(access.admit(&Claim { path: &longer, ..base }), Err(Denied::NoToken));
        assert_eq!(access.admit(&Claim { token: Some(""), ..base }), Err(Denied::WrongToken));
        assert_eq!(access.admit(&Claim { token: Some(&token[1..]), ..base }), Err(Denied::WrongToken));
        assert_eq!(access.admit(&Claim { authorization: Some("Bearer x"), ..base }), Err(Denied::WrongToken));
        let basic = format!("Basic {token}");
        assert_eq!(access.admit(&Claim { authorization: Some(&basic), ..base }), Err(Denied::NoToken));
    }

    #[test]
    fn names_of_others_are_not_answered_to() {
        let (access, path) = (access(), format!("/{}/", text()));
        let admit = |host| access.admit(&Claim { host, path: &path, ..Claim::default() });
        for host in
            [LOCAL, "localhost", "LOCALHOST:1", "localhost.", "[::1]:8080", "192.168.1.2", "nas.local:8080", "127.0.0.1"]
        {
            assert_eq!(admit(Some(host)), Ok("/"), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8080", "localhost.evil.example", "nas.local.evil.example"] {
            assert_eq!(admit(Some(host)), Err(Denied::ForeignHost), "{host}");
        }
        for host in [None, Some(""), Some(":80"), Some("[::1"), Some("[x]")] {
            assert_eq!(admit(host), Err(Denied::NoHost), "{host:?}");
        }
    }

    #[test]
    fn without_a_token_only_this_machine_may_ask_and_no_page_of_another_site() {
        let open = |address: &str| Access::new(address.parse().unwrap(), None, Vec::new());
        for address in ["0.0.0.0:80", "192.168.0.1:80", "[::]:80"] {
            assert!(matches!(open(address), Err(ListenError::OpenToAll(_))), "{address}");
        }
        assert!(open("[::1]:80").is_ok());
        let access = open(LOCAL).unwrap_or_else(|e| panic!("{e}"));
        let base = Claim { host: Some(LOCAL), path: "/a/1", ..Claim::default() };
        assert_eq!(access.admit(&base), Ok("/a/1"));
        assert_eq!(access.admit(&Claim { fetch_site: Some("same-origin"), ..base }), Ok("/a/1"));
        assert_eq!(access.admit(&Claim { fetch_site: Some("none"), ..base }), Ok("/a/1"));
        assert_eq!(access.admit(&Claim { fetch_site: Some("cross-site"), ..base }), Err(Denied::CrossSite));
        assert_eq!(access.admit(&Claim { fetch_site: Some("same-site"), ..base }), Err(Denied::CrossSite));
    }

    #[test]
    fn tokens_differ() {
        let (a, b) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert_eq!(a.reveal().len(), 22);
        assert!(a.reveal().bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }
}
