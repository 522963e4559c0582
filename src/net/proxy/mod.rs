//! Dialling through a proxy.
//!
//! * here: [`ProxyDialer`], which reaches the proxy and then has it lead on;
//! * `error`: why it does not;
//! * `tunnel`: the conversation with a SOCKS5 or HTTP proxy, over a stream, which may be inside TLS;
//! * `obfuscated`: the stream that an MTProxy takes; `fake_tls`: the disguise that some of them demand.
//!
//! What is said is in `transport`, without sockets; here it is carried to and fro.

mod error;
mod fake_tls;
mod obfuscated;
#[cfg(test)]
mod tests;
mod tunnel;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

pub use error::ProxyError;
pub use fake_tls::FakeTls;

use self::obfuscated::Obfuscating;
use super::clock::Clock;
use super::dial::{DialFuture, Dialer, Stream, resolve};
use super::error::DialFailure;
use super::race::{DialMemory, dial};
use super::tls::TlsTrust;
use tdl_core::ids::DcId;
use tdl_core::transport::fake_tls::{self as tls, Shape};
use tdl_core::transport::mtproxy::Key;
use tdl_core::transport::{Host, Kind, Obfuscated, Proxy, Target};

/// How long one address of the proxy's may take to connect. The caller's limit on the whole is shorter or longer as it likes.
const REACH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a proxy may take to answer a greeting before it is given another one. Proxies that are too old for a greeting wait for the rest
/// of something else.
const GREETING_PATIENCE: Duration = Duration::from_secs(3);

/// Makes streams through a proxy.
///
/// Through SOCKS5 and HTTP proxies they lead to the address that was asked for. Through an MTProxy they lead to the proxy, whatever the
/// address, and the proxy has to be told which DC is meant: that is what [`ProxyDialer::for_dc`] is for.
pub struct ProxyDialer {
    proxy: Proxy,
    under: Arc<dyn Dialer>,
    clock: Clock,
    trust: Option<TlsTrust>,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    /// The greeting that worked last.
    shape: Shape,
}

impl ProxyDialer {
    /// Through `proxy`, which `under` reaches. The seed decides all random bytes.
    pub fn new(proxy: Proxy, under: Arc<dyn Dialer>, clock: Clock, seed: [u8; 32]) -> Self {
        let state = State { rng: StdRng::from_seed(seed), shape: Shape::default() };
        Self { proxy, under, clock, trust: None, state: Mutex::new(state) }
    }

    /// Believes these authorities if the proxy is reached through TLS. Without a word it is those of the public web.
    #[must_use]
    pub fn with_trust(self, trust: TlsTrust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    fn trust(&self) -> Result<TlsTrust, ProxyError> {
        match &self.trust {
            Some(trust) => Ok(trust.clone()),
            None => TlsTrust::public(&[]).map_err(ProxyError::Trust),
        }
    }

    /// Connects to a target that may be a name. Who looks it up is the proxy's URL's choice: `socks5h` and `http` leave it to the proxy.
    ///
    /// # Errors
    /// See [`ProxyError`]. The caller bounds the time.
    pub async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, DialFailure> {
        match &self.proxy {
            Proxy::Socks5 { credentials, remote_dns, .. } => {
                let target = match (&target.host, remote_dns) {
                    (Host::Name(_), false) => resolve_at(target).await?.first().copied().map_or(target.clone(), Target::from),
                    _ => target.clone(),
                };
                let mut stream = self.reach().await?;
                tunnel::socks5(&mut stream, target, credentials.clone()).await?;
                Ok(stream)
            }
            Proxy::Http { at, credentials, tls } => {
                let mut stream = self.reach().await?;
                if *tls {
                    stream = self.trust()?.connect(&at.host, stream).await.map_err(ProxyError::from)?;
                }
                tunnel::http(&mut stream, target, credentials.as_ref()).await?;
                Ok(stream)
            }
            Proxy::MtProxy { secret, .. } => match secret.domain() {
                None => self.reach().await,
                Some(domain) => self.disguised(secret.key(), domain).await,
            },
        }
    }

    /// A dialer whose streams carry plain envelopes of `kind` to `dc`, through whichever proxy this is. See
    /// [`Obfuscated::client`](tdl_core::transport::Obfuscated::client) about the DC's number.
    pub fn for_dc(self: &Arc<Self>, kind: Kind, dc: DcId) -> Arc<dyn Dialer> {
        Arc::new(ForDc { proxy: Arc::clone(self), kind, dc })
    }

    /// Connects to the proxy itself.
    async fn reach(&self) -> Result<Box<dyn Stream>, DialFailure> {
        let addrs = resolve_at(self.proxy.at()).await?;
        match dial(&*self.under, &addrs, REACH_TIMEOUT).await {
            Ok((stream, _)) => Ok(stream),
            Err(failures) => {
                let failures = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                Err(ProxyError::Unreachable { failures }.into())
            }
        }
    }

    /// Connects and greets. A proxy that does not take the greeting may be too old for it, so it is given an older one.
    async fn disguised(&self, key: &Key, domain: &str) -> Result<Box<dyn Stream>, DialFailure> {
        let shape = self.with_state(|state| state.shape);
        let stream = self.reach().await?;
        let silent = |_| Err(ProxyError::Silent { after: GREETING_PATIENCE });
        let greeted = tokio::time::timeout(GREETING_PATIENCE, self.greet(stream, key, domain, shape)).await;
        let first = match greeted.unwrap_or_else(silent) {
            Ok(stream) => return Ok(stream),
            Err(failure) if failure.is_about_the_greeting() => failure,
            Err(failure) => return Err(failure.into()),
        };
        let other = match shape {
            Shape::Current => Shape::Classic,
            Shape::Classic => Shape::Current,
        };
        let stream = self.reach().await?;
        match self.greet(stream, key, domain, other).await {
            Ok(stream) => {
                self.with_state(|state| state.shape = other);
                Ok(stream)
            }
            // To be cut off says less than a wrong answer does.
            Err(ProxyError::Closed) => Err(first.into()),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn greet(
        &self,
        stream: Box<dyn Stream>,
        key: &Key,
        domain: &str,
        shape: Shape,
    ) -> Result<Box<dyn Stream>, ProxyError> {
        // The field has 32 bits: it ends in 2106.
        let unix_time = u32::try_from(self.clock.now().wall.as_secs()).unwrap_or(u32::MAX);
        let (client, greeting) = self.with_state(|state| tls::Client::new(key, domain, shape, unix_time, &mut state.rng));
        Ok(Box::new(FakeTls::begin(stream, client, &greeting).await?))
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Whole values are put in and taken out, so a panic elsewhere leaves none half-changed.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A way through a proxy to one DC.
struct ForDc {
    proxy: Arc<ProxyDialer>,
    kind: Kind,
    dc: DcId,
}

impl Dialer for ForDc {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move {
            let stream = self.proxy.connect(&Target::from(addr)).await?;
            let Some(secret) = self.proxy.proxy.secret() else { return Ok(stream) };
            let started = self.proxy.with_state(|state| Obfuscated::client(self.kind, self.dc, secret.key(), &mut state.rng));
            let (init, cipher) = started.map_err(ProxyError::Unspeakable)?;
            Ok(Box::new(Obfuscating::new(stream, self.kind, &init, cipher)) as Box<dyn Stream>)
        })
    }

    fn via(&self) -> Option<String> {
        self.proxy.via()
    }

    fn memory(&self) -> Option<&DialMemory> {
        self.proxy.memory()
    }
}

impl Dialer for ProxyDialer {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move { self.connect(&Target::from(addr)).await })
    }

    fn dial_target<'a>(&'a self, target: &'a Target) -> Option<DialFuture<'a>> {
        Some(Box::pin(self.connect(target)))
    }

    fn via(&self) -> Option<String> {
        Some(self.proxy.to_string())
    }

    fn memory(&self) -> Option<&DialMemory> {
        self.under.memory()
    }
}

impl fmt::Debug for ProxyDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyDialer({})", self.proxy)
    }
}

/// The addresses of a target.
async fn resolve_at(target: &Target) -> Result<Vec<SocketAddr>, ProxyError> {
    resolve(target).await.map_err(|reason| ProxyError::UnknownName { name: target.host.to_string(), reason })
}
