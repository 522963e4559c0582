//! Tests of the session: both roles against each other over a simulated link ([`pair`]), or one against a hand-made peer ([`peer`]).

mod ahead;
mod bad_msg;
mod behind;
mod client_checks;
mod http;
mod lossy;
mod mutation;
mod pair;
mod peer;
mod pressure;
mod query;
mod quick_acks;
mod rare_checks;
mod reconnect;
mod recording;
mod recovery;
mod server_checks;
mod server_service;
mod service;
mod stories;
mod together;

/// Sessions are driven from tasks that move between threads.
#[test]
fn sessions_can_be_sent() {
    fn is_send<T: Send>() {}
    is_send::<super::Session>();
}
