//! What a socket may be sent, and the shape of what it answers.

use connexus_e2e::{TestApp, nobody};
use serde_json::{Value, json};

use crate::common::id;

const EVERY_OP: [&str; 13] = [
    "message.send",
    "message.edit",
    "message.delete",
    "reaction.add",
    "reaction.remove",
    "conversation.read",
    "typing.start",
    "typing.stop",
    "status.set",
    "room.join",
    "conversation.leave",
    "sync",
    "nonsense",
];

#[tokio::test]
async fn a_malformed_frame_is_answered_and_the_socket_stays() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let mut socket = ann.ws().await;
    for text in [
        "",
        " ",
        "nonsense",
        "{",
        "[]",
        "null",
        "42",
        "\"ping\"",
        "{}",
        r#"{"id":"1"}"#,
        r#"{"op":"ping""#,
        r#"{"id":"1","op":null}"#,
        r#"{"id":"1","op":{"$ne":null}}"#,
        r#"{"id":"1","op":"nonsense"}"#,
        r#"{"id":"1","op":"PING"}"#,
        r#"{"id":{"$gt":""},"op":"ping"}"#,
        "{\"id\":\"1\",\"op\":\"pi\\u0000ng\"}",
        r#"{"id":"1","op":"ping"}{"id":"2","op":"ping"}"#,
    ] {
        socket.send_text(text).await;
        let answer = socket.next_answer().await;
        let start: String = text.chars().take(60).collect();
        assert_eq!(answer.value["ok"], false, "{start} → {}", answer.raw);
        let error = &answer.value["error"];
        assert!(
            error["code"].is_string() && error["detail"].is_string(),
            "{start} → {}",
            answer.raw
        );
    }
    // what nobody looks into may be deep, what is looked into may not
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for op in ["ping", "message.send"] {
        let frame = format!(r#"{{"id":"1","op":"{op}","body":{deep}}}"#);
        socket.send_text(&frame).await;
        assert_eq!(socket.next_answer().await.value["ok"], op == "ping", "{op}");
    }
    assert_eq!(socket.call("ping", json!({})).await["ok"], true);
}

#[tokio::test]
async fn every_op_refuses_what_it_cannot_take() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let mut socket = ann.ws().await;
    let fields = [
        "conversation_id",
        "message_id",
        "emoji",
        "body",
        "slug",
        "status",
        "seq",
        "conversations",
        "kind",
    ];
    for op in EVERY_OP {
        // to sync nothing that is known is to get everything
        if op != "sync" {
            socket.refused(op, json!({})).await;
        }
        for value in [
            json!({"$ne": null}),
            json!(["x"]),
            json!("nul\u{0}"),
            json!(true),
            json!(-1.5),
            Value::Null,
        ] {
            let all: serde_json::Map<String, Value> = fields
                .iter()
                .map(|&field| (field.to_owned(), value.clone()))
                .collect();
            let error = socket.refused(op, Value::Object(all)).await;
            assert_ne!(error["code"], "internal", "{op}: {error}");
        }
        let unknown = json!({
            "conversation_id": nobody(), "message_id": nobody(), "emoji": "👍", "body": "x", "seq": 1,
            "slug": "no-such-room-anywhere", "status": "gone", "conversations": 7,
        });
        socket.refused(op, unknown).await;
    }
    assert_eq!(socket.call("ping", json!({})).await["ok"], true);
}

#[tokio::test]
async fn an_answer_carries_the_id_of_its_call() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let mut socket = ann.ws().await;
    let longest = "i".repeat(64);
    for id in ["7", "", "a\"b\\c", "é👍", &longest] {
        let frame = json!({"id": id, "op": "ping"});
        socket.send_text(&frame.to_string()).await;
        assert_eq!(socket.next_answer().await.value["id"], id);
    }
    // many at once: each is answered once
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(socket.start("ping", json!({})).await);
    }
    let mut answered = Vec::new();
    for _ in 0..100 {
        answered.push(
            socket.next_answer().await.value["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    answered.sort_by_key(|id| id.parse::<u64>().unwrap());
    assert_eq!(answered, ids);
}

#[tokio::test]
async fn a_cheap_client_tells_frames_apart_by_their_start() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    let call = json!({"op": "message.send", "id": "7", "conversation_id": direct, "body": "hi"});
    anns.send_text(&call.to_string()).await;
    let answer = anns.next_answer().await;
    let message = id(&answer.value["data"]);
    let start = format!(
        r#"{{"id":"7","ok":true,"data":{{"id":"{message}","conversation_id":"{direct}","seq":1,"rev":4,"#
    );
    assert!(answer.raw.starts_with(&start), "{}", answer.raw);

    let event = loop {
        let frame = bobs.next_event().await;
        if frame.value["event"] == "message.created" {
            break frame;
        }
    };
    let start = format!(
        r#"{{"event":"message.created","conversation_id":"{direct}","rev":4,"data":{{"id":"{message}","conversation_id":"{direct}","seq":1,"rev":4,"sender_id":"{}","kind":"text","body":"hi","#,
        ann.id
    );
    assert!(event.raw.starts_with(&start), "{}", event.raw);
    anns.send_text(r#"{"op":"nonsense","id":"8"}"#).await;
    let refusal = anns.next_answer().await;
    assert!(
        refusal
            .raw
            .starts_with(r#"{"id":"8","ok":false,"error":{"code":""#),
        "{}",
        refusal.raw
    );
    for frame in [answer, event, refusal] {
        assert_eq!(
            frame.raw.len(),
            frame.value.to_string().len(),
            "compact: {}",
            frame.raw
        );
    }
}

#[tokio::test]
async fn binary_frames_are_not_spoken_here() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let mut socket = ann.ws().await;
    socket.send_binary(br#"{"id":"1","op":"ping"}"#).await;
    assert_eq!(socket.closed_with().await, 1003);
}

#[tokio::test]
async fn a_frame_has_its_size() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    // the longest message there is fits, whatever its characters
    let mut socket = ann.ws().await;
    let sent = socket
        .ok(
            "message.send",
            json!({"conversation_id": direct, "body": "👍".repeat(8_000)}),
        )
        .await;
    assert_eq!(sent["seq"], 1);
    let huge = json!({"id": "1", "op": "ping", "padding": "x".repeat(1_500_000)}).to_string();
    socket.try_send_text(&huge).await;
    assert_eq!(socket.closed_with().await, 4413);
    ann.ws().await.ok("ping", json!({})).await;
}

#[tokio::test]
async fn who_sends_too_many_frames_is_stopped() {
    let app = TestApp::with(&[("CONNEXUS__WS__FRAMES_PER_SECOND", "20")]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    for n in 0..20_000 {
        if !anns
            .try_send_text(&format!(r#"{{"id":"{n}","op":"ping"}}"#))
            .await
        {
            break;
        }
    }
    assert_eq!(anns.closed_with().await, 4429);
    bobs.ok("ping", json!({})).await;
}
