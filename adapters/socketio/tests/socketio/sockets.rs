//! Socket.IO: namespaces, events, acknowledgements, rooms, the end.

use connexus_socketio::Packet;

use crate::harness::{quick, start};

#[tokio::test]
async fn namespaces_are_joined_refused_and_unknown() {
    let running = start(quick());
    let mut client = running.joined().await;
    client.send("40/custom").await;
    assert!(client.text().await.starts_with(r#"40/custom,{"sid":""#));
    client.send("40/random").await;
    assert_eq!(
        client.text().await,
        r#"44/random,{"message":"Invalid namespace"}"#
    );
    client.send("41/custom,").await;
    assert_eq!(
        running.noted(1).await,
        ["/custom client namespace disconnect"]
    );
    client.send(r#"40/custom,{"refuse":true}"#).await;
    let refused = client.text().await;
    assert!(refused.starts_with("44/custom,{"), "{refused}");
    assert!(
        refused.contains(r#""data":{"label":"main"}"#) && refused.contains(r#""message":"no""#)
    );
    // what is emitted early comes after the answer
    client.send(r#"40/custom,{"early":true}"#).await;
    assert!(client.text().await.starts_with("40/custom,{"));
    assert_eq!(client.text().await, r#"42/custom,["early"]"#);
}

#[tokio::test]
async fn events_and_binary_go_both_ways_over_both_transports() {
    let running = start(quick());
    let mut client = running.joined().await;
    client
        .send(r#"451-["echo",{"_placeholder":true,"num":0}]"#)
        .await;
    client.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(
        client.text().await,
        r#"451-["echo",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(client.binary().await, [1, 2, 3, 4]);

    let query = running.polling().await;
    running.post(&query, "40").await;
    running.get(&query).await;
    let body = "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
    assert_eq!(running.post(&query, body).await, (200, "ok".to_owned()));
    assert_eq!(running.get(&query).await.1, body);
}

#[tokio::test]
async fn acknowledgements_go_both_ways() {
    let running = start(quick());
    let mut client = running.joined().await;
    client.send(r#"42456["ack",1,"2"]"#).await;
    assert_eq!(client.text().await, r#"43456[1,"2"]"#);
    client
        .send(r#"451-7["ack",{"_placeholder":true,"num":0}]"#)
        .await;
    client.send_binary(b"x").await;
    assert_eq!(
        client.text().await,
        r#"461-7[{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(client.binary().await, b"x");
    client.send(r#"42["ask"]"#).await;
    assert_eq!(client.text().await, r#"420["question",1]"#);
    client.send("430[\"yes\"]").await;
    assert_eq!(
        client.text().await,
        r#"42["asked","Ok([String(\"yes\")])"]"#
    );
}

#[tokio::test]
async fn rooms_reach_sockets_of_all_threads() {
    let running = start(quick());
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(running.joined().await);
    }
    let query = running.polling().await;
    running.post(&query, "40").await;
    let connected = running.get(&query).await.1;
    let except = connected.split('"').nth(3).expect("an id").to_owned();
    let packet = Packet::event("/", "news", &(1,));
    running.server.emit_to("/", "all", &packet, Some(&except));
    running
        .server
        .emit_to("/", "all", &Packet::event("/", "more", &()), None);
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["news",1]"#);
        assert_eq!(client.text().await, r#"42["more"]"#);
    }
    assert_eq!(running.get(&query).await.1, r#"42["more"]"#);
}

#[tokio::test]
async fn the_server_leaves_a_namespace_or_ends_the_session() {
    let running = start(quick());
    let mut client = running.joined().await;
    client.send(r#"42["leave"]"#).await;
    assert_eq!(client.text().await, "41");
    assert_eq!(running.noted(1).await, ["/ server namespace disconnect"]);
    // what was under way is ignored, and the session goes on
    client.send(r#"42["echo"]"#).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    client.send(r#"42["close"]"#).await;
    assert_eq!(client.closed().await, Some(1000));
    assert_eq!(running.noted(2).await[1], "/ server close");
    running.emptied().await;
}

#[tokio::test]
async fn a_restart_ends_all_and_every_handler_is_told_once() {
    let running = start(quick());
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = running.joined().await;
        client.send("40/custom,").await;
        client.text().await;
        clients.push(client);
    }
    let query = running.polling().await;
    running.post(&query, "40").await;
    running.get(&query).await;
    assert_eq!(running.server.sessions(), 5);
    let (polled, ()) = tokio::join!(running.get(&query), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        running.server.close_all();
    });
    // a poll that comes too late finds no session
    assert!(
        polled == (200, "1".to_owned()) || polled.0 == 400,
        "{polled:?}"
    );
    for client in &mut clients {
        assert_eq!(client.closed().await, Some(1012));
    }
    running.emptied().await;
    assert_eq!(running.noted(9).await.len(), 9);
    assert_eq!(running.get("EIO=4&transport=polling").await.0, 503);
}

#[tokio::test]
async fn what_a_client_sent_before_it_left_is_handled() {
    let running = start(quick());
    let query = running.polling().await;
    running.post(&query, "40").await;
    running.get(&query).await;
    running.post(&query, "42[\"leave\"]\u{1e}1").await;
    let notes = running.noted(1).await;
    assert_eq!(notes, ["/ server namespace disconnect"]);
    running.emptied().await;
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_session_only() {
    let running = start(quick());
    let (mut one, mut other) = (running.joined().await, running.joined().await);
    one.send(r#"42["panic"]"#).await;
    assert_eq!(one.closed().await, Some(1011));
    assert_eq!(running.noted(1).await, ["/ failed"]);
    other.send(r#"42["echo"]"#).await;
    assert_eq!(other.text().await, r#"42["echo"]"#);
}
