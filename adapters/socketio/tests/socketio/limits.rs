//! What a client must not do, and what a slow one loses.

use std::time::Duration;

use connexus_socketio::{QueueLimits, Settings};

use crate::harness::{quick, start};

#[tokio::test]
async fn malformed_packets_end_the_session() {
    let running = start(quick());
    for bad in [
        "abc",
        "4abc",
        "42{}",
        r#"42abc["a"]"#,
        "0",
        "2probe",
        "40[]",
        r#"42/no,["a"]"#,
        "40",
    ] {
        let mut client = running.joined().await;
        client.send(bad).await;
        assert_eq!(client.closed().await, Some(1002), "{bad}");
    }
    for bad in ["abc", "4abc", "b*", "", "4\u{1e}", "42[\"before CONNECT\"]"] {
        let query = running.polling().await;
        running.post(&query, bad).await;
        for _ in 0..100 {
            if running.server.sessions() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(running.get(&query).await.0, 400, "{bad}");
    }
    running.emptied().await;
}

#[tokio::test]
async fn what_is_too_big_ends_the_session() {
    let settings = Settings {
        max_payload: 1000,
        ..quick()
    };
    let running = start(settings);
    let query = running.polling().await;
    assert_eq!(running.post(&query, "4".repeat(1001)).await.0, 413);
    assert_eq!(running.get(&query).await.0, 400);
    let mut client = running.joined().await;
    client
        .send(&format!("42[\"echo\",\"{}\"]", "x".repeat(2000)))
        .await;
    assert_eq!(client.closed().await, Some(1009));
    let mut client = running.joined().await;
    client.send("4511-[\"echo\"]").await;
    assert_eq!(client.closed().await, Some(1002));
    running.emptied().await;
}

#[tokio::test]
async fn sessions_and_namespaces_are_counted_and_must_be_joined_in_time() {
    let settings = Settings {
        max_sessions: 2,
        max_namespaces: 1,
        connect_timeout: Duration::from_millis(300),
        ..quick()
    };
    let running = start(settings);
    let mut client = running.joined().await;
    client.send("40/custom,").await;
    assert_eq!(
        client.text().await,
        r#"44/custom,{"message":"Too many namespaces"}"#
    );
    let mut silent = running.websocket("EIO=4&transport=websocket").await;
    assert_eq!(running.get("EIO=4&transport=polling").await.0, 503);
    assert_eq!(silent.closed().await, Some(1008));
    for _ in 0..33 {
        client.send("40/x").await;
    }
    assert_eq!(client.closed().await, Some(1002));
}

#[tokio::test]
async fn one_address_does_not_take_all_sessions() {
    let settings = Settings {
        max_unjoined: 3,
        ..quick()
    };
    let running = start(settings);
    let handshake = async |transport: &str, address: &str| {
        let request = running.http.get(running.url(transport));
        let request = request.header("x-forwarded-for", address);
        request.send().await.expect("an answer")
    };
    let (polling, websocket) = ("EIO=4&transport=polling", "EIO=4&transport=websocket");
    // who has joined does not count
    let mut joined = Vec::new();
    for _ in 0..5 {
        joined.push(running.joined().await);
    }
    let queries = [
        running.polling().await,
        running.polling().await,
        running.polling().await,
    ];
    // a handshake that fails takes no place
    for transport in [polling, websocket] {
        let refused = handshake(transport, "127.0.0.1").await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "5");
        let body: serde_json::Value = refused.json().await.expect("JSON");
        assert_eq!(body["code"], 3);
        assert_eq!(handshake(websocket, "192.0.2.1").await.status(), 400);
    }
    for _ in 0..3 {
        assert_eq!(handshake(polling, "192.0.2.1").await.status(), 200);
    }
    assert_eq!(handshake(polling, "192.0.2.1").await.status(), 429);
    // there is room when one has joined, and when one has left
    running.post(&queries[0], "40").await;
    assert!(running.get(&queries[0]).await.1.starts_with("40{"));
    let _fourth = running.polling().await;
    assert_eq!(running.get(polling).await.0, 429);
    running.post(&queries[1], "1").await;
    let again = async { while running.get(polling).await.0 == 429 {} };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .expect("room again");
    // a CONNECT that is refused is none
    running.post(&queries[2], r#"40{"refuse":true}"#).await;
    assert!(running.get(&queries[2]).await.1.starts_with("44{"));
    assert_eq!(running.get(polling).await.0, 429);
}

#[tokio::test]
async fn however_many_are_allowed_one_address_has_half_of_the_sessions() {
    let settings = Settings {
        max_sessions: 4,
        ..quick()
    };
    let running = start(settings);
    let polling = "EIO=4&transport=polling";
    running.polling().await;
    running.polling().await;
    assert_eq!(running.get(polling).await.0, 429);
}

#[tokio::test]
async fn a_guest_counts_until_it_is_known() {
    let settings = Settings {
        max_unjoined: 1,
        ..quick()
    };
    let running = start(settings);
    let polling = "EIO=4&transport=polling";
    let query = running.polling().await;
    running.post(&query, r#"40{"guest":true}"#).await;
    assert!(running.get(&query).await.1.starts_with("40{"));
    assert_eq!(
        running.get(polling).await.0,
        429,
        "nobody knows who that is"
    );
    running.post(&query, r#"42["settle"]"#).await;
    let room = async { while running.get(polling).await.0 == 429 {} };
    tokio::time::timeout(Duration::from_secs(20), room)
        .await
        .expect("it is known");
}

fn short_queue() -> Settings {
    Settings {
        queue: QueueLimits {
            packets: 16,
            bytes: 100_000,
        },
        ..quick()
    }
}

#[tokio::test]
async fn a_slow_reader_is_ended() {
    let running = start(short_queue());
    let mut client = running.joined().await;
    client.send(r#"42["flood"]"#).await;
    assert_eq!(client.closed().await, Some(1013));
    assert_eq!(running.noted(1).await, ["/ slow reader"]);
    let query = running.polling().await;
    running.post(&query, "40\u{1e}42[\"flood\"]").await;
    running.emptied().await;
    assert_eq!(running.get(&query).await.0, 400);
}

#[tokio::test]
async fn what_follows_a_packet_bigger_than_the_queue_does_not_end_the_session() {
    let running = start(short_queue());
    let query = running.polling().await;
    running.post(&query, "40").await;
    running.get(&query).await;
    running.post(&query, "42[\"big\"]").await;
    loop {
        let (status, body) = running.get(&query).await;
        assert_eq!(status, 200, "{body}");
        if body.contains("[\"small\",4]") {
            break;
        }
    }
    // what comes then has the usual room
    running.post(&query, "42[\"flood\"]").await;
    assert_eq!(running.noted(1).await, ["/ slow reader"]);
}

#[tokio::test]
async fn what_matters_less_is_dropped_first() {
    let running = start(short_queue());
    let query = running.polling().await;
    running.post(&query, "40").await;
    running.get(&query).await;
    running.post(&query, "42[\"offers\"]").await;
    assert_eq!(running.noted(2).await, ["[8, 4, 4]", "/ slow reader"]);
}

#[tokio::test]
async fn origins_are_checked() {
    let settings = Settings {
        origins: vec!["https://good.example".to_owned()],
        cors: true,
        ..quick()
    };
    let running = start(settings);
    for (origin, allowed) in [
        ("https://good.example", true),
        ("https://bad.example", false),
    ] {
        let request = running.http.get(running.url("EIO=4&transport=polling"));
        let answer = request
            .header("origin", origin)
            .send()
            .await
            .expect("an answer");
        let header = answer.headers().get("access-control-allow-origin");
        assert_eq!(header.is_some(), allowed);
        let request = running.http.get(running.url("EIO=4&transport=websocket"));
        let answer = request
            .header("origin", origin)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status() == 403, !allowed);
    }
}

#[tokio::test]
async fn random_bytes_never_hang_a_session() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let running = start(quick());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let bodies = proptest::collection::vec(proptest::num::u8::ANY, 0..60);
    for _ in 0..300 {
        let mut body = bodies.new_tree(&mut runner).expect("a body").current();
        body.splice(..0, *b"40\x1e4");
        let query = running.polling().await;
        let (status, _) = running.post(&query, body).await;
        assert!(status == 200 || status == 400, "{status}");
        let polled = tokio::time::timeout(Duration::from_secs(10), running.get(&query));
        let (status, _) = polled.await.expect("an answer");
        assert!(status == 200 || status == 400, "{status}");
    }
    running.server.close_all();
    running.emptied().await;
}
