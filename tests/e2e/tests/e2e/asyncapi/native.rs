//! Real frames of the native WebSocket.

use connexus_e2e::{Socket, TestApp, unique};
use serde_json::{Value, json};

use super::{Document, Names};

struct Checked {
    document: Document,
    asked: Names,
    told: Names,
}

impl Checked {
    /// Asks; request and answer must be as the document says. What was answered.
    async fn ask(&mut self, socket: &mut Socket, op: &str, fields: Value) -> Value {
        let mut request = json!({"id": "1", "op": op});
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        self.document.fits("native", "receive", op, &request);
        let answer = socket.call(op, fields).await;
        self.document.answers(op, &answer);
        self.asked.insert(op.to_owned());
        answer
    }

    async fn ok(&mut self, socket: &mut Socket, op: &str, fields: Value) -> Value {
        let answer = self.ask(socket, op, fields).await;
        assert_eq!(answer["ok"], true, "{op}: {answer}");
        answer["data"].clone()
    }

    /// Everything that a socket is told until `last`.
    async fn told(&mut self, socket: &mut Socket, last: &str) {
        let events = socket.events_until(|event| event["event"] == last).await;
        for event in events {
            let name = event["event"].as_str().unwrap();
            self.document.fits("native", "send", name, &event);
            self.told.insert(name.to_owned());
        }
    }
}

/// All requests and events, one after another.
#[tokio::test]
async fn native_frames_are_as_documented() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let document = Document::read();
    let (asked, told) = (Names::new(), Names::new());
    let mut checked = Checked {
        document,
        asked,
        told,
    };
    let mut bobs = bob.ws().await;
    let group = ann.group([&bob]).await;
    checked.told(&mut bobs, "conversation.created").await;

    let mut anns = app.stranger().await;
    let token = json!({"token": ann.access_token});
    checked.ok(&mut anns, "auth", token).await;
    checked.told(&mut bobs, "presence.updated").await;
    checked.ok(&mut anns, "ping", json!({})).await;
    let status = json!({"status": "busy", "status_text": "writing"});
    checked.ok(&mut anns, "status.set", status).await;
    checked.told(&mut bobs, "presence.updated").await;

    let here = json!({"conversation_id": group});
    checked.ok(&mut anns, "typing.start", here.clone()).await;
    checked.told(&mut bobs, "typing").await;
    checked.ok(&mut anns, "typing.stop", here.clone()).await;
    checked.told(&mut bobs, "typing").await;
    let text = json!({"conversation_id": group, "body": "one", "client_id": "c-1"});
    let message = checked.ok(&mut anns, "message.send", text).await;
    checked.told(&mut bobs, "message.created").await;
    let (id, seq) = (&message["id"], &message["seq"]);
    let reaction = json!({"message_id": id, "emoji": "👍"});
    checked
        .ok(&mut anns, "reaction.add", reaction.clone())
        .await;
    checked.told(&mut bobs, "reaction.updated").await;
    checked.ok(&mut anns, "reaction.remove", reaction).await;
    let edit = json!({"message_id": id, "body": "1"});
    checked.ok(&mut anns, "message.edit", edit).await;
    checked.told(&mut bobs, "message.edited").await;
    let read = json!({"conversation_id": group, "seq": seq});
    checked.ok(&mut bobs, "conversation.read", read).await;
    let up_to = json!({"conversation_id": group, "message_id": id});
    checked.ok(&mut bobs, "conversation.read", up_to).await;
    checked.told(&mut anns, "receipt.updated").await;
    let gone = json!({"message_id": id});
    checked.ok(&mut anns, "message.delete", gone).await;
    checked.told(&mut bobs, "message.deleted").await;

    let path = format!("/v1/conversations/{group}");
    let name = json!({"name": "another name"});
    ann.patch(&path, name).await.expect(200);
    checked.told(&mut bobs, "conversation.updated").await;
    let members = format!("{path}/members");
    let more = json!({"user_ids": [cleo.id]});
    ann.post(&members, more).await.expect(201);
    checked.told(&mut bobs, "member.joined").await;
    let member = format!("{members}/{}", cleo.id);
    let role = json!({"role": "admin"});
    ann.patch(&member, role).await.expect(200);
    checked.told(&mut bobs, "member.updated").await;
    let mut cleos = cleo.ws().await;
    checked.ok(&mut cleos, "conversation.leave", here).await;
    checked.told(&mut bobs, "member.left").await;

    let slug = unique("room");
    let room = json!({"kind": "room", "slug": slug, "name": "a room"});
    ann.post("/v1/conversations", room).await.expect(201);
    checked
        .ok(&mut cleos, "room.join", json!({"slug": slug}))
        .await;
    let direct = cleo.direct(&ann).await;
    cleo.say(&direct, "hello").await;
    let mut known = json!({"conversations": {}});
    known["conversations"][&group] = json!(1);
    checked.ok(&mut cleos, "sync", known).await;
    checked.ok(&mut cleos, "sync", json!({})).await;

    let refused = checked.ask(
        &mut cleos,
        "message.send",
        json!({"conversation_id": group}),
    );
    assert_eq!(refused.await["ok"], false);
    let missing = json!({"message_id": id, "body": ""});
    let refused = checked.ask(&mut anns, "message.edit", missing).await;
    assert!(refused["error"]["errors"].is_array(), "{refused}");

    ann.delete(&path).await.expect(204);
    checked.told(&mut bobs, "conversation.deleted").await;
    bob.post("/v1/auth/logout", json!({})).await.expect(204);
    checked.told(&mut bobs, "session.revoked").await;

    assert_eq!(checked.asked, checked.document.names("native", "receive"));
    let resume = json!({"event": "resume", "data": {}});
    checked.document.fits("native", "send", "resume", &resume);
    // none of these was too slow
    checked.told.insert("resume".to_owned());
    assert_eq!(checked.told, checked.document.names("native", "send"));
}
