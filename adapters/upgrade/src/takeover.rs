use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use actix_web::{HttpMessage as _, HttpRequest};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use tokio::net::tcp::OwnedWriteHalf;

type Start = Box<dyn FnOnce(OwnedWriteHalf) -> LocalBoxFuture<'static, ()>>;

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

    /// Takes the socket once status 101 has been answered, and for as long as the future runs. With any
    /// other answer nothing is started.
    pub fn take<F: Future<Output = ()> + 'static>(
        &self,
        start: impl FnOnce(OwnedWriteHalf) -> F + 'static,
    ) {
        *self.0.borrow_mut() = Some(Box::new(|socket| start(socket).boxed_local()));
    }

    pub(crate) fn taken(&self) -> Option<Start> {
        self.0.borrow_mut().take()
    }
}
