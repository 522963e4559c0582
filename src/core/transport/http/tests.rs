use bytes::BytesMut;

use super::*;
use crate::transport::{Frame, MAX_FRAME, TransportError};

fn request(head: &str) -> Result<Option<Request>, Error> {
    Server::new().decode(&mut BytesMut::from(head.as_bytes()))
}

/// What a client that has asked once makes of an answer.
fn answer(head: &str) -> Result<Option<Answer>, Error> {
    asked().decode(&mut BytesMut::from(head.as_bytes()))
}

fn asked() -> Client {
    let mut client = Client::new("127.0.0.1:80", PATH);
    client.encode(&[0; 8], &mut BytesMut::new()).unwrap();
    client
}

fn post(fields: &str) -> String {
    format!("POST /api HTTP/1.1\r\nHost: a\r\n{fields}\r\nabcd")
}

fn ok(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\nabcd")
}

#[test]
fn a_request_and_its_answer_as_they_are_on_the_wire() {
    let (mut client, mut server) = (Client::new("venus.web.telegram.org", PATH), Server::new());
    let mut wire = BytesMut::new();
    client.encode(b"ping", &mut wire).unwrap();
    let text = String::from_utf8(wire.to_vec()).unwrap();
    assert!(text.starts_with("POST /api HTTP/1.1\r\nHost: venus.web.telegram.org\r\n"), "{text}");
    assert!(text.ends_with("\r\nContent-Length: 4\r\n\r\nping"), "{text}");
    let request = server.decode(&mut wire).unwrap().unwrap();
    assert_eq!((&request.payload[..], request.last, server.asked()), (&b"ping"[..], false, 1));

    assert_eq!(server.encode(b"pong", &mut wire), Ok(false));
    let text = String::from_utf8(wire.to_vec()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\nContent-Length: 4\r\n\r\npong"), "{text}");
    let answer = client.decode(&mut wire).unwrap().unwrap();
    assert_eq!(answer, Answer { frame: Frame::Payload(BytesMut::from(&b"pong"[..])), last: false });
    assert_eq!((client.waiting(), server.asked(), wire.len()), (0, 0, 0));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (mut client, mut server) = (Client::new("h", PATH), Server::new());
    let mut wire = BytesMut::new();
    for payload in [b"one.", b"two.", b"six."] {
        client.encode(payload, &mut wire).unwrap();
    }
    let taken: Vec<_> = std::iter::from_fn(|| server.decode(&mut wire).unwrap()).map(|request| request.payload).collect();
    assert_eq!(taken, [&b"one."[..], b"two.", b"six."]);
    for payload in [b"ONE.", b"TWO.", b"SIX."] {
        server.encode(payload, &mut wire).unwrap();
    }
    let answers: Vec<_> = std::iter::from_fn(|| client.decode(&mut wire).unwrap()).map(|answer| answer.frame).collect();
    assert_eq!(answers, [b"ONE.", b"TWO.", b"SIX."].map(|payload| Frame::Payload(BytesMut::from(&payload[..]))));
}

#[test]
fn a_status_stands_for_the_transport_error() {
    for (code, expected) in [
        (404, TransportError::AuthKeyNotFound),
        (-429, TransportError::Flood),
        (444, TransportError::InvalidDc),
        (403, TransportError::Other(403)),
        // No status can say this.
        (7, TransportError::Other(500)),
    ] {
        let (mut client, mut server) = (asked(), Server::new());
        let mut wire = BytesMut::new();
        server.encode_error(code, &mut wire);
        assert_eq!(client.decode(&mut wire), Ok(Some(Answer { frame: Frame::Error(expected), last: true })), "{code}");
    }
    let with_page = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n<p>no</p>";
    let answer = answer(with_page).unwrap().unwrap();
    assert_eq!(answer, Answer { frame: Frame::Error(TransportError::AuthKeyNotFound), last: false }, "its payload is ignored");
    let bare = self::answer("HTTP/1.1 429\r\n\r\n").unwrap().unwrap();
    assert_eq!(bare, Answer { frame: Frame::Error(TransportError::Flood), last: true });
}

#[test]
fn others_spellings_are_understood() {
    let request =
        request("POST /apiw1 HTTP/1.1\r\nhost:a\r\nCONTENT-LENGTH:\t4 \r\nX: a, b\r\nConnection: foo, Close\r\n\r\nabcd");
    assert_eq!(request.unwrap().map(|request| request.last), Some(true));
    let old = self::request("POST /api HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd").unwrap().unwrap();
    assert!(old.last, "HTTP/1.0 ends with the answer");
    let kept = self::request("POST /api HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nabcd").unwrap().unwrap();
    assert!(!kept.last);
    let after_continue = answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 4\r\n\r\nabcd").unwrap().unwrap();
    assert_eq!(after_continue.frame, Frame::Payload(BytesMut::from(&b"abcd"[..])));
}

#[test]
fn every_rule_of_a_request_has_its_error() {
    let too_long = format!("{}X: {}\r\n", "a: b\r\n".repeat(3), "y".repeat(MAX_HEAD));
    let many = "a: b\r\n".repeat(MAX_FIELDS);
    let huge = MAX_FRAME as u64 + 4;
    for (bytes, error) in [
        (post(&too_long), Error::HeadTooLong),
        (post(&format!("{many}Content-Length: 4\r\n")), Error::TooManyFields),
        (post("Content-Length: 4\r\nX: a\nb\r\n"), Error::NotText { byte: b'\n' }),
        (post("Content-Length: 4\r\nX: a\rb\r\n"), Error::NotText { byte: b'\r' }),
        (post("Content-Length: 4\r\nX: \0\r\n"), Error::NotText { byte: 0 }),
        (post("Content-Length: 4\r\nX: \u{e4}\r\n"), Error::NotText { byte: 0xc3 }),
        ("POST  /api HTTP/1.1\r\n\r\n".into(), Error::MalformedStart),
        ("POST /api\r\n\r\n".into(), Error::MalformedStart),
        ("\r\n\r\n".into(), Error::MalformedStart),
        ("POST /api HTTP/2.0\r\n\r\n".into(), Error::WrongVersion),
        (post("Content-Length: 4\r\nno colon\r\n"), Error::MalformedField),
        (post("Content-Length : 4\r\n"), Error::MalformedField),
        (post("Content-Length: 4\r\n folded: x\r\n"), Error::MalformedField),
        (post("Content-Length: 4\r\n: x\r\n"), Error::MalformedField),
        (post(""), Error::LengthMissing),
        (post("Content-Length: +4\r\n"), Error::LengthMalformed),
        (post("Content-Length: \r\n"), Error::LengthMalformed),
        (post("Content-Length: 99999999999999999999\r\n"), Error::LengthMalformed),
        (post("Content-Length: 4\r\nContent-Length: 4\r\n"), Error::LengthRepeated),
        (post(&format!("Content-Length: {huge}\r\n")), Error::BodyTooLong { found: huge, max: MAX_FRAME }),
        (post("Content-Length: 0\r\n"), Error::BodyEmpty),
        (post("Content-Length: 3\r\n"), Error::BodyNotAligned { found: 3 }),
        (post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), Error::TransferEncoding),
        ("HEAD /api HTTP/1.1\r\nHost: a\r\n\r\n".into(), Error::WrongMethod),
        ("POST /bot HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd".into(), Error::WrongPath),
        ("POST /api HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd".into(), Error::HostMissing),
        (post("Host: b\r\nContent-Length: 4\r\n"), Error::HostMissing),
    ] {
        assert_eq!(request(&bytes), Err(error), "{bytes:.80}");
        let status = error.status();
        assert!((400..600).contains(&status) && ![404, 429, 444].contains(&status), "{error}: {status} means something else");
    }
}

#[test]
fn every_rule_of_an_answer_has_its_error() {
    for (bytes, error) in [
        (ok(""), Error::LengthMissing),
        (ok("Content-Length: 0\r\n"), Error::BodyEmpty),
        (ok("Content-Length: 7\r\n"), Error::BodyNotAligned { found: 7 }),
        (ok("Transfer-Encoding: chunked\r\n"), Error::TransferEncoding),
        ("HTTP/1.1 20 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1 099 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1 +99 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1 600 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1 0200 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1 +200 OK\r\n\r\n".into(), Error::MalformedStatus),
        ("HTTP/1.1\r\n\r\n".into(), Error::MalformedStart),
        ("ICY 200 OK\r\n\r\n".into(), Error::WrongVersion),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".into(), Error::Switched),
    ] {
        assert_eq!(answer(&bytes), Err(error), "{bytes:.80}");
    }
    let unasked = Client::new("h", PATH).decode(&mut BytesMut::from(ok("Content-Length: 4\r\n").as_bytes()));
    assert_eq!(unasked, Err(Error::Unasked));
}

#[test]
fn callers_keep_to_the_rules_too() {
    let mut out = BytesMut::new();
    let mut client = Client::new("h\r\nX: y", PATH);
    assert_eq!(client.encode(&[0; 6], &mut out), Err(Error::PayloadNotAligned { len: 6 }));
    assert_eq!(client.encode(&[], &mut out), Err(Error::PayloadNotAligned { len: 0 }));
    let long = vec![0; MAX_FRAME + 4];
    assert_eq!(client.encode(&long, &mut out), Err(Error::PayloadTooLong { len: MAX_FRAME + 4, max: MAX_FRAME }));
    assert_eq!(Server::new().encode(&[0; 4], &mut out), Err(Error::NothingAsked));
    assert!(out.is_empty());
    client.encode(&[0; 4], &mut out).unwrap();
    assert!(Server::new().decode(&mut out).unwrap().is_some());
}

#[test]
fn an_error_is_final() {
    let mut server = Server::new();
    let mut input = BytesMut::from("GET /api HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.decode(&mut input), Err(Error::WrongMethod));
    input.extend_from_slice(post("Content-Length: 4\r\n").as_bytes());
    assert_eq!(server.decode(&mut input), Err(Error::WrongMethod));

    let mut client = asked();
    let mut input = BytesMut::from("HTTP/1.1 999 \r\n\r\n");
    assert_eq!(client.decode(&mut input), Err(Error::MalformedStatus));
    assert_eq!(client.decode(&mut input), Err(Error::MalformedStatus));
    assert_eq!(client.encode(&[0; 4], &mut input), Err(Error::MalformedStatus));
}

#[test]
fn every_prefix_is_incomplete_and_pieces_make_no_difference() {
    let (mut client, mut server) = (Client::new("h", PATH), Server::new());
    let (mut questions, mut answers) = (BytesMut::new(), BytesMut::new());
    for n in 1..4 {
        client.encode(&vec![n; usize::from(n) * 40], &mut questions).unwrap();
    }
    let mut input = BytesMut::new();
    let mut taken = Vec::new();
    for byte in &questions {
        input.extend_from_slice(&[*byte]);
        taken.extend(server.decode(&mut input).unwrap());
    }
    assert_eq!(taken.iter().map(|request| request.payload.len()).collect::<Vec<_>>(), [40, 80, 120]);
    for request in &taken {
        server.encode(&request.payload, &mut answers).unwrap();
    }
    let mut input = BytesMut::new();
    let mut heard = Vec::new();
    for byte in &answers {
        input.extend_from_slice(&[*byte]);
        heard.extend(client.decode(&mut input).unwrap());
    }
    let payloads: Vec<_> = taken.into_iter().map(|request| Frame::Payload(request.payload)).collect();
    assert_eq!(heard.into_iter().map(|answer| answer.frame).collect::<Vec<_>>(), payloads);

    let one = post("Content-Length: 4\r\n");
    for end in 0..one.len() {
        assert_eq!(request(&one[..end]), Ok(None), "{end} bytes");
    }
    let one = ok("Content-Length: 4\r\n");
    for end in 0..one.len() {
        assert_eq!(answer(&one[..end]), Ok(None), "{end} bytes");
    }
}
