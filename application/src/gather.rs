//! Look-ups of one thing each, asked together.
//!
//! After a restart thousands of clients come at once, each with a session and a user that no cache knows yet.
//! While a few queries are under way, whoever comes next waits for the one after, which asks for all of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use connexus_domain::{Error, Result};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How many queries are under way at once.
const QUERIES: usize = 2;
/// How much one query asks for at most.
const MAX: usize = 512;

type Query<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<HashMap<K, V>>> + Send + Sync;

struct Question<K, V> {
    key: K,
    reply: oneshot::Sender<Result<Option<V>>>,
}

/// Asks the database for what belongs to a key, for many keys at once.
pub(crate) struct Gather<K, V> {
    questions: mpsc::UnboundedSender<Question<K, V>>,
}

impl<K, V> Gather<K, V>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// `query` answers for those of the keys for which there is something. The task ends once this is dropped.
    pub fn start<F, Q>(query: F) -> Self
    where
        F: Fn(Vec<K>) -> Q + Send + Sync + 'static,
        Q: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        let (questions, waiting) = mpsc::unbounded_channel();
        let query = Arc::new(move |keys| Box::pin(query(keys)) as BoxFuture<'static, _>);
        // it only reads: whatever it is at may be broken off when the server ends
        tokio::spawn(serve(query, waiting));
        Self { questions }
    }

    pub async fn get(&self, key: K) -> Result<Option<V>> {
        let (reply, answer) = oneshot::channel();
        // when nobody takes it, the answer says so
        let _ = self.questions.send(Question { key, reply });
        answer
            .await
            .unwrap_or_else(|_| Err(Error::unavailable(Closed)))
    }
}

/// The server is going down.
#[derive(Debug, thiserror::Error)]
#[error("nothing is looked up any more")]
struct Closed;

async fn serve<K, V>(query: Arc<Query<K, V>>, mut waiting: mpsc::UnboundedReceiver<Question<K, V>>)
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
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
        let query = Arc::clone(&query);
        tokio::spawn(async move {
            let mut keys: Vec<K> = Vec::with_capacity(questions.len());
            keys.extend(questions.iter().map(|question| question.key));
            let found = query(keys).await;
            drop(turn);
            for Question { key, reply } in questions {
                let answer = found.as_ref().map(|found| found.get(&key).cloned());
                // who has gone away wants no answer
                let _ = reply.send(answer.map_err(Error::clone));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    /// Answers odd keys with their double, and notes how many were asked for at once.
    fn doubling(asked: &Arc<Mutex<Vec<usize>>>) -> Gather<u32, u32> {
        let asked = Arc::clone(asked);
        Gather::start(move |keys: Vec<u32>| {
            asked.lock().expect("nobody panics").push(keys.len());
            async move {
                tokio::task::yield_now().await;
                let odd = keys.into_iter().filter(|key| key % 2 == 1);
                Ok(odd.map(|key| (key, 2 * key)).collect())
            }
        })
    }

    #[tokio::test]
    async fn each_gets_what_it_asked_for() {
        let asked = Arc::default();
        let gather = doubling(&asked);
        let keys = || (0..100).chain(50..60);
        let answers = join_all(keys().map(|key| gather.get(key))).await;
        for (key, answer) in keys().zip(answers) {
            let expected = (key % 2 == 1).then_some(2 * key);
            assert_eq!(answer.expect("it is there"), expected);
        }
        let asked = asked.lock().expect("nobody panics");
        assert_eq!(asked.iter().sum::<usize>(), 110);
        assert!(asked.len() < 10, "{asked:?}");
    }

    #[tokio::test]
    async fn an_error_is_everybodys() {
        let gather: Gather<u32, u32> = Gather::start(|_| async { Err(Error::IdempotencyMismatch) });
        let answers = join_all([gather.get(1), gather.get(2)]).await;
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
    }
}
