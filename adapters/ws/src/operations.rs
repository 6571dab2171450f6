//! Client frames, each mapped onto one use-case.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use connexus_application::hub::Outlet as _;
use connexus_application::messages::{SendMessage, Sent};
use connexus_application::{Actor, Connexus};
use connexus_domain::ports::LimitClass;
use connexus_domain::{
    AttachmentId, AuthFailure, ConversationId, Error, MessageId, Result, Rev, Status,
};
use connexus_wire::shapes::{ConversationShape, MessageShape, ReceiptShape};
use connexus_wire::sync::SyncShape;
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::{answer, done, failure, success};
use crate::close::Close;
use crate::frame;
use crate::request::{
    InConversation, OfMessage, Op, ReadUpTo, Request, SetStatus, UpTo, WithBody, WithEmoji, fields,
    kind, parsed,
};
use crate::socket::Socket;

/// What a request comes to.
pub enum Step {
    /// It is answered.
    Answer(Vec<u8>),
    /// The answer comes later, as a frame.
    Later(LocalBoxFuture<'static, Bytes>),
    /// It has been answered already.
    Done,
    /// It is answered, and the socket ends.
    Close(Vec<u8>, Close),
}

/// Starts what a request asks for.
pub async fn start(socket: &mut Socket, request: Request<'_>) -> Step {
    let id = request.id;
    if request.op == Op::Auth {
        return auth(socket, &request).await;
    }
    let Some(actor) = socket.actor().cloned() else {
        let refused = failure(id, &Error::Unauthenticated(AuthFailure::Missing));
        return Step::Close(refused, Close::Unauthenticated);
    };
    if let Some(class) = request.op.limit_class()
        && let Err(error) = socket.check_rate(class, actor.user_id)
    {
        return Step::Answer(failure(id, &error));
    }
    match dispatch(socket, &request, actor).await {
        Ok(step) => step,
        Err(error) => Step::Answer(failure(id, &error)),
    }
}

async fn dispatch(socket: &mut Socket, request: &Request<'_>, actor: Actor) -> Result<Step> {
    let app = Arc::clone(&socket.gateway.app);
    let id = request.id;
    match request.op {
        Op::Send => send(&app, request, &actor).await,
        Op::Sync => sync(socket, &app, request, &actor).await,
        Op::TypingStart | Op::TypingStop => {
            let target: InConversation = fields(request.text)?;
            if request.op == Op::TypingStart {
                app.typing.start(&actor, target.conversation()?).await?;
            } else {
                app.typing.stop(&actor, target.conversation()?).await?;
            }
            Ok(Step::Answer(done(id)))
        }
        Op::Ping => Ok(Step::Answer(done(id))),
        Op::Auth => Err(Error::Unauthenticated(AuthFailure::Missing)),
        // what waits for the database runs beside what comes next
        _ => later(app, request, actor),
    }
}

async fn auth(socket: &mut Socket, request: &Request<'_>) -> Step {
    #[derive(Deserialize)]
    struct Fields {
        token: String,
    }
    #[derive(Serialize)]
    struct Data {
        user_id: Id,
        session_id: Id,
        connection_id: Option<Id>,
        server_time: Time,
        heartbeat_s: u64,
    }
    let id = request.id;
    if let Err(error) = socket.check_address(LimitClass::General) {
        return Step::Answer(failure(id, &error));
    }
    let token = match fields::<Fields>(request.text) {
        Ok(Fields { token }) => token,
        Err(error) => return Step::Answer(failure(id, &error)),
    };
    match socket.authenticate(&token).await {
        Ok(actor) => Step::Answer(success(
            id,
            &Data {
                user_id: actor.user_id.into(),
                session_id: actor.session_id.into(),
                connection_id: actor.connection_id.map(Id::from),
                server_time: Time(socket.gateway.app.now()),
                heartbeat_s: socket.gateway.settings.ping_interval.as_secs(),
            },
        )),
        Err(error @ Error::Unauthenticated(_)) => {
            Step::Close(failure(id, &error), Close::Unauthenticated)
        }
        Err(error) => Step::Answer(failure(id, &error)),
    }
}

/// Puts a message in line before the next frame is read, so that a socket's messages keep their order.
async fn send(app: &Arc<Connexus>, request: &Request<'_>, actor: &Actor) -> Result<Step> {
    #[derive(Deserialize)]
    struct Fields {
        conversation_id: String,
        #[serde(default)]
        body: Option<String>,
        #[serde(default)]
        kind: Option<String>,
        #[serde(default)]
        attachment_ids: Vec<String>,
        #[serde(default)]
        reply_to: Option<String>,
        #[serde(default)]
        thread_id: Option<String>,
        #[serde(default)]
        client_id: Option<String>,
    }
    let fields: Fields = fields(request.text)?;
    let conversation: ConversationId = parsed("conversation_id", &fields.conversation_id)?;
    let message = |field, text: Option<&String>| {
        text.map(|text| parsed::<MessageId>(field, text))
            .transpose()
    };
    let input = SendMessage {
        kind: fields.kind.as_deref().map(kind).transpose()?,
        attachment_ids: fields
            .attachment_ids
            .iter()
            .map(|text| parsed::<AttachmentId>("attachment_ids", text))
            .collect::<Result<_>>()?,
        reply_to: message("reply_to", fields.reply_to.as_ref())?,
        thread_id: message("thread_id", fields.thread_id.as_ref())?,
        body: fields.body,
        client_id: fields.client_id,
    };
    let ticket = app.messages.enqueue(actor, conversation, input).await?;
    let id = request.id.map(ToOwned::to_owned);
    Ok(Step::Later(Box::pin(async move {
        let stored = ticket.stored().await;
        frame::text(&answer(
            id.as_deref(),
            stored,
            |Sent { message, .. }, id| success(id, &MessageShape(message)),
        ))
    })))
}

async fn sync(
    socket: &mut Socket,
    app: &Arc<Connexus>,
    request: &Request<'_>,
    actor: &Actor,
) -> Result<Step> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        conversations: HashMap<String, Rev>,
        #[serde(default)]
        limit: Option<u32>,
    }
    let Fields {
        conversations,
        limit,
    } = fields(request.text)?;
    let known = conversations
        .iter()
        .map(|(id, rev)| Ok((parsed("conversations", id)?, *rev)))
        .collect::<Result<HashMap<ConversationId, Rev>>>()?;
    // events wait from before the read until after the answer: no gap, and nothing twice
    socket.catch_up();
    let result = app.sync.sync(actor, &known, limit).await;
    let step = match &result {
        Ok(told) => success(request.id, &SyncShape::of(told)),
        Err(error) => failure(request.id, error),
    };
    socket.outbox.push(frame::text(&step));
    // what was held may be as much as may wait at all, and comes behind it
    socket.outbox.flush();
    match result {
        Ok(told) if told.complete => socket.caught_up(told.conversations),
        Err(Error::Invalid(_)) => socket.caught_up(HashMap::new()),
        // the client asks again before it can go live, or what it has missed by then is never told
        Ok(_) | Err(_) => {}
    }
    Ok(Step::Done)
}

/// What is answered when the database has answered.
fn later(app: Arc<Connexus>, request: &Request<'_>, actor: Actor) -> Result<Step> {
    let id: Option<Rc<RawValue>> = request.id.map(|id| Rc::from(id.to_owned()));
    let work: LocalBoxFuture<'static, Vec<u8>> = match request.op {
        Op::Edit => {
            let fields: WithBody = fields(request.text)?;
            let message = fields.message()?;
            Box::pin(async move {
                let changed = app.messages.edit(&actor, message, &fields.body).await;
                answer(id.as_deref(), changed, |message, id| {
                    success(id, &MessageShape(message))
                })
            })
        }
        Op::Delete => {
            let message = fields::<OfMessage>(request.text)?.message()?;
            Box::pin(async move {
                let changed = app.messages.delete(&actor, message).await;
                answer(id.as_deref(), changed, |message, id| {
                    success(id, &MessageShape(message))
                })
            })
        }
        Op::React | Op::Unreact => {
            let fields: WithEmoji = fields(request.text)?;
            let (message, add) = (fields.message()?, request.op == Op::React);
            Box::pin(async move {
                let changed = if add {
                    app.messages.react(&actor, message, &fields.emoji).await
                } else {
                    app.messages.unreact(&actor, message, &fields.emoji).await
                };
                answer(id.as_deref(), changed, |message, id| {
                    success(id, &MessageShape(message))
                })
            })
        }
        Op::Read => {
            let fields: ReadUpTo = fields(request.text)?;
            let (conversation, up_to) = fields.checked()?;
            Box::pin(async move {
                let read = async {
                    let seq = match up_to {
                        UpTo::Seq(seq) => seq,
                        UpTo::Message(message) => {
                            app.messages.seq_of(&actor, conversation, message).await?
                        }
                    };
                    app.receipts.read(&actor, conversation, seq).await
                };
                answer(id.as_deref(), read.await, |receipt, id| {
                    success(id, &ReceiptShape::from(receipt))
                })
            })
        }
        Op::SetStatus => {
            let fields: SetStatus = fields(request.text)?;
            let status = Status::parse(&fields.status)
                .ok_or_else(|| Error::invalid("status", "must be online, away or busy"))?;
            Box::pin(async move {
                let set = app
                    .presence
                    .set_status(&actor, status, fields.status_text.as_deref())
                    .await;
                answer(id.as_deref(), set, |_, id| done(id))
            })
        }
        Op::Join => {
            #[derive(Deserialize)]
            struct Fields {
                slug: String,
            }
            let Fields { slug } = fields(request.text)?;
            Box::pin(async move {
                let joined = app.conversations.join_room(&actor, &slug).await;
                answer(id.as_deref(), joined, |opened, id| {
                    success(id, &ConversationShape::of(&opened.view))
                })
            })
        }
        _ => {
            let conversation = fields::<InConversation>(request.text)?.conversation()?;
            Box::pin(async move {
                let left = async {
                    let view = app.conversations.get(&actor, conversation).await?;
                    app.members
                        .remove(&actor, conversation, actor.user_id)
                        .await?;
                    Ok(view)
                };
                answer(id.as_deref(), left.await, |view, id| {
                    success(id, &ConversationShape::shared(&view.summary.conversation))
                })
            })
        }
    };
    Ok(Step::Later(Box::pin(
        async move { frame::text(&work.await) },
    )))
}
