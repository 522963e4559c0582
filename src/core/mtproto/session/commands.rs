//! What a driver asks of a session: requests of a client, answers and updates of a server.

use bytes::Bytes;

// `Event` and `Failure` are what the documentation speaks of.
use super::{
    ApiMisuse, FutureSalt, KeyDestruction, Query, RequestId, RequestOptions, Reserved, Role, Session,
    recording::{self, outcome},
    service,
};
#[cfg(doc)]
use super::{Event, Failure};
use crate::{
    clock::Now,
    ids::{MsgId, SessionId},
    trace::call::Call,
};

impl Session {
    /// Makes a request (client role). `body` is the serialized method, wrappers included.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`]: too many are pending, or the body is none. The request then never was.
    pub fn request(&mut self, now: Now, body: Bytes, options: RequestOptions) -> Result<RequestId, ApiMisuse> {
        self.request_after(now, body, options, &[])
    }

    /// As [`request`](Self::request), but the server does it only after `after` (`invokeAfterMsg`, `invokeAfterMsgs`), requests made
    /// before. It is an order, not a condition: when those have ended, however they ended, the request is free. If the server says that
    /// it has waited in vain (`MSG_WAIT_FAILED`, `MSG_WAIT_TIMEOUT`), the request is sent again once they have ended; the caller does not
    /// see that. Requests that have ended already are no obstacle.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request), and [`ApiMisuse::UnknownPredecessor`].
    pub fn request_after(
        &mut self,
        now: Now,
        body: Bytes,
        options: RequestOptions,
        after: &[RequestId],
    ) -> Result<RequestId, ApiMisuse> {
        self.request_query(now, body.into(), options, after)
    }

    /// As [`request_after`](Self::request_after), with a body that may be in two pieces. In a recording it is one.
    ///
    /// # Errors
    ///
    /// As [`request_after`](Self::request_after).
    pub fn request_query(
        &mut self,
        now: Now,
        body: Query,
        options: RequestOptions,
        after: &[RequestId],
    ) -> Result<RequestId, ApiMisuse> {
        let call = self.recorder.is_some().then(|| recording::request(&body, &options, after));
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => client.request(&mut session.core, now, body, options, after),
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(now, call, run, outcome::request)
    }

    /// Keeps a message identifier back (client role), for a request whose body has to contain the identifier of its own message, as
    /// `auth.bindTempAuthKey` does. Use it soon, with [`request_reserved`](Self::request_reserved).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the server role.
    pub fn reserve(&mut self, now: Now) -> Result<Reserved, ApiMisuse> {
        let call = self.recorder.is_some().then_some(Call::Reserve {});
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => Ok(client.reserve(&mut session.core, now)),
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(now, call, run, outcome::reserved)
    }

    /// Makes a request with the identifier kept back for it. It is never packed. Where another request would be sent again under another
    /// identifier (the salt was wrong, the clock was wrong), this one fails with [`Failure::IdentifierRefused`]: reserve another
    /// identifier, make the body again, and ask again; by then the session knows salt and time.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request), and [`ApiMisuse::StaleReservation`].
    pub fn request_reserved(
        &mut self,
        now: Now,
        reserved: &Reserved,
        body: Bytes,
        options: RequestOptions,
    ) -> Result<RequestId, ApiMisuse> {
        let call = self.recorder.is_some().then(|| recording::request_reserved(reserved, &body, &options));
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => client.request_reserved(&mut session.core, now, reserved, body.into(), options),
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(now, call, run, outcome::request)
    }

    /// Gives a request up (client role): it ends with [`Failure::Cancelled`], and the server is asked not to answer it
    /// (`rpc_drop_answer`). Returns whether it was still pending.
    pub fn cancel(&mut self, now: Now, id: RequestId) -> bool {
        let call = self.recorder.is_some().then_some(Call::Cancel { request: id.0 });
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => client.cancel(&mut session.core, now, id),
            Role::Server(_) => false,
        };
        self.recorded(now, call, run, outcome::answer)
    }

    /// Pings now, whatever the policy says (client role); not while a ping is under way. [`rtt`](Self::rtt) tells what came of it.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the server role.
    pub fn ping(&mut self) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then_some(Call::Ping {});
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => {
                client.ping_now(&mut session.core);
                Ok(())
            }
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }

    /// Asks the server to forget another session of this key (client role). Ends with [`Event::SessionDestroyed`].
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the server role.
    pub fn destroy_session(&mut self, session_id: SessionId) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then_some(Call::DestroySession { session_id });
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => {
                client.destroy_session(&mut session.core, session_id);
                Ok(())
            }
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }

    /// Asks the server to forget the key itself, with all its sessions (client role): the end of a login that is not to be used again.
    /// Ends with [`Event::AuthKeyDestroyed`]; if that got lost, the server knows the key no more on the next connection.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the server role.
    pub fn destroy_auth_key(&mut self) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then_some(Call::DestroyAuthKey {});
        let run = |session: &mut Self| match &mut session.role {
            Role::Client(client) => {
                client.destroy_auth_key(&mut session.core);
                Ok(())
            }
            Role::Server(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }

    /// Answers a request (server role) with a serialized result. With `compress` it is gzipped if that makes it shorter; not for file
    /// parts. The answer is kept until the client acknowledges it.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`]: no such request is waiting, or the result is none.
    pub fn respond(&mut self, now: Now, req: MsgId, result: Bytes, compress: bool) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then(|| Call::Respond { req, result: result.clone(), compress });
        let run = |session: &mut Self| match &mut session.role {
            Role::Server(server) => server.respond(&mut session.core, now, req, result, compress),
            Role::Client(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(now, call, run, outcome::obeyed)
    }

    /// Answers a request with an error (server role).
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn respond_error(&mut self, now: Now, req: MsgId, code: i32, message: &str) -> Result<(), ApiMisuse> {
        self.respond(now, req, service::rpc_error(code, message), false)
    }

    /// Sends something that no request asked for (server role): a serialized `Updates`. It is kept until the client acknowledges it, as
    /// [`Event::Acknowledged`] with the identifier returned.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Backlog`] when the client has not acknowledged for too long; [`ApiMisuse`] for a body that is none.
    pub fn push(&mut self, now: Now, body: Bytes) -> Result<MsgId, ApiMisuse> {
        let call = self.recorder.is_some().then(|| Call::Push { body: body.clone() });
        let run = |session: &mut Self| match &mut session.role {
            Role::Server(server) => server.push(&mut session.core, now, body),
            Role::Client(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(now, call, run, outcome::message)
    }

    /// Answers [`Event::DestroySession`] (server role).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the client role.
    pub fn session_destroyed(&mut self, session_id: SessionId, existed: bool) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then_some(Call::SessionDestroyed { session_id, existed });
        let run = |session: &mut Self| match &mut session.role {
            Role::Server(server) => {
                server.session_destroyed(&mut session.core, session_id, existed);
                Ok(())
            }
            Role::Client(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }

    /// Answers [`Event::DestroyAuthKey`] (server role). Write the answer before forgetting the key.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the client role.
    pub fn auth_key_destroyed(&mut self, msg_id: MsgId, destruction: KeyDestruction) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then(|| recording::auth_key_destroyed(msg_id, destruction));
        let run = |session: &mut Self| match &mut session.role {
            Role::Server(server) => {
                server.auth_key_destroyed(&mut session.core, msg_id, destruction);
                Ok(())
            }
            Role::Client(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }

    /// Replaces the salts (server role): those of the key have been extended.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::WrongRole`] in the client role.
    pub fn set_salts(&mut self, salts: Vec<FutureSalt>) -> Result<(), ApiMisuse> {
        let call = self.recorder.is_some().then(|| Call::SetSalts { salts: recording::spans(&salts) });
        let run = |session: &mut Self| match &mut session.role {
            Role::Server(server) => {
                server.set_salts(&mut session.core, salts);
                Ok(())
            }
            Role::Client(_) => Err(ApiMisuse::WrongRole),
        };
        self.recorded(self.core.now, call, run, outcome::obeyed)
    }
}
