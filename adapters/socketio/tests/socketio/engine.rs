//! Engine.IO: transports, heartbeat, upgrade.

use std::time::Duration;

use connexus_socketio::Settings;
use serde_json::Value;

use crate::harness::{quick, start};

fn beating() -> Settings {
    Settings {
        ping_interval: Duration::from_millis(400),
        ping_timeout: Duration::from_millis(300),
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_open_packet_has_its_five_keys() {
    let running = start(quick());
    let (status, body) = running.get("EIO=4&transport=polling").await;
    let open: Value = serde_json::from_str(&body[1..]).expect("JSON");
    assert_eq!((status, &body[..1]), (200, "0"));
    let keys: Vec<_> = open
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "maxPayload",
            "pingInterval",
            "pingTimeout",
            "sid",
            "upgrades"
        ]
    );
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    let mut socket = running.websocket("EIO=4&transport=websocket").await;
    let open: Value = serde_json::from_str(&socket.text().await[1..]).expect("JSON");
    assert_eq!(open["upgrades"], serde_json::json!([]));
}

#[tokio::test]
async fn invalid_requests_are_answered_with_the_protocols_numbers() {
    let running = start(quick());
    for (query, code) in [
        ("EIO=4", 0),
        ("EIO=4&transport=carrier", 0),
        ("EIO=4&transport=polling&sid=nobody", 1),
        ("EIO=3&transport=polling", 5),
        ("transport=polling", 5),
        ("EIO=4&transport=websocket", 3),
        ("EIO=4&transport=polling&j=0", 3),
    ] {
        let (status, body) = running.get(query).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (status, &body["code"]),
            (400, &Value::from(code)),
            "{query}"
        );
    }
    let (status, body) = running.post("EIO=4&transport=polling", "").await;
    assert_eq!((status, body.contains("\"code\":2")), (400, true));
    let put = running
        .http
        .put(running.url("EIO=4&transport=polling"))
        .send()
        .await;
    assert_eq!(put.expect("an answer").status(), 400);
}

#[tokio::test]
async fn the_first_ping_comes_after_the_interval_and_must_be_answered() {
    let running = start(beating());
    let begun = std::time::Instant::now();
    let mut socket = running.websocket("EIO=4&transport=websocket").await;
    socket.text().await;
    for _ in 0..2 {
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(750),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(socket.text().await, "2");
    assert_eq!(socket.closed().await, Some(1001));
    // nobody polls, nobody answers
    let query = running.polling().await;
    running.emptied().await;
    assert_eq!(running.get(&query).await.0, 400);
}

#[tokio::test]
async fn an_upgrade_ends_polls_with_noop_and_keeps_what_was_queued() {
    let running = start(quick());
    let query = running.polling().await;
    let upgrade = query.replace("polling", "websocket");
    let mut socket = running.websocket(&upgrade).await;
    let waiting = running.get(&query);
    let probe = async {
        socket.send("2probe").await;
        socket.text().await
    };
    let (polled, probed) = tokio::join!(waiting, probe);
    assert_eq!((polled, probed.as_str()), ((200, "6".to_owned()), "3probe"));
    // what is queued now stays for the WebSocket
    assert_eq!(running.post(&query, "40").await.0, 200);
    assert_eq!(running.get(&query).await.1, "6");
    socket.send("5").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(running.get(&query).await.0, 400);
    let mut second = running.websocket(&upgrade).await;
    assert_eq!(second.closed().await, Some(1000));
    socket.send(r#"42["echo",1]"#).await;
    assert_eq!(socket.text().await, r#"42["echo",1]"#);
}

#[tokio::test]
async fn a_failed_upgrade_leaves_polling() {
    let settings = Settings {
        upgrade_timeout: Duration::from_millis(100),
        ..quick()
    };
    let running = start(settings);
    let query = running.polling().await;
    let mut socket = running
        .websocket(&query.replace("polling", "websocket"))
        .await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(socket.closed().await, Some(1000));
    running.post(&query, "40").await;
    assert!(running.get(&query).await.1.starts_with("40{"));
}

#[tokio::test]
async fn a_poll_too_many_ends_the_session() {
    let running = start(quick());
    let query = running.polling().await;
    // whichever comes second
    let (one, other) = tokio::join!(running.get(&query), running.get(&query));
    let (first, second) = if one.0 == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!((first, second.0), ((200, "1".to_owned()), 400));
    assert_eq!(running.get(&query).await.0, 400);
}

#[tokio::test]
async fn a_close_by_post_ends_the_poll_first() {
    let running = start(quick());
    let query = running.polling().await;
    let (polled, posted) = tokio::join!(running.get(&query), running.post(&query, "1"));
    assert_eq!(polled, (200, "6".to_owned()));
    assert_eq!(posted, (200, "ok".to_owned()));
    running.emptied().await;
    assert_eq!(running.get(&query).await.0, 400);
}

#[tokio::test]
async fn a_session_is_known_at_its_mount_only() {
    let running = start(quick());
    let query = running.polling().await;
    let other = format!("http://{}/other/socket.io?{query}", running.address);
    let answer = running.http.get(other).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    assert_eq!(running.post(&query, "40").await.0, 200);
}

#[tokio::test]
async fn a_poll_that_is_given_up_ends_the_session() {
    let running = start(quick());
    let query = running.polling().await;
    let request = running.http.get(running.url(&query));
    let given_up = request.timeout(Duration::from_millis(100)).send().await;
    assert!(given_up.is_err());
    // long before a ping would be missed
    running.emptied().await;
}
