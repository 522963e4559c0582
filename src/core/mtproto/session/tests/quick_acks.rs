//! Quick acknowledgements, from the request that asks for one to the event that tells of it.

use super::peer::*;
use crate::mtproto::{
    envelope::{self, Side},
    session::{Event, RequestOptions, Session, client::RequestId},
};

const QUICK: RequestOptions = RequestOptions { method: 0, compress: true, alone: false, quick_ack: true };

/// Sends what there is; the token that the server would say.
fn token(client: &mut Session) -> u32 {
    let frame = client.poll_output(START).unwrap();
    envelope::open_with_token(&key(), Side::Client, frame).unwrap().1
}

fn quick_acks(client: &mut Session) -> Vec<RequestId> {
    events(client)
        .into_iter()
        .map(|event| match event {
            Event::QuickAck { id } => id,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_request_that_asks_for_it_is_told_that_it_arrived() {
    let mut client = client();
    let first = client.request(START, body(1), QUICK).unwrap();
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let third = client.request(START, body(3), QUICK).unwrap();
    let token = token(&mut client);
    assert!(client.wants_quick_ack());
    assert!(!client.may_have_been_executed(first));
    assert_eq!(token >> 31, 1);
    assert!(client.handle_quick_ack(token));
    assert_eq!(quick_acks(&mut client), [first, third]);
    assert!(client.may_have_been_executed(first), "whatever becomes of the connection");
    assert_eq!(client.pending(), 3, "it is no answer");
    assert!(!client.handle_quick_ack(token), "one acknowledgement is one");
    assert_eq!(quick_acks(&mut client), []);
}

#[test]
fn nobody_who_does_not_ask_is_told() {
    let mut client = client();
    client.request(START, body(1), RequestOptions::default()).unwrap();
    let token = token(&mut client);
    assert!(!client.wants_quick_ack());
    assert!(!client.handle_quick_ack(token));
    client.request(START, body(2), QUICK).unwrap();
    self::token(&mut client);
    assert!(client.wants_quick_ack());
    client.request(START, body(3), RequestOptions::default()).unwrap();
    self::token(&mut client);
    assert!(!client.wants_quick_ack(), "it is about the frame before");
    assert_eq!(quick_acks(&mut client), []);
}

#[test]
fn a_token_without_its_top_bit_is_understood() {
    let mut client = client();
    let id = client.request(START, body(1), QUICK).unwrap();
    let token = token(&mut client);
    assert!(client.handle_quick_ack(token & !(1 << 31)));
    assert_eq!(quick_acks(&mut client), [id]);
}

#[test]
fn requests_that_are_over_and_connections_that_are_lost_are_not_acknowledged() {
    let mut client = client();
    let id = client.request(START, body(1), QUICK).unwrap();
    let first = token(&mut client);
    client.cancel(START, id);
    events(&mut client);
    assert!(client.handle_quick_ack(first));
    assert_eq!(quick_acks(&mut client), []);

    client.request(START, body(2), QUICK).unwrap();
    let second = token(&mut client);
    client.connection_lost(START);
    client.connection_opened(START);
    assert!(!client.handle_quick_ack(second));
}

#[test]
fn a_server_that_never_says_anything_costs_bounded_memory() {
    let mut client = client();
    client.request(START, body(0), QUICK).unwrap();
    let first = token(&mut client);
    let mut last = first;
    for number in 1..=1024 {
        client.request(START, body(number), QUICK).unwrap();
        last = token(&mut client);
    }
    assert_eq!(client.footprint().quick_acks, 1024);
    assert!(!client.handle_quick_ack(first), "the oldest is forgotten");
    assert!(client.handle_quick_ack(last));
    assert!(!server().handle_quick_ack(last), "servers are not acknowledged like this");
}
