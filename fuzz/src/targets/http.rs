//! Both ends of the HTTP transport, with the other one as attacker.
//!
//! Input: one byte for the role (and how many requests the client has made), one for the size of the pieces in which the stream arrives,
//! the stream. What comes out must not depend on the pieces.

use bytes::BytesMut;
use tdl::transport::http::{Answer, Client, Error, MAX_HEAD, PATH, Request, Server};
use tdl::transport::{Frame, MAX_FRAME};

use super::{Seed, stream};

/// Requests that a client has made, at most.
const MAX_ASKED: usize = 8;

pub fn run(data: &[u8]) {
    let [role, piece, wire @ ..] = data else { return };
    let piece = usize::from(*piece).max(1);
    if role & 1 == 0 {
        let asked = usize::from(role >> 1) % MAX_ASKED;
        assert_eq!(hear(asked, wire, wire.len().max(1)), hear(asked, wire, piece));
    } else {
        assert_eq!(serve(wire, wire.len().max(1)), serve(wire, piece));
    }
}

pub fn seeds() -> Vec<Seed> {
    let mut client = Client::new("127.0.0.1:80", PATH);
    let mut server = Server::new();
    let (mut questions, mut answers) = (BytesMut::new(), BytesMut::new());
    for packet in stream::packets() {
        client.encode(&packet, &mut questions).expect("aligned");
    }
    let mut read = questions.clone();
    while let Some(request) = server.decode(&mut read).expect("ours") {
        server.encode(&request.payload, &mut answers).expect("asked");
    }
    let mut refusal = BytesMut::new();
    server.encode_error(404, &mut refusal);
    let continued = [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &answers].concat();
    let page = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 9\r\n\r\n<p>no</p>";
    let old = b"POST /apiw1 HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length:\t4\r\n\r\nabcd";
    let chunked = b"POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    let twice = b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 8\r\n\r\nabcd";
    let mut seeds = Vec::new();
    let mut seed = |name: &str, head: [u8; 2], wire: &[u8]| seeds.push((name.to_owned(), [&head[..], wire].concat()));
    seed("requests-bytes", [1, 1], &questions);
    seed("requests-whole", [1, 255], &questions);
    seed("answers-bytes", [4, 1], &answers);
    seed("answers-whole", [4, 255], &answers);
    seed("continue", [4, 7], &continued);
    seed("unasked", [0, 7], &answers);
    seed("refusal", [2, 7], &refusal);
    seed("page", [2, 7], page);
    seed("old", [1, 7], old);
    seed("chunked", [1, 7], chunked);
    seed("twice", [1, 7], twice);
    seeds
}

fn hear(asked: usize, wire: &[u8], piece: usize) -> (Vec<Answer>, Result<(), Error>) {
    let mut client = Client::new("h", PATH);
    for _ in 0..asked {
        client.encode(&[0; 4], &mut BytesMut::new()).expect("aligned");
    }
    let (mut input, mut answers) = (BytesMut::new(), Vec::new());
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        loop {
            match client.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(answer)) => {
                    if let Frame::Payload(payload) = &answer.frame {
                        assert!(payload.len() <= MAX_FRAME && payload.len() % 4 == 0 && !payload.is_empty());
                    }
                    answers.push(answer);
                }
                Err(error) => {
                    assert_eq!(client.decode(&mut input), Err(error), "an error is final");
                    return (answers, Err(error));
                }
            }
        }
        assert!(input.len() <= MAX_HEAD + MAX_FRAME);
    }
    assert!(answers.len() <= asked, "more answers than questions");
    (answers, Ok(()))
}

fn serve(wire: &[u8], piece: usize) -> (Vec<Request>, Result<(), Error>) {
    let mut server = Server::new();
    let (mut input, mut requests, mut out) = (BytesMut::new(), Vec::new(), BytesMut::new());
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        loop {
            match server.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(request)) => {
                    assert!(request.payload.len() <= MAX_FRAME && request.payload.len() % 4 == 0);
                    requests.push(request);
                }
                Err(error) => {
                    assert_eq!(server.decode(&mut input), Err(error), "an error is final");
                    server.encode_error(i32::from(error.status()), &mut out);
                    return (requests, Err(error));
                }
            }
        }
    }
    assert_eq!(server.asked(), requests.len());
    for request in &requests {
        assert_eq!(server.encode(&[7; 4], &mut out), Ok(request.last));
    }
    // Our own client understands every answer.
    let mut client = Client::new("h", PATH);
    for _ in &requests {
        client.encode(&[0; 4], &mut BytesMut::new()).expect("aligned");
    }
    for request in &requests {
        let answer = client.decode(&mut out).expect("ours").expect("whole");
        assert_eq!((answer.frame, answer.last), (Frame::Payload(BytesMut::from(&[7; 4][..])), request.last));
    }
    (requests, Ok(()))
}
