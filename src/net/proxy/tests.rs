//! The dialer against proxies that the tests play.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::*;
use tdl_core::transport::fake_tls::{Replays, Server};
use tdl_core::transport::{fake_tls as tls, http_connect, socks5};

/// Hands the other end of each connection to the test, with the address that was dialled.
struct Doors(mpsc::UnboundedSender<(SocketAddr, DuplexStream)>);

impl Dialer for Doors {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move {
            // Little room, so that everything travels in pieces.
            let (ours, theirs) = tokio::io::duplex(100);
            match self.0.send((addr, theirs)) {
                Ok(()) => Ok(Box::new(ours) as Box<dyn Stream>),
                Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

const NOW: u64 = 1_700_000_000;
const SECRET: &str = "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d";

fn dialer(url: &str) -> (ProxyDialer, mpsc::UnboundedReceiver<(SocketAddr, DuplexStream)>) {
    let (sender, doors) = mpsc::unbounded_channel();
    let clock = Clock::starting_at(Duration::from_secs(NOW));
    (ProxyDialer::new(url.parse().unwrap(), Arc::new(Doors(sender)), clock, [7; 32]), doors)
}

fn dc() -> SocketAddr {
    "149.154.167.51:443".parse().unwrap()
}

/// Plays a script: what must come, what is answered.
async fn play(stream: &mut DuplexStream, script: &[(&[u8], &[u8])]) {
    for (expected, answer) in script {
        let mut found = vec![0; expected.len()];
        stream.read_exact(&mut found).await.unwrap();
        assert_eq!(found, *expected, "{}", String::from_utf8_lossy(&found));
        stream.write_all(answer).await.unwrap();
    }
}

async fn failure(dialer: &ProxyDialer) -> DialFailure {
    dialer.dial(dc()).await.err().expect("no tunnel")
}

/// Bytes get through in both directions.
async fn works(mut ours: Box<dyn Stream>, mut theirs: impl Stream) {
    let data: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let (mut there, mut back) = (vec![0; data.len()], vec![0; data.len()]);
    let (mut our_read, mut our_write) = tokio::io::split(&mut ours);
    let (mut their_read, mut their_write) = tokio::io::split(&mut theirs);
    let send = async {
        our_write.write_all(&data).await.unwrap();
        our_write.flush().await.unwrap();
    };
    let echo = async {
        their_write.write_all(&data).await.unwrap();
        their_write.flush().await.unwrap();
    };
    let receive = async { their_read.read_exact(&mut there).await.unwrap() };
    let hear = async { our_read.read_exact(&mut back).await.unwrap() };
    tokio::join!(send, echo, receive, hear);
    assert!(there == data && back == data);
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test]
async fn socks5_with_a_password_leads_on() {
    let (dialer, mut doors) = dialer("socks5://user:word@127.0.0.1:9");
    let proxy = async {
        let (addr, mut stream) = doors.recv().await.unwrap();
        assert_eq!(addr, "127.0.0.1:9".parse().unwrap());
        let script: [(&[u8], &[u8]); 3] = [
            (&[5, 2, 0, 2], &[5, 2]),
            (b"\x01\x04user\x04word", &[1, 0]),
            (&[5, 1, 0, 1, 149, 154, 167, 51, 1, 187], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ];
        play(&mut stream, &script).await;
        stream
    };
    let (ours, theirs) = tokio::join!(dialer.dial(dc()), proxy);
    works(ours.unwrap(), theirs).await;
    assert_eq!(dialer.via().unwrap(), "socks5://user:***@127.0.0.1:9");
    assert!(!format!("{dialer:?}").contains("word"));
}

#[tokio::test]
async fn names_are_looked_up_where_the_url_says() {
    let target = Target::new(Host::Name("localhost".into()), 443);
    for (url, by_name) in [("socks5h://127.0.0.1:9", true), ("socks5://127.0.0.1:9", false)] {
        let (dialer, mut doors) = dialer(url);
        let proxy = async {
            let (_, mut stream) = doors.recv().await.unwrap();
            play(&mut stream, &[(&[5, 1, 0], &[5, 0])]).await;
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            let rest: &[u8] = match head[3] {
                3 => b"\x09localhost\x01\xbb",
                1 => &[127, 0, 0, 1, 1, 187],
                4 => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187],
                kind => panic!("kind {kind}"),
            };
            play(&mut stream, &[(rest, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])]).await;
            head[3] == 3
        };
        let (tunnel, named) = tokio::join!(dialer.connect(&target), proxy);
        assert!(tunnel.is_ok());
        assert_eq!(named, by_name, "{url}");
    }
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test]
async fn connect_leads_on() {
    let (dialer, mut doors) = dialer("http://user:word@[::1]:3128");
    let proxy = async {
        let (addr, mut stream) = doors.recv().await.unwrap();
        assert_eq!(addr, "[::1]:3128".parse().unwrap());
        let request = b"CONNECT 149.154.167.51:443 HTTP/1.1\r\nHost: 149.154.167.51:443\r\n\
            Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\n";
        play(&mut stream, &[(request, b"HTTP/1.1 200 OK\r\n\r\n")]).await;
        stream
    };
    let (ours, theirs) = tokio::join!(dialer.dial(dc()), proxy);
    works(ours.unwrap(), theirs).await;
}

#[tokio::test]
async fn refusals_are_typed_and_known_to_be_final_or_not() {
    let cases: [(&str, &[u8], &[u8], bool); 4] = [
        ("socks5://127.0.0.1:9", &[5, 1, 0], &[5, 0xff], true),
        ("socks5://127.0.0.1:9", &[5, 1, 0], b"HTTP/1.1 400", true),
        ("http://127.0.0.1:9", b"CONNECT ", b"HTTP/1.1 407 Who\r\n\r\n", true),
        ("http://127.0.0.1:9", b"CONNECT ", b"HTTP/1.1 502 Bad\r\n\r\n", false),
    ];
    for (url, first, answer, is_final) in cases {
        let (dialer, mut doors) = dialer(url);
        let proxy = async {
            let (_, mut stream) = doors.recv().await.unwrap();
            play(&mut stream, &[(first, answer)]).await;
            stream
        };
        let (failure, _) = tokio::join!(failure(&dialer), proxy);
        let DialFailure::Proxy(error) = failure else { panic!("{failure}") };
        assert!(matches!(
            error,
            ProxyError::Socks5(socks5::Error::CredentialsWanted | socks5::Error::WrongVersion { found: b'H' })
                | ProxyError::Http(http_connect::Error::Refused(_))
        ));
        assert_eq!(error.is_final(), is_final, "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_goes_away_is_told() {
    let (gone, doors) = dialer("socks5://127.0.0.1:9");
    drop(doors);
    let told = failure(&gone).await;
    assert!(
        matches!(&told, DialFailure::Proxy(ProxyError::Unreachable { failures }) if failures.contains("127.0.0.1:9")),
        "{told}"
    );

    for url in ["socks5://127.0.0.1:9", "http://127.0.0.1:9", &format!("mtproxy://{SECRET}@127.0.0.1:9")] {
        let (dialer, mut doors) = dialer(url);
        let proxy = async {
            while let Some((_, mut stream)) = doors.recv().await {
                // Hears it out before it hangs up, so that nothing is lost on the way.
                let mut heard = [0; 3];
                stream.read_exact(&mut heard).await.unwrap();
            }
        };
        let told = tokio::select! {
            told = failure(&dialer) => told,
            () = proxy => panic!(),
        };
        let closed = matches!(&told, DialFailure::Proxy(ProxyError::Closed | ProxyError::Broken(_)));
        assert!(closed, "{url}: {told}");
    }

    let (nowhere, _doors) = dialer("socks5://no-such-name.invalid:9");
    let told = failure(&nowhere).await;
    assert!(
        matches!(&told, DialFailure::Proxy(ProxyError::UnknownName { name, .. }) if name == "no-such-name.invalid"),
        "{told}"
    );
}

/// Plays an MTProxy up to the first byte of data. Closes the connection when it does not like the greeting.
async fn accept(mut stream: DuplexStream, key: [u8; 16], only_classic: bool) -> Option<FakeTls> {
    let mut server = Server::new(Key::new(key), Some("www.example.com".into()));
    let mut input = BytesMut::new();
    loop {
        if only_classic && input.len() >= 5 && input[3..5] != [2, 0] {
            return None;
        }
        let mut rng = StdRng::from_seed([9; 32]);
        let now = i64::try_from(NOW).unwrap();
        match server.handle_input(&mut input, now, &mut Replays::new(), &mut rng) {
            Ok(Some(accepted)) => {
                stream.write_all(&accepted.answer).await.unwrap();
                return Some(FakeTls::over(Box::new(stream), accepted.records, input));
            }
            Ok(None) => assert_ne!(stream.read_buf(&mut input).await.unwrap(), 0),
            // A web server's answer: a ServerHello with a certificate behind it.
            Err(tls::Error::WrongClientDigest) => {
                stream.write_all(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00\x16\x03\x03\x00\x01\x0b").await.unwrap();
                return None;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test]
async fn a_disguised_proxy_leads_on() {
    let (dialer, mut doors) = dialer(&format!("mtproxy://{SECRET}@127.0.0.1:9"));
    let proxy = async {
        let (addr, stream) = doors.recv().await.unwrap();
        assert_eq!(addr, "127.0.0.1:9".parse().unwrap(), "the proxy, not the DC");
        accept(stream, KEY, false).await.unwrap()
    };
    let (ours, theirs) = tokio::join!(dialer.dial(dc()), proxy);
    works(ours.unwrap(), theirs).await;
}

#[tokio::test]
async fn an_old_proxy_is_given_the_old_greeting_and_from_then_on_first() {
    let (dialer, mut doors) = dialer(&format!("mtproxy://{SECRET}@127.0.0.1:9"));
    for attempts in [2, 1] {
        let proxy = async {
            for attempt in 1.. {
                let (_, stream) = doors.recv().await.unwrap();
                if let Some(stream) = accept(stream, KEY, true).await {
                    return (stream, attempt);
                }
            }
            unreachable!()
        };
        let (ours, (theirs, attempt)) = tokio::join!(dialer.dial(dc()), proxy);
        assert_eq!(attempt, attempts);
        works(ours.unwrap(), theirs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_waits_for_something_else_is_given_the_old_greeting_after_a_while() {
    let (dialer, mut doors) = dialer(&format!("mtproxy://{SECRET}@127.0.0.1:9"));
    let proxy = async {
        // Takes the first connection and says nothing.
        let silent = doors.recv().await.unwrap();
        let (_, stream) = doors.recv().await.unwrap();
        (accept(stream, KEY, true).await.unwrap(), silent)
    };
    let began = tokio::time::Instant::now();
    let (ours, (theirs, _silent)) = tokio::join!(dialer.dial(dc()), proxy);
    assert!(began.elapsed() >= GREETING_PATIENCE && began.elapsed() < GREETING_PATIENCE + Duration::from_millis(10));
    works(ours.unwrap(), theirs).await;

    // One that never says anything is told from one that is not there.
    let silence = async {
        let mut held = Vec::new();
        while let Some(door) = doors.recv().await {
            held.push(door);
        }
    };
    let dialled = tokio::select! {
        dialled = tokio::time::timeout(Duration::from_secs(10), dialer.dial(dc())) => dialled,
        () = silence => panic!(),
    };
    assert!(dialled.is_err(), "the caller's limit ends it");
}

#[tokio::test]
async fn another_secret_shows_the_web_site_and_that_is_final() {
    let (dialer, mut doors) = dialer(&format!("mtproxy://{SECRET}@127.0.0.1:9"));
    let proxy = async {
        for _ in 0..2 {
            let (_, stream) = doors.recv().await.unwrap();
            assert!(accept(stream, [0; 16], false).await.is_none());
        }
    };
    let (failure, ()) = tokio::join!(failure(&dialer), proxy);
    let DialFailure::Proxy(error) = failure else { panic!("{failure}") };
    assert!(matches!(error, ProxyError::FakeTls(tls::Error::NoChangeCipherSpec { found: 0x16 })), "{error}");
    assert!(error.is_final());
}

#[tokio::test]
async fn a_broken_record_ends_the_stream_behind_what_was_good() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let (client, greeting) = tls::Client::new(&Key::new(KEY), "a.b", Shape::Classic, 0, &mut StdRng::from_seed([1; 32]));
    let begin = FakeTls::begin(Box::new(ours), client, &greeting);
    let proxy = async {
        let mut input = BytesMut::new();
        let mut server = Server::new(Key::new(KEY), None);
        let accepted = loop {
            theirs.read_buf(&mut input).await.unwrap();
            let found = server.handle_input(&mut input, 0, &mut Replays::new(), &mut StdRng::from_seed([1; 32]));
            if let Some(accepted) = found.unwrap() {
                break accepted;
            }
        };
        theirs.write_all(&accepted.answer).await.unwrap();
        theirs.write_all(b"\x17\x03\x03\x00\x02ok\x15\x03\x03\x00\x02\x02\x28").await.unwrap();
    };
    let (stream, ()) = tokio::join!(begin, proxy);
    let mut stream = stream.ok().unwrap();
    let mut good = [0; 2];
    stream.read_exact(&mut good).await.unwrap();
    assert_eq!(&good, b"ok");
    let error = stream.read_exact(&mut good).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let rule = error.get_ref().and_then(|error| error.downcast_ref::<tls::Error>());
    assert_eq!(rule, Some(&tls::Error::NotDataRecord { found: 0x15 }));
}

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test]
async fn through_an_mtproxy_the_dc_is_named_and_frames_go_both_ways() {
    use tdl_core::transport::{Codec, Detector, Frame, Options};

    for (prefix, kind) in [("", Kind::Abridged), ("", Kind::Intermediate), ("dd", Kind::PaddedIntermediate)] {
        let (dialer, mut doors) = dialer(&format!("mtproxy://{prefix}000102030405060708090a0b0c0d0e0f@127.0.0.1:9"));
        let dialer = Arc::new(dialer).for_dc(kind, DcId(-10_002));
        let mut ours = dialer.dial(dc()).await.unwrap();
        let (_, mut theirs) = doors.recv().await.unwrap();
        let mut rng = StdRng::from_seed([2; 32]);
        let mut client = Codec::client(&Options { kind, obfuscated: false, dc: DcId(0) }, &mut rng);
        let mut out = BytesMut::new();
        // The length of a message: a padded frame is cut to what a message can have.
        client.encode(&[7; 24 + 16 * 200], &mut rng, &mut out).unwrap();
        let send = async {
            // In pieces, the first of which ends inside the announcement where that has more than one byte.
            for piece in [&out[..2], &out[2..]] {
                ours.write_all(piece).await.unwrap();
            }
            ours.flush().await.unwrap();
        };
        let answer = async {
            let mut input = BytesMut::new();
            let mut detector = Detector::proxy(Key::new(KEY));
            let mut server = loop {
                theirs.read_buf(&mut input).await.unwrap();
                if let Some(server) = detector.detect(&mut input).unwrap() {
                    break server;
                }
            };
            assert_eq!(server.options(), Options { kind, obfuscated: true, dc: DcId(-10_002) });
            let payload = loop {
                if let Some(Frame::Payload(payload)) = server.decode(&mut input).unwrap() {
                    break payload;
                }
                theirs.read_buf(&mut input).await.unwrap();
            };
            assert!(payload[..] == [7; 24 + 16 * 200]);
            let mut rng = StdRng::from_seed([4; 32]);
            let mut back = BytesMut::new();
            server.encode(&[9; 40], &mut rng, &mut back).unwrap();
            theirs.write_all(&back).await.unwrap();
        };
        tokio::join!(send, answer);
        let mut input = BytesMut::new();
        let payload = loop {
            if let Some(Frame::Payload(payload)) = client.decode(&mut input).unwrap() {
                break payload;
            }
            ours.read_buf(&mut input).await.unwrap();
        };
        assert_eq!(payload[..], [9; 40]);
    }
}

mod inside_tls {
    use super::*;
    use crate::tls::tests::server;
    use crate::tls::{ALPN, TlsError, TlsTrust};

    /// Row: A.1 "SOCKS5 / HTTP proxy"
    #[tokio::test]
    async fn connect_leads_on_behind_a_certificate_that_is_believed() {
        let (acceptor, pem) = server(|_| (), ALPN);
        let (dialer, mut doors) = dialer("https://user:word@127.0.0.1");
        let dialer = dialer.with_trust(TlsTrust::public(&[pem]).unwrap());
        let proxy = async {
            let (addr, stream) = doors.recv().await.unwrap();
            assert_eq!(addr, "127.0.0.1:443".parse().unwrap());
            let mut stream = acceptor.accept(stream).await.unwrap();
            let request = b"CONNECT 149.154.167.51:443 HTTP/1.1\r\nHost: 149.154.167.51:443\r\n\
                Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\n";
            let mut found = vec![0; request.len()];
            stream.read_exact(&mut found).await.unwrap();
            assert_eq!(found, request, "{}", String::from_utf8_lossy(&found));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            crate::tls::TlsStream::new(stream)
        };
        let (ours, theirs) = tokio::join!(dialer.dial(dc()), proxy);
        works(ours.unwrap(), theirs).await;
        assert_eq!(dialer.via().unwrap(), "https://user:***@127.0.0.1:443");
    }

    /// Row: A.1 "SOCKS5 / HTTP proxy"
    #[tokio::test]
    async fn whoever_shows_another_certificate_is_not_told_the_password() {
        let (_, pem) = server(|_| (), ALPN);
        let (impostor, _) = server(|_| (), ALPN);
        let (unsure, mut doors) = dialer("https://user:word@127.0.0.1:9");
        let trusting = [None, Some(TlsTrust::only(&pem).unwrap())];
        let mut dialer = unsure;
        for trust in trusting {
            if let Some(trust) = trust {
                dialer = dialer.with_trust(trust);
            }
            let proxy = async {
                let (_, stream) = doors.recv().await.unwrap();
                impostor.accept(stream).await.expect_err("it is refused");
            };
            let (failure, ()) = tokio::join!(failure(&dialer), proxy);
            let expected = TlsError::UnknownIssuer { name: "127.0.0.1".to_owned() };
            assert!(matches!(&failure, DialFailure::Proxy(ProxyError::Tls(error)) if *error == expected), "{failure:?}");
            assert!(failure.is_final());
        }
    }

    #[tokio::test]
    async fn a_proxy_without_tls_is_told_apart() {
        let (dialer, mut doors) = dialer("https://127.0.0.1:9");
        let proxy = async {
            let (_, mut stream) = doors.recv().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let (failure, ()) = tokio::join!(failure(&dialer), proxy);
        assert!(matches!(failure, DialFailure::Proxy(ProxyError::Tls(TlsError::NotTls { .. }))), "{failure:?}");
    }
}
