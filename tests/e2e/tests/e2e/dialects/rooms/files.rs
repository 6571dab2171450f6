//! Files of the dialect `rooms`.

use connexus_e2e::{Reply, TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{MESSAGE, USER, history, keys, people, refusal, say};
use crate::dialects::Person;
use crate::dialects::forms::{PNG, Part, fetched, post_form};

/// Shares a file in a room.
async fn share(who: &Person, room: &str, name: &str, bytes: &[u8]) -> Reply {
    let parts = [Part::File(name, bytes), Part::Text("room", room)];
    post_form(who, "/rooms/api/files/upload", &parts).await
}

#[tokio::test]
async fn a_file_is_shared_with_a_message() {
    // POST /api/files/upload → new-message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("pictures");
    let mut hears = bob.socket().await;
    hears.call("join-room", json!({"room": room})).await;
    let made = share(&ann, &room, "../photo.png", PNG).await.expect(201);
    assert_eq!(made["message"], "File uploaded successfully");
    let (message, file) = (&made["data"]["message"], &made["data"]["file"]);
    assert_eq!(keys(message), MESSAGE);
    assert_eq!(keys(file), ["originalName", "size", "type", "url"]);
    assert_eq!(message["content"], "Shared an image: photo.png");
    assert_eq!(message["messageType"], "image");
    assert_eq!(message["room"], room.as_str());
    assert_eq!(message["fileName"], "photo.png");
    assert_eq!(message["fileSize"], file["size"]);
    assert_eq!(file["type"], "image/png");
    let told = hears.expect("new-message").await;
    assert_eq!(told["_id"], message["_id"]);
    // everybody who is told can show it, without a token
    let page = history(&bob, &format!("room={room}")).await;
    for address in [
        &told["fileUrl"],
        &file["url"],
        &page["messages"][0]["fileUrl"],
    ] {
        let answer = fetched(&app, address).await;
        assert_eq!(answer.status, 200, "{address}");
        assert_eq!(answer.header("content-type"), "image/png");
        // the page stands elsewhere
        let policy = answer.header("cross-origin-resource-policy");
        assert_eq!(policy, "cross-origin");
    }
    // with the signature gone, or of another file, it is nothing
    let address = file["url"].as_str().unwrap();
    let bare = address.split('?').next().unwrap();
    assert_ne!(fetched(&app, &json!(bare)).await.status, 200);
    assert_ne!(
        fetched(&app, &json!(format!("{address}x"))).await.status,
        200
    );
}

#[tokio::test]
async fn the_room_may_stand_before_the_file_or_nowhere() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let room = unique("Notes");
    let text = b"some words\n";
    let before = [Part::Text("room", &room), Part::File("a.txt", text)];
    let path = "/rooms/api/files/upload";
    let made = post_form(&ann, path, &before).await.expect(201);
    let message = &made["data"]["message"];
    assert_eq!(message["room"], room.to_lowercase().as_str());
    assert_eq!(message["content"], "Shared a file: a.txt");
    assert_eq!(message["messageType"], "file");
    let alone = [Part::File("b.txt", text)];
    let made = post_form(&ann, path, &alone).await.expect(201);
    assert_eq!(made["data"]["message"]["room"], "general");
}

#[tokio::test]
async fn what_is_no_usable_file_is_refused() {
    // POST /api/files/upload, POST /api/users/avatar
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("refusals");
    let said = |reply: Reply| {
        let body = reply.expect(400);
        assert_eq!(keys(&body), ["message", "success"]);
        body["message"].as_str().unwrap().to_owned()
    };
    let page = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let refused = said(share(&ann, &room, "photo.png", page).await);
    assert!(refused.starts_with("Invalid file type: "), "{refused}");
    let huge = vec![b'a'; 11 * 1024 * 1024];
    let refused = said(share(&ann, &room, "a.txt", &huge).await);
    assert!(refused.starts_with("File too large: "), "{refused}");
    let path = "/rooms/api/files/upload";
    let none = [Part::Text("room", &room)];
    assert_eq!(said(post_form(&ann, path, &none).await), "No file uploaded");
    let unchosen = [Part::File("", b""), Part::Text("room", &room)];
    assert_eq!(
        said(post_form(&ann, path, &unchosen).await),
        "No file uploaded"
    );
    let two = [Part::File("a.txt", b"a"), Part::File("b.txt", b"b")];
    let refused = said(post_form(&ann, path, &two).await);
    assert!(refused.starts_with("Too many files"), "{refused}");
    let refused = said(share(&ann, "no room", "a.txt", b"a").await);
    assert!(refused.starts_with("room "), "{refused}");
    // what no browser sends
    for (kind, body) in [
        ("multipart/form-data", "--x\r\n"),
        ("multipart/form-data; boundary=x", ""),
        (
            "multipart/form-data; boundary=x",
            "--x\r\n\r\nno name\r\n--x--",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ncut of",
        ),
        ("text/plain", "hello"),
    ] {
        let request = ann
            .request(reqwest::Method::POST, path)
            .header("content-type", kind)
            .body(body);
        said(ann.send(request).await);
    }
    // JSON is no form
    said(ann.post(path, json!({"file": "x", "room": room})).await);
    let avatar = "/rooms/api/users/avatar";
    let text = [Part::File("me.png", b"no picture at all")];
    let refused = said(post_form(&ann, avatar, &text).await);
    assert!(refused.starts_with("Invalid file"), "{refused}");
    // nothing was sent, and what was refused is not among what was shared
    let page = history(&bob, &format!("room={room}")).await;
    assert_eq!(page["messages"], json!([]));
    // somewhere where one is not
    let made = bob
        .post(
            "/v1/conversations",
            json!({"kind": "group", "name": "g", "member_ids": []}),
        )
        .await;
    let group = made.expect(201)["id"].as_str().unwrap().to_owned();
    let outside = share(&ann, &group, "a.txt", b"a").await;
    assert!([403, 404].contains(&outside.status), "{}", outside.text);
    for what in ["media", "stats"] {
        let path = format!("/rooms/api/files/{what}/{group}");
        let outside = ann.get(&path).await;
        assert!([403, 404].contains(&outside.status), "{}", outside.text);
    }
}

/// `data` of a room's media.
async fn media(who: &Person, room: &str, query: &str) -> Value {
    let path = format!("/rooms/api/files/media/{room}?{query}");
    who.get(&path).await.expect(200)["data"].clone()
}

fn names(media: &Value) -> Vec<&str> {
    let media = media["media"].as_array().unwrap().iter();
    media.map(|one| one["fileName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn media_are_listed_and_counted() {
    // GET /api/files/media/:room, GET /api/files/stats/:room
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("media");
    for name in ["1.txt", "2.txt", "3.txt"] {
        share(&ann, &room, name, b"four").await.expect(201);
    }
    let picture = share(&bob, &room, "4.png", PNG).await.expect(201);
    let size = picture["data"]["file"]["size"].as_u64().unwrap();
    say(&ann, &room, "no file").await;
    let all = media(&bob, &room, "").await;
    assert_eq!(keys(&all), ["media", "pagination"]);
    assert_eq!(names(&all), ["4.png", "3.txt", "2.txt", "1.txt"]);
    let first = &all["media"][0];
    assert_eq!(
        keys(first),
        [
            "_id",
            "createdAt",
            "fileId",
            "fileName",
            "fileSize",
            "fileUrl",
            "messageType",
            "room",
            "sender",
            "thumbnailUrl"
        ]
    );
    assert_eq!(first["_id"], picture["data"]["message"]["_id"]);
    assert_eq!(first["sender"]["_id"], bob.id.as_str());
    assert_eq!(fetched(&app, &first["fileUrl"]).await.status, 200);
    assert_eq!(names(&media(&bob, &room, "type=image").await), ["4.png"]);
    let page = media(&bob, &room, "type=file&limit=1&skip=1").await;
    assert_eq!(names(&page), ["2.txt"]);
    let pagination = &page["pagination"];
    assert_eq!(
        keys(pagination),
        ["hasNext", "limit", "next", "skip", "total"]
    );
    assert_eq!(pagination["total"], 3);
    assert_eq!(pagination["hasNext"], true);
    let next = pagination["next"].as_str().unwrap();
    let page = media(&bob, &room, &format!("type=file&before={next}")).await;
    assert_eq!(names(&page), ["1.txt"]);
    assert_eq!(page["pagination"]["hasNext"], false);
    assert_eq!(names(&media(&bob, &room, "skip=900").await), [""; 0]);
    for query in ["skip=1001", "type=everything", "before=x", "limit=x"] {
        let path = format!("/rooms/api/files/media/{room}?{query}");
        let refused = bob.get(&path).await;
        assert!([400, 404].contains(&refused.status), "{query}");
        assert_eq!(refused.body["success"], false);
    }
    let path = format!("/rooms/api/files/stats/{room}");
    let stats = bob.get(&path).await.expect(200)["data"].clone();
    assert_eq!(
        stats,
        json!({
            "stats": [
                {"_id": "image", "count": 1, "totalSize": size, "averageSize": size},
                {"_id": "file", "count": 3, "totalSize": 12, "averageSize": 4},
            ],
            "totals": {"count": 4, "totalSize": 12 + size, "averageSize": (12 + size) / 4},
        })
    );
}

#[tokio::test]
async fn a_file_goes_with_its_message() {
    // DELETE /api/files/:messageId → message-deleted
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("gone");
    let made = share(&ann, &room, "a.png", PNG).await.expect(201);
    let words = say(&ann, &room, "no file").await;
    assert_eq!(names(&media(&bob, &room, "").await), ["a.png"]);
    let path = |id: &str| format!("/rooms/api/files/{id}");
    let id = made["data"]["message"]["_id"].as_str().unwrap();
    let refused = bob.delete(&path(id)).await.expect(403);
    assert_eq!(refused, refusal("You can only delete your own files"));
    let refused = ann.delete(&path(words["_id"].as_str().unwrap())).await;
    assert_eq!(refused.expect(404), refusal("File not found"));
    for nothing in [nobody(), "x".to_owned()] {
        ann.delete(&path(&nothing)).await.expect(404);
    }
    let mut hears = bob.socket().await;
    hears.call("join-room", json!({"room": room})).await;
    let deleted = ann.delete(&path(id)).await.expect(200);
    assert_eq!(
        deleted,
        json!({"success": true, "message": "File deleted successfully"})
    );
    let told = hears.expect("message-deleted").await;
    assert_eq!(told["messageId"], id);
    assert_eq!(
        fetched(&app, &made["data"]["file"]["url"]).await.status,
        404
    );
    assert_eq!(names(&media(&bob, &room, "").await), [""; 0]);
    ann.delete(&path(id)).await.expect(404);
}

#[tokio::test]
async fn a_picture_of_oneself() {
    // POST /api/users/avatar
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let path = "/rooms/api/users/avatar";
    let picture = [Part::File("me.png", PNG)];
    let made = post_form(&ann, path, &picture).await.expect(200);
    let data = &made["data"];
    assert_eq!(keys(data), ["avatarUrl", "user"]);
    assert_eq!(keys(&data["user"]), USER);
    assert_eq!(fetched(&app, &data["avatarUrl"]).await.status, 200);
    // whoever sees the user sees it
    let seen = bob.get(&format!("/rooms/api/users/{}", ann.id)).await;
    let seen = seen.expect(200)["data"]["user"]["avatar"].clone();
    assert_eq!(fetched(&app, &seen).await.status, 200);
    let said = say(&ann, &unique("avatars"), "hello").await;
    assert_eq!(fetched(&app, &said["sender"]["avatar"]).await.status, 200);
    // a second one takes its place
    let again = post_form(&ann, path, &picture).await.expect(200);
    assert_ne!(again["data"]["avatarUrl"], data["avatarUrl"]);
    assert_eq!(fetched(&app, &data["avatarUrl"]).await.status, 404);
    // nobody makes a file of somebody else's a picture by naming it
    let shared = share(&bob, &unique("private"), "a.png", PNG)
        .await
        .expect(201);
    let address = shared["data"]["file"]["url"].as_str().unwrap();
    let start = address.find("/v1/").unwrap();
    let stolen = address[start..].split('?').next().unwrap();
    let refused = ann
        .patch("/v1/users/me", json!({"avatar_url": stolen}))
        .await;
    refused.refuses(&["avatar_url"]);
}

#[tokio::test]
async fn addresses_have_the_host_that_was_asked() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let picture = [Part::File("me.png", PNG)];
    let made = post_form(&ann, "/rooms/api/users/avatar", &picture).await;
    made.expect(200);
    for (header, host, start) in [
        ("host", "chat.example:8080", "http://chat.example:8080/v1/"),
        // only a proxy that is trusted may say so
        ("x-forwarded-host", "evil.example", "http://127.0.0.1:"),
        ("x-forwarded-proto", "https", "http://127.0.0.1:"),
        ("host", "a@b", "http://127.0.0.1:"),
    ] {
        let request = ann
            .request(reqwest::Method::GET, "/rooms/api/users/profile")
            .header(header, host);
        let answer = ann.send(request).await;
        // a host that is none may be refused before anybody looks
        if answer.status == 200 {
            let url = answer.body["data"]["user"]["avatar"].as_str().unwrap();
            assert!(url.starts_with(start), "{header} {host}: {url}");
        }
    }
}

#[tokio::test]
async fn addresses_have_the_base_that_is_configured() {
    let app = TestApp::with(&[("CONNEXUS__SERVER__PUBLIC_URL", "https://chat.example/")]).await;
    let [ann] = people(&app, ["ann"]).await;
    let made = share(&ann, "general", "a.png", PNG).await.expect(201);
    let url = made["data"]["file"]["url"].as_str().unwrap();
    let start = "https://chat.example/v1/attachments/";
    assert!(url.starts_with(start), "{url}");
}
