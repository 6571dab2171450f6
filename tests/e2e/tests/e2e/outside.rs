//! The promises about what is stored, looked at past the server.

use connexus_e2e::{TestApp, User, unique};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::id;

const USERS: usize = 6;
const STEPS: usize = 40;

/// Numbers that look random (those of a linear congruential generator), from a seed that a failure names.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = usize::try_from(self.0 >> 33).unwrap();
        high % n
    }
}

/// One user's part: sends, repeats, edits, deletions and reactions, all of which may meet others'.
async fn act(user: &User, places: &[String], dice: &mut Dice) {
    let mut socket = user.ws().await;
    let mut mine: Vec<String> = Vec::new();
    for step in 0..STEPS {
        let place = &places[dice.below(places.len())];
        // some keys come again: in the same place they are the same message, with another text an error
        let client_id = format!("key-{}", dice.below(STEPS / 2));
        let body = format!("text {}", dice.below(3));
        match dice.below(8) {
            0..3 => {
                let path = format!("/v1/conversations/{place}/messages");
                let body = json!({"body": body, "client_id": client_id});
                let reply = user.post(&path, body).await;
                assert!(
                    matches!(reply.status, 200 | 201 | 409 | 422),
                    "{}",
                    reply.text
                );
                mine.extend(reply.body["id"].as_str().map(str::to_owned));
            }
            3..5 => {
                let call = json!({"conversation_id": place, "body": body, "client_id": client_id});
                let answer = socket.call("message.send", call).await;
                mine.extend(answer["data"]["id"].as_str().map(str::to_owned));
            }
            5 => {
                user.say(place, "without a key").await;
            }
            6 => {
                if let Some(message) = mine.get(dice.below(mine.len().max(1))) {
                    let path = format!("/v1/messages/{message}");
                    user.patch(&path, json!({"body": format!("edited {step}")}))
                        .await;
                }
            }
            _ => {
                if let Some(message) = mine.get(dice.below(mine.len().max(1))) {
                    user.delete(&format!("/v1/messages/{message}")).await;
                }
            }
        }
    }
}

async fn places(users: &[User]) -> Vec<String> {
    let mut places = vec![
        users[0].group(&users[1..]).await,
        users[1].group(&users[..1]).await,
    ];
    let slug = unique("room");
    let rooms = join_all(users.iter().map(async |user| {
        let make = json!({"kind": "room", "slug": slug, "name": "A room"});
        let request = user.request(Method::POST, "/v1/conversations").json(&make);
        let reply = user.send(request).await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        id(&reply.body)
    }))
    .await;
    assert!(rooms.iter().all(|room| *room == rooms[0]), "one for all");
    places.push(rooms[0].clone());
    // both at once: one conversation
    let (there, back) = tokio::join!(users[0].direct(&users[1]), users[1].direct(&users[0]));
    assert_eq!(there, back);
    places
}

#[tokio::test]
async fn what_is_stored_is_as_promised() {
    let app = TestApp::with(&[]).await;
    let users = app.crowd(USERS).await;
    let places = places(&users).await;
    join_all(users.iter().enumerate().map(async |(n, user)| {
        // the group and the room, in which all of them are
        let shared = [places[0].clone(), places[2].clone()];
        act(user, &shared, &mut Dice(n as u64)).await;
    }))
    .await;
    let stored = app.look_into_storage().await;
    stored.check();
    let mut expected = 0;
    for place in [&places[0], &places[2]] {
        let last_seq: &Value = &users[0].conversation(place).await["last_seq"];
        expected += usize::try_from(last_seq.as_u64().unwrap()).unwrap();
    }
    assert!(expected > USERS);
    assert_eq!(
        stored.messages(),
        expected,
        "what is told is what is stored"
    );
}
