//! Calls that the server is to do one after the other.

use std::future::Future;
use std::sync::{Arc, Mutex};

use crate::net::{Order, Place};
use crate::tl::RemoteCall;

use super::error::InvokeError;
use super::inner::{Inner, Route, lock};

/// Calls to the home DC that are done in the order in which they were made, although none waits for the answer to the one before: the
/// server is told (`invokeAfterMsg`). See [`Client::ordered`](super::Client::ordered).
///
/// It is an order, not a condition. A call that is refused does not keep the next one from being done; when the server then says that it
/// has waited in vain (`MSG_WAIT_FAILED`), the next one is sent again by itself. Nor does a call that is repeated, after a flood wait for
/// instance, hold back those behind it which are on their way already. Whoever wants to stop at the first failure awaits each call.
///
/// Clones share the order.
#[derive(Clone)]
pub struct Ordered {
    inner: Arc<Inner>,
    order: Arc<Mutex<Order>>,
}

impl Ordered {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, order: Arc::default() }
    }

    /// Calls a method behind all that were called before. The place is taken here and now, not when the future is first polled; one that
    /// is dropped gives it up. As with [`Client::invoke`](super::Client::invoke), nothing is sent before the future is polled, so poll them together.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub fn invoke<R: RemoteCall>(&self, request: &R) -> impl Future<Output = Result<R::Return, InvokeError>> {
        let place: Place = lock(&self.order).join();
        async move {
            let result = self.inner.typed(Route::Home, request, Some(&place)).await;
            place.end();
            result
        }
    }
}
