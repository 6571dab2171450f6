//! Sockets: who it is, what was missed, and who is online.

use connexus_e2e::{TestApp, connect_socketio, eventually};
use serde_json::{Value, json};

use super::{device, log_in, people, send};

#[tokio::test]
async fn saying_who_it_is() {
    // register_user → registration_success, auth_error
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    for path in ["/secured/socket.io/", "/socket.io/"] {
        let silent = connect_socketio(&app.address(), path, Value::Null).await;
        let mut socket = silent.unwrap();
        for bad in [
            json!({"token": "nonsense"}),
            json!({"token": {"$gt": ""}}),
            json!({"userId": ann.id}),
            json!([ann.token]),
            json!("nonsense"),
            json!(5),
        ] {
            socket.emit("register_user", bad).await;
            assert_eq!(socket.expect("auth_error").await, "Invalid token");
        }
        // nothing is told before; the bare token will do as well
        send(&bob, &ann, path).await;
        socket.emit("register_user", json!(ann.token)).await;
        let seen = socket.until(|event| event.name == "new_message").await;
        assert_eq!(seen[0].name, "registration_success");
        assert_eq!(seen[0].args, [json!({"userId": ann.id})]);
        assert_eq!(seen[1].args[0]["text"], path);
        assert_eq!(seen.len(), 2, "{seen:?}");
        // once more is answered once more, but it is nobody else from now on
        socket
            .emit("register_user", json!({"token": ann.token}))
            .await;
        socket.expect("registration_success").await;
        socket
            .emit("register_user", json!({"token": bob.token}))
            .await;
        assert_eq!(socket.expect("auth_error").await, "Invalid token");
        socket.emit("no such event", json!({"x": []})).await;
        send(&bob, &ann, "still here").await;
        assert_eq!(socket.expect("new_message").await["text"], "still here");
        socket.disconnect().await;
    }
}

#[tokio::test]
async fn what_was_missed_comes_once() {
    // register_user → new_message
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    for (from, message) in [(&ann, "one"), (&ann, "two"), (&eve, "three")] {
        send(from, &bob, message).await;
    }
    let mut bobs = device(&bob, &bob.token).await;
    for expected in ["one", "two", "three"] {
        assert_eq!(bobs.expect("new_message").await["text"], expected);
    }
    bobs.disconnect().await;
    send(&ann, &bob, "four").await;
    let mut bobs = device(&bob, &bob.token).await;
    assert_eq!(bobs.expect("new_message").await["text"], "four");
    send(&ann, &bob, "five").await;
    assert_eq!(bobs.expect("new_message").await["text"], "five");
}

#[tokio::test]
async fn a_session_that_ends_is_told_so() {
    // auth_error
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let token = log_in(&app, &ann).await;
    let mut phone = device(&ann, &token).await;
    let mut desk = device(&ann, &ann.token).await;
    let phones = app.bearing(&token);
    phones.post("/v1/auth/logout", json!({})).await.expect(204);
    assert_eq!(phone.expect("auth_error").await, "Your session has ended");
    assert_eq!(phone.ended().await, "disconnect");
    let mut again = ann.silent_socket().await;
    again.emit("register_user", json!({"token": token})).await;
    assert_eq!(again.expect("auth_error").await, "Invalid token");
    // the other device is still there
    desk.emit("register_user", json!({"token": ann.token}))
        .await;
    desk.expect("registration_success").await;
}

#[tokio::test]
async fn online_until_the_last_device_goes() {
    // (disconnect)
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    send(&ann, &bob, "hello").await;
    let presence = async || {
        let got = ann.get(&format!("/v1/users/{}", bob.id)).await.expect(200);
        got["status"].as_str().unwrap().to_owned()
    };
    let becomes = async |wanted: &str| {
        let now = async || (presence().await == wanted).then_some(());
        eventually(wanted, now).await;
    };
    assert_eq!(presence().await, "offline");
    // who has not said who it is is nobody yet
    let silent = bob.silent_socket().await;
    assert_eq!(presence().await, "offline");
    let first = device(&bob, &bob.token).await;
    becomes("online").await;
    let second = device(&bob, &log_in(&app, &bob).await).await;
    let third = device(&bob, &bob.token).await;
    first.disconnect().await;
    // without a goodbye
    drop(second);
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(presence().await, "online", "one is left");
    drop(third);
    becomes("offline").await;
    drop(silent);
}
