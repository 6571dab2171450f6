//! The task of one session, on the thread that took its handshake: the service, and the heartbeat.

use std::rc::Rc;
use std::sync::Arc;

use super::connection::Connection;
use super::reason::CloseReason;
use super::session::Session;
use super::{Engine, Handshake};

/// Forgets the session however its task ends, even if that is dropped.
struct Registration {
    engine: Arc<Engine>,
    session: Arc<Session>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.session.close(CloseReason::Failed);
        self.engine.forget(&self.session.id);
    }
}

/// Starts the session's task.
pub fn start(engine: &Arc<Engine>, session: &Arc<Session>, handshake: Handshake) {
    let registration = Registration {
        engine: Arc::clone(engine),
        session: Arc::clone(session),
    };
    let service = Arc::clone(&engine.service);
    let handshake = Rc::new(handshake);
    actix_rt::spawn(async move {
        let session = Arc::clone(&registration.session);
        let serve = async {
            let connection = Connection::new(Arc::clone(&session));
            service.run(connection, handshake).await;
            session.close(CloseReason::Server);
        };
        tokio::join!(serve, keep_time(&session));
        drop(registration);
    });
}

/// Pings, and ends the session when there is no answer.
async fn keep_time(session: &Session) {
    loop {
        let changed = session.changed.notified();
        let mut changed = std::pin::pin!(changed);
        changed.as_mut().enable();
        let Some(due) = session.beat() else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = changed => {}
        }
    }
}
