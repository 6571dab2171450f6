use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use actix_web::{HttpMessage as _, HttpRequest};
use bytes::Bytes;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use tokio::net::tcp::OwnedWriteHalf;

type Start = Box<dyn FnOnce(Upgraded) -> LocalBoxFuture<'static, ()>>;

/// The writing half of an upgraded connection's socket, for a [`WriteQueue`](crate::WriteQueue).
pub struct Upgraded {
    pub(crate) socket: OwnedWriteHalf,
    /// The answer to the upgrade. It shares a write with what was queued before it.
    pub(crate) head: Bytes,
}

/// The chance to have the socket of an upgraded connection, in the extensions of the request that asks for
/// the upgrade.
#[derive(Clone, Default)]
pub struct Takeover(Rc<RefCell<Option<Start>>>);

impl Takeover {
    /// What this request offers: nothing when it asks for no upgrade to WebSocket, or came through another
    /// server than [`serve`](crate::serve)'s.
    pub fn offered(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Takes the socket if status 101 is answered, and for as long as the future runs. With any other answer
    /// nothing is started.
    pub fn take<F: Future<Output = ()> + 'static>(
        &self,
        start: impl FnOnce(Upgraded) -> F + 'static,
    ) {
        *self.0.borrow_mut() = Some(Box::new(|upgraded| start(upgraded).boxed_local()));
    }

    pub(crate) fn taken(&self) -> Option<Start> {
        self.0.borrow_mut().take()
    }
}
