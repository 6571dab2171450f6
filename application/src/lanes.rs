//! The write coalescer.
//!
//! Conversations are hashed over a few lanes. A lane writes one batch at a time; while it does, the next
//! batch gathers. There is no timer: under low load a batch is one message that waited for nobody, under
//! high load thousands share one commit. A lane that finds work only lets threads go first that the
//! system would run anyway.
//!
//! Every other change of a conversation runs in its lane, too, one after the other, and what happened is
//! told before the lane goes on. So in one process events of a conversation are told in the order of
//! their revs.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use connexus_domain::message::AppendOutcome;
use connexus_domain::{ConversationId, Error, Event, Message, NewMessage, Result};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::doubts;
use crate::hub::{Audience, Delivery, Exclusion};
use crate::settings::CoalescerSettings;

/// A message that was stored, now or before.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The message as it is now.
    pub message: Message,
    /// Whether it had been stored by an earlier request with the same `client_id`.
    pub duplicate: bool,
}

/// A message in line; answers when it is durable, never before.
pub struct Ticket(oneshot::Receiver<Result<Sent>>);

impl Ticket {
    /// Waits until the message is stored.
    pub async fn stored(self) -> Result<Sent> {
        self.0.await.unwrap_or_else(|_| Err(closed()))
    }
}

struct Send {
    new: NewMessage,
    origin: Option<Exclusion>,
    reply: oneshot::Sender<Result<Sent>>,
}

type Work = Pin<Box<dyn Future<Output = ()> + std::marker::Send>>;

enum Job {
    Send(Box<Send>),
    Change(ConversationId, Work),
}

pub(crate) struct Lanes {
    /// Emptied at shutdown, which lets the lanes finish and end.
    senders: Mutex<Vec<mpsc::Sender<Job>>>,
}

#[derive(Debug, thiserror::Error)]
enum LaneError {
    #[error("too many writes are waiting")]
    Full,
    #[error("the server is shutting down")]
    Closed,
    #[error("the database answered for another number of messages than were given")]
    CountMismatch,
}

impl Lanes {
    pub fn start(
        context: &Weak<Context>,
        settings: &CoalescerSettings,
        tasks: &TaskTracker,
    ) -> Self {
        let senders = (0..settings.lanes.max(1))
            .map(|lane| {
                let (sender, receiver) = mpsc::channel(settings.queue.max(1));
                tasks.spawn(run(
                    lane,
                    receiver,
                    context.clone(),
                    settings.max_batch.max(1),
                ));
                sender
            })
            .collect();
        Self {
            senders: Mutex::new(senders),
        }
    }

    /// Takes no more work; what is queued is finished.
    pub fn close(&self) {
        self.senders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Puts a message in line to be stored, together with whatever else is waiting, and told to its
    /// conversation. Messages put in line one after the other keep that order.
    pub fn send(&self, new: NewMessage, origin: Option<Exclusion>) -> Result<Ticket> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(
            new.conversation_id,
            Job::Send(Box::new(Send { new, origin, reply })),
        )?;
        Ok(Ticket(answer))
    }

    /// Runs `work`, which changes a conversation and tells it, alone among all that change it. The work
    /// goes on even when nobody waits for it any more.
    pub async fn in_order<T: std::marker::Send + 'static>(
        &self,
        id: ConversationId,
        work: impl Future<Output = Result<T>> + std::marker::Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work = Box::pin(async move {
            // nobody may be waiting any more, which is no reason not to do it
            drop(reply.send(work.await));
        });
        self.enqueue(id, Job::Change(id, work))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn enqueue(&self, id: ConversationId, job: Job) -> Result<()> {
        let sender = {
            let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            if senders.is_empty() {
                return Err(closed());
            }
            // the last bytes of a UUIDv7 are random
            let bytes = id.as_uuid().into_bytes();
            senders[usize::from(bytes[15]) % senders.len()].clone()
        };
        sender.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::unavailable(LaneError::Full),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }
}

fn closed() -> Error {
    Error::Unavailable {
        retry_after: Duration::from_secs(5),
        source: Arc::new(LaneError::Closed),
    }
}

async fn run(lane: usize, mut jobs: mpsc::Receiver<Job>, context: Weak<Context>, max_batch: usize) {
    let depth = metrics::gauge!("connexus_coalescer_queue_depth", "lane" => lane.to_string());
    let mut taken = Vec::with_capacity(max_batch);
    while jobs.recv_many(&mut taken, max_batch).await > 0 {
        // a thread that this one has pushed aside, by being woken for the first message, may be reading more of them
        std::thread::yield_now();
        let room = max_batch.saturating_sub(taken.len());
        taken.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(room));
        depth.set(u32::try_from(jobs.len()).unwrap_or(u32::MAX));
        let Some(context) = context.upgrade() else {
            return;
        };
        let mut sends = Vec::with_capacity(taken.len());
        let mut changes: HashMap<ConversationId, Vec<Work>> = HashMap::new();
        for job in taken.drain(..) {
            match job {
                Job::Send(send) => sends.push(*send),
                Job::Change(id, work) => changes.entry(id).or_default().push(work),
            }
        }
        if !sends.is_empty() {
            write(&context, sends).await;
        }
        // different conversations' changes need not wait for each other
        join_all(changes.into_values().map(|works| async {
            for work in works {
                work.await;
            }
        }))
        .await;
    }
}

async fn write(context: &Arc<Context>, sends: Vec<Send>) {
    let mut batch = Vec::with_capacity(sends.len());
    let mut waiting = Vec::with_capacity(sends.len());
    for send in sends {
        batch.push(send.new);
        waiting.push((send.origin, send.reply));
    }
    metrics::histogram!("connexus_coalescer_batch_size")
        .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
    let outcomes = append(context, &batch).await;
    let mut told = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    // a database that does not answer is not asked again for each message
    let mut may_settle = true;
    for ((new, outcome), (origin, reply)) in batch.into_iter().zip(outcomes).zip(waiting) {
        if outcome.is_ok() && may_settle {
            may_settle = doubts::settle(context, new.conversation_id, &mut told).await;
        }
        let answer = match outcome {
            Ok(AppendOutcome::Appended(numbers)) => {
                let message = new.into_message(numbers);
                context.recent.note(&message);
                let event = Event::MessageCreated(message.clone());
                tell(context, event, origin, &mut told).await;
                Ok(Sent {
                    message,
                    duplicate: false,
                })
            }
            Ok(AppendOutcome::Duplicate(message)) => Ok(Sent {
                message: *message,
                duplicate: true,
            }),
            Err(error) => {
                match error {
                    // what the cache said was out of date
                    Error::Forbidden(_) => context.forget_conversation(new.conversation_id).await,
                    // the answer to the commit may be what was lost
                    Error::Unavailable { .. } => context.doubts.note(new.conversation_id, new.id),
                    _ => {}
                }
                Err(error)
            }
        };
        answers.push((reply, answer));
    }
    context.publish_all(told).await;
    for (reply, answer) in answers {
        // a client that has gone still has sent its message
        drop(reply.send(answer));
    }
}

/// One outcome for each message, whatever happens. A batch that fails for a fault of ours is tried again
/// one by one, so that the one that is at fault fails alone.
async fn append(context: &Context, batch: &[NewMessage]) -> Vec<Result<AppendOutcome>> {
    match append_checked(context, batch).await {
        Ok(outcomes) => outcomes,
        Err(Error::Internal { source }) if batch.len() > 1 => {
            tracing::error!(error = %source, messages = batch.len(), "a batch failed; trying its messages one by one");
            let mut outcomes = Vec::with_capacity(batch.len());
            for new in batch {
                let one = append_checked(context, std::slice::from_ref(new)).await;
                outcomes.push(one.and_then(|mut outcomes| {
                    outcomes.pop().unwrap_or_else(|| Err(count_mismatch()))
                }));
            }
            outcomes
        }
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    }
}

async fn append_checked(
    context: &Context,
    batch: &[NewMessage],
) -> Result<Vec<Result<AppendOutcome>>> {
    let outcomes = context.storage.messages().append(batch).await?;
    if outcomes.len() == batch.len() {
        Ok(outcomes)
    } else {
        Err(count_mismatch())
    }
}

fn count_mismatch() -> Error {
    Error::internal(LaneError::CountMismatch)
}

/// Puts an event in line for all members of its conversation, but not for the connection that gets an answer instead.
pub(crate) async fn tell(
    context: &Context,
    event: Event,
    except: Option<Exclusion>,
    told: &mut Vec<Delivery>,
) {
    let Some(id) = event.conversation_id() else {
        return;
    };
    match context.rosters.get(id).await {
        Ok(roster) => {
            if let Event::MessageCreated(message) = &event {
                told.extend(context.typists.sent(message, &roster));
            }
            let audience = Audience::Many(Arc::clone(&roster.members));
            told.push(Delivery::new(event, audience).except(except));
        }
        // it is stored; who is connected learns of it at the next sync
        Err(error) => context.heed(Err(error)),
    }
}
