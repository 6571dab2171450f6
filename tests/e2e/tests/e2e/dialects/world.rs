//! One world: what is done in one dialect is told in all the others and in the native API, each in its words.

mod acts;

use connexus_e2e::{SioSocket, Socket, TestApp, User, connect_socketio, unique};
use serde_json::{Value, json};

use super::Person;

/// Somebody at the table: a native user, or one of a dialect.
enum Seat {
    Native(Box<User>, Box<Socket>),
    Dialect(Box<Person>, Box<SioSocket>),
}

/// What can be done to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Send,
    Type,
    Edit,
    React,
    Read,
    Delete,
}

const ACTIONS: [Action; 6] = [
    Action::Send,
    Action::Type,
    Action::Edit,
    Action::React,
    Action::Read,
    Action::Delete,
];

/// What a dialect calls what was done; nothing, where its vocabulary has no word for it.
fn word(dialect: &str, action: Action) -> Option<&'static str> {
    Some(match (dialect, action) {
        ("native", Action::Send) => "message.created",
        ("native" | "mern", Action::Type) => "typing",
        ("native", Action::Edit) => "message.edited",
        ("native", Action::React) => "reaction.updated",
        ("native", Action::Read) => "receipt.updated",
        ("native", Action::Delete) => "message.deleted",
        ("connexus" | "direct" | "secured", Action::Send) => "new_message",
        ("connexus", Action::Type) => "user_typing",
        ("connexus" | "direct", Action::Edit) => "message_edited",
        ("connexus", Action::React) => "reaction_updated",
        ("connexus" | "direct", Action::Read) => "message_read",
        ("connexus" | "direct", Action::Delete) => "message_deleted",
        ("rooms", Action::Send) => "new-message",
        ("rooms", Action::Type) => "user-typing",
        ("rooms", Action::Edit) => "message-edited",
        ("rooms", Action::React) => "message-reaction",
        ("rooms", Action::Read) => "message-read-receipt",
        ("rooms", Action::Delete) => "message-deleted",
        ("mern", Action::Send) => "message recieved",
        ("mern", Action::Read) => "message read",
        ("direct", Action::Type) => "typing_status",
        _ => return None,
    })
}

/// Whether reading is told to the author of what was read alone.
fn tells_the_author_alone(dialect: &str) -> bool {
    matches!(dialect, "rooms" | "direct")
}

impl Seat {
    async fn take(app: &TestApp, dialect: &'static str) -> Self {
        if dialect == "native" {
            let user = app.user("native").await;
            let socket = user.ws().await;
            return Self::Native(Box::new(user), Box::new(socket));
        }
        let person = Person::register(app, dialect, dialect).await;
        let mut socket = match dialect {
            "mern" | "secured" => person.silent_socket().await,
            _ => person.socket().await,
        };
        match dialect {
            "connexus" => {
                socket.expect("current_online_users").await;
            }
            "rooms" => {
                socket.expect("online-users").await;
            }
            "mern" => {
                let user = json!({"_id": person.id, "token": person.token});
                socket.emit("setup", user).await;
                socket.expect("connected").await;
            }
            "direct" => {
                socket.expect("authenticated").await;
            }
            _ => {
                socket
                    .emit("register_user", json!({"token": person.token}))
                    .await;
                socket.expect("registration_success").await;
            }
        }
        Self::Dialect(Box::new(person), Box::new(socket))
    }

    fn dialect(&self) -> &'static str {
        match self {
            Self::Native(..) => "native",
            Self::Dialect(person, _) => person.dialect,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Native(user, _) => &user.id,
            Self::Dialect(person, _) => &person.id,
        }
    }

    /// Tokens of a dialect are good for the native API, too.
    async fn join(&mut self, slug: &str, conversation: &str) {
        let path = format!("/v1/rooms/{slug}/join");
        match self {
            Self::Native(user, _) => user.post(&path, json!({})).await.expect(200),
            Self::Dialect(person, _) => person.post(&path, json!({})).await.expect(200),
        };
        if let Self::Dialect(person, socket) = self {
            match person.dialect {
                "rooms" => {
                    socket.emit("join-room", json!({"room": slug})).await;
                    socket.expect("joined-room").await;
                }
                // the acknowledgement says that it has been heard
                "mern" => {
                    socket.call("join chat", json!(conversation)).await;
                }
                _ => {}
            }
        }
    }

    /// Does it, in the own dialect; nothing when it has no word for it. Answers the message's id for a send.
    async fn act(&mut self, action: Action, place: &Place, what: &str) -> Option<String> {
        match self {
            Self::Native(_, socket) => Some(acts::native(socket, action, place, what).await),
            Self::Dialect(person, socket) => {
                acts::dialect(person, socket, action, place, what).await
            }
        }
    }

    /// Waits for an event of this name that mentions `what`.
    async fn hears(&mut self, name: &str, what: &str) {
        match self {
            Self::Native(_, socket) => {
                let mentions =
                    |event: &Value| event["event"] == name && event.to_string().contains(what);
                socket.events_until(mentions).await;
            }
            Self::Dialect(_, socket) => {
                socket
                    .until(|event| {
                        event.name == name && (what.is_empty() || mentions(&event.args, what))
                    })
                    .await;
            }
        }
    }
}

fn mentions(args: &[Value], what: &str) -> bool {
    args.iter().any(|arg| arg.to_string().contains(what))
}

/// Where it happens.
struct Place {
    conversation: String,
    slug: String,
    /// The other user of a direct conversation.
    peer: String,
}

#[tokio::test]
async fn everybody_sees_what_anybody_does() {
    let app = TestApp::with(&[("presence.grace_ms", "100")]).await;
    let mut seats = Vec::new();
    for dialect in ["native", "connexus", "rooms", "mern", "direct"] {
        seats.push(Seat::take(&app, dialect).await);
    }
    let slug = unique("table");
    let Seat::Native(host, _) = &seats[0] else {
        unreachable!("the first seat is a native one")
    };
    let made = host
        .post("/v1/conversations", json!({"kind": "room", "slug": slug}))
        .await
        .expect(201);
    let place = Place {
        conversation: made["id"].as_str().unwrap().to_owned(),
        slug: slug.clone(),
        peer: String::new(),
    };
    for seat in seats.iter_mut().skip(1) {
        seat.join(&slug, &place.conversation).await;
    }
    for actor in 0..seats.len() {
        let own = unique("says");
        let message = seats[actor].act(Action::Send, &place, &own).await.unwrap();
        let author = seats[actor].id().to_owned();
        all_hear(&mut seats, actor, Action::Send, &own).await;
        // somebody else's, to be read
        let other = (actor + 1) % seats.len();
        let others = unique("says");
        let read = seats[other]
            .act(Action::Send, &place, &others)
            .await
            .unwrap();
        all_hear(&mut seats, other, Action::Send, &others).await;
        let read_author = seats[other].dialect();
        for action in ACTIONS.into_iter().filter(|action| *action != Action::Send) {
            let target = if action == Action::Read {
                &read
            } else {
                &message
            };
            if seats[actor].act(action, &place, target).await.is_none() {
                continue;
            }
            for (observer, seat) in seats.iter_mut().enumerate() {
                let dialect = seat.dialect();
                let Some(name) = word(dialect, action).filter(|_| observer != actor) else {
                    continue;
                };
                if action == Action::Read
                    && tells_the_author_alone(dialect)
                    && dialect != read_author
                {
                    continue;
                }
                let what = match action {
                    Action::Edit => format!("edited {message}"),
                    // these clients are told no more than that somebody writes
                    Action::Type if dialect == "mern" => String::new(),
                    Action::Type | Action::Read => author.clone(),
                    _ => message.clone(),
                };
                seat.hears(name, &what).await;
            }
        }
    }
}

async fn all_hear(seats: &mut [Seat], actor: usize, action: Action, what: &str) {
    for (nth, seat) in seats.iter_mut().enumerate() {
        if let Some(name) = word(seat.dialect(), action).filter(|_| nth != actor) {
            seat.hears(name, what).await;
        }
    }
}

/// Two users and one direct conversation, for each pair of dialects that has such a thing.
#[tokio::test]
async fn a_direct_message_crosses_every_border() {
    let app = TestApp::shared().await;
    let dialects = ["native", "connexus", "mern", "direct", "secured"];
    for from in dialects {
        for to in dialects {
            let (mut one, mut other) = (Seat::take(&app, from).await, Seat::take(&app, to).await);
            let opener = json!({"kind": "direct", "user_id": other.id()});
            let opened = match &one {
                Seat::Native(user, _) => user.post("/v1/conversations", opener).await,
                Seat::Dialect(person, _) => person.post("/v1/conversations", opener).await,
            };
            let place = Place {
                conversation: opened.expect(201)["id"].as_str().unwrap().to_owned(),
                slug: String::new(),
                peer: other.id().to_owned(),
            };
            let text = unique("crosses");
            one.act(Action::Send, &place, &text).await.unwrap();
            let name = word(to, Action::Send).unwrap();
            other.hears(name, &text).await;
        }
    }
}

/// At the root, a login that several dialects have says nothing about which one it was; the socket's first
/// event does, and what was missed comes in its words.
#[tokio::test]
async fn the_first_event_decides_where_the_token_does_not() {
    let app = TestApp::shared().await;
    let rooms = Person::register(&app, "rooms", "undecided").await;
    let friend = Person::register(&app, "connexus", "friend").await;
    let login = json!({"email": rooms.email, "password": super::PASSWORD});
    let answer = app
        .anonymous()
        .post("/api/auth/login", login)
        .await
        .expect(200);
    let token = &answer["data"]["token"];
    let address = app.address();
    let connect = || connect_socketio(&address, "/socket.io/", json!({"token": token}));
    let slug = unique("undecided");
    let mut socket = connect().await.unwrap();
    socket.emit("join-room", json!({"room": slug})).await;
    let joined = socket.until(|event| event.name == "joined-room").await;
    let names: Vec<&str> = joined.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        ["online-users", "joined-room"],
        "one greeting, in its own words"
    );
    drop(socket);
    friend
        .post(&format!("/v1/rooms/{slug}/join"), json!({}))
        .await
        .expect(200);
    let room = friend.get("/v1/conversations").await.expect(200)["items"][0]["id"].clone();
    let path = format!("/v1/conversations/{}/messages", room.as_str().unwrap());
    friend
        .post(&path, json!({"body": "while you were away"}))
        .await
        .expect(201);
    let mut socket = connect().await.unwrap();
    socket.emit("join-room", json!({"room": slug})).await;
    assert_eq!(
        socket.expect("new-message").await["content"],
        "while you were away"
    );
    // a silent one is greeted in the first dialect
    let mut silent = connect().await.unwrap();
    silent.expect("current_online_users").await;
}
