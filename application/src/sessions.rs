//! Looking sessions up for those who come with a token.
//!
//! After a restart thousands come at once, each with a session that no cache knows yet. While a few queries are
//! under way, whoever comes next waits for the one after, which asks for all of them at once.

use std::collections::HashMap;
use std::sync::Arc;

use connexus_domain::ports::Storage;
use connexus_domain::{Error, Result, Session, SessionId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// How many queries are under way at once.
const QUERIES: usize = 2;
/// How many sessions one query asks for at most.
const MAX: usize = 512;

type Answer = Result<Option<Session>>;

struct Question {
    id: SessionId,
    reply: oneshot::Sender<Answer>,
}

/// Asks the database for sessions, many at once.
pub(crate) struct SessionReader {
    questions: mpsc::UnboundedSender<Question>,
}

impl SessionReader {
    /// Its task ends once this is dropped.
    pub fn start(storage: Arc<dyn Storage>, tasks: &TaskTracker) -> Self {
        let (questions, waiting) = mpsc::unbounded_channel();
        tasks.spawn(serve(storage, waiting, tasks.clone()));
        Self { questions }
    }

    pub async fn get(&self, id: SessionId) -> Answer {
        let (reply, answer) = oneshot::channel();
        // when nobody takes it, the answer says so
        let _ = self.questions.send(Question { id, reply });
        answer
            .await
            .unwrap_or_else(|_| Err(Error::unavailable(Closed)))
    }
}

/// The server is going down.
#[derive(Debug, thiserror::Error)]
#[error("sessions are not looked up any more")]
struct Closed;

async fn serve(
    storage: Arc<dyn Storage>,
    mut waiting: mpsc::UnboundedReceiver<Question>,
    tasks: TaskTracker,
) {
    let turns = Arc::new(Semaphore::new(QUERIES));
    loop {
        // first the turn: whoever comes until there is one is asked for with the others
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        let mut questions = Vec::new();
        if waiting.recv_many(&mut questions, MAX).await == 0 {
            return;
        }
        let storage = Arc::clone(&storage);
        tasks.spawn(async move {
            answer(&*storage, questions).await;
            drop(turn);
        });
    }
}

async fn answer(storage: &dyn Storage, questions: Vec<Question>) {
    let ids: Vec<SessionId> = questions.iter().map(|question| question.id).collect();
    match storage.sessions().get_many(&ids).await {
        Ok(found) => {
            let found: HashMap<SessionId, Session> = found
                .into_iter()
                .map(|session| (session.id, session))
                .collect();
            for question in questions {
                // who has gone away wants no answer
                let _ = question.reply.send(Ok(found.get(&question.id).cloned()));
            }
        }
        Err(error) => {
            for question in questions {
                let _ = question.reply.send(Err(error.clone()));
            }
        }
    }
}
