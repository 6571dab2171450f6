//! Files over the native API.

use connexus_e2e::{Http, Reply, TestApp, User, nobody};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// A picture of one pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0,
    0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

const BOUNDARY: &str = "a-boundary-of-the-test";

/// A multipart body: text fields, then one file.
fn form(fields: &[(&str, &str)], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in fields {
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            )
            .into_bytes(),
        );
    }
    body.extend(
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n"
        )
        .into_bytes(),
    );
    body.extend_from_slice(bytes);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    body
}

async fn upload_form(http: &Http, body: Vec<u8>) -> Reply {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = http
        .request(Method::POST, "/v1/attachments")
        .header("content-type", kind)
        .body(body);
    http.send(request).await
}

async fn upload(http: &Http, conversation: &str, name: &str, bytes: &[u8]) -> Reply {
    upload_form(
        http,
        form(&[("conversation_id", conversation)], name, bytes),
    )
    .await
}

/// An uploaded picture's id.
async fn picture(user: &User, conversation: &str) -> String {
    let made = upload(user, conversation, "dot.png", PNG).await.expect(201);
    made["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn send(user: &User, conversation: &str, ids: &[&str]) -> Reply {
    let path = format!("/v1/conversations/{conversation}/messages");
    user.post(&path, json!({"kind": "image", "attachment_ids": ids}))
        .await
}

async fn with_header(http: &Http, path: &str, name: &str, value: &str) -> Reply {
    http.send(http.request(Method::GET, path).header(name, value))
        .await
}

#[tokio::test]
async fn a_file_is_uploaded_sent_and_downloaded_by_members_alone() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = app.users(["ann", "bob", "eve"]).await;
    let direct = ann.direct(&bob).await;
    let made = upload(&ann, &direct, "dot.png", PNG).await.expect(201);
    let file = &made["items"][0];
    assert_eq!(file["kind"], "image");
    assert_eq!((&file["width"], &file["height"]), (&json!(1), &json!(1)));
    assert_eq!(file["media_type"], "image/png");
    let id = file["id"].as_str().unwrap();
    let path = format!("/v1/attachments/{id}");
    bob.get(&path).await.problem_code(404, "not_found");
    ann.get(&path).await.expect(200);
    let mut bobs = bob.ws().await;
    let sent = send(&ann, &direct, &[id]).await.expect(201);
    assert_eq!(sent["attachments"][0]["id"], id);
    let told = bobs.expect_event("message.created").await;
    assert_eq!(told["data"]["attachments"], sent["attachments"]);
    let answer = bob.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "image/png");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        answer.headers["content-disposition"],
        "inline; filename=\"dot.png\"; filename*=UTF-8''dot.png"
    );
    let etag = answer.headers["etag"].to_str().unwrap().to_owned();
    let length: usize = answer.headers["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(file["size"], length);
    assert_eq!(
        with_header(&bob, &path, "if-none-match", &etag)
            .await
            .status,
        304
    );
    let part = with_header(&bob, &path, "range", "bytes=1-3").await;
    assert_eq!((part.status, part.text.as_str()), (206, "PNG"));
    assert_eq!(
        part.headers["content-range"],
        format!("bytes 1-3/{length}").as_str()
    );
    let beyond = with_header(&bob, &path, "range", "bytes=9999-").await;
    assert_eq!(beyond.status, 416);
    let head = bob.send(bob.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], length.to_string().as_str());
    // to a stranger it is as if it did not exist
    let unknown = format!("/v1/attachments/{}", nobody());
    let (theirs, none) = (eve.get(&path).await, eve.get(&unknown).await);
    assert_eq!(
        (theirs.status, &theirs.body["code"]),
        (none.status, &none.body["code"])
    );
    app.anonymous()
        .get(&path)
        .await
        .problem_code(401, "token_missing");
    upload(&eve, &direct, "dot.png", PNG)
        .await
        .problem_code(403, "not_member");
    let history = bob.history(&direct).await;
    assert_eq!(history[0]["attachments"], sent["attachments"]);
}

#[tokio::test]
async fn a_file_is_sent_once_by_its_uploader_and_where_it_was_meant_for() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (direct, group) = (ann.direct(&bob).await, ann.group([&bob]).await);
    let id = picture(&ann, &direct).await;
    for (user, place, ids) in [
        (&bob, &direct, vec![id.as_str()]),
        (&ann, &group, vec![id.as_str()]),
        (&ann, &direct, vec![id.as_str(), id.as_str()]),
    ] {
        let refused = send(user, place, &ids)
            .await
            .problem_code(400, "validation_failed");
        assert_eq!(refused["errors"][0]["field"], "attachment_ids");
    }
    send(&ann, &direct, &[&id]).await.expect(201);
    send(&ann, &direct, &[&id])
        .await
        .problem_code(400, "validation_failed");
}

#[tokio::test]
async fn what_a_file_is_is_told_by_its_content() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let zip = [b"PK\x03\x04".as_slice(), &[0; 60]].concat();
    upload(&ann, &direct, "photo.jpg", &zip)
        .await
        .problem_code(415, "unsupported_media_type");
    upload(&ann, &direct, "empty.png", b"")
        .await
        .problem_code(400, "validation_failed");
    let html = b"<!DOCTYPE html><script>alert(1)</script>";
    upload(&ann, &direct, "page.png", html)
        .await
        .problem_code(415, "unsupported_media_type");
    let text = upload(&ann, &direct, "../../etc/passwd", b"just words")
        .await
        .expect(201);
    let file = &text["items"][0];
    assert_eq!(
        (&file["name"], &file["media_type"]),
        (&json!("passwd"), &json!("text/plain"))
    );
    let path = format!("/v1/attachments/{}", file["id"].as_str().unwrap());
    let answer = ann.get(&path).await;
    let disposition = answer.headers["content-disposition"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(disposition.starts_with("attachment;"), "{disposition}");
    let scripted = upload(&ann, &direct, "<script>.png", PNG).await.expect(201);
    let path = scripted["items"][0]["url"].as_str().unwrap().to_owned();
    let answer = ann.get(&path).await;
    assert!(
        answer.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
}

#[tokio::test]
async fn a_bad_upload_names_what_is_wrong() {
    let app = TestApp::with(&[
        ("CONNEXUS__FILES__MAX_FILE", "1000"),
        ("CONNEXUS__FILES__MAX_IMAGE", "1000"),
        ("CONNEXUS__FILES__MAX_VIDEO", "1000"),
        ("CONNEXUS__FILES__MAX_AUDIO", "1000"),
    ])
    .await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let long = "word ".repeat(1_000);
    upload(&ann, &direct, "long.txt", long.as_bytes())
        .await
        .problem_code(413, "payload_too_large");
    let nowhere = upload_form(&ann, form(&[], "dot.png", PNG)).await;
    let refused = nowhere.problem_code(400, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "conversation_id");
    let odd = upload_form(&ann, form(&[("conversation_id", "x")], "dot.png", PNG)).await;
    odd.problem_code(400, "validation_failed");
    ann.post("/v1/attachments", json!({}))
        .await
        .problem_code(400, "malformed");
    let cut = form(&[("conversation_id", &direct)], "dot.png", PNG);
    upload_form(&ann, cut[..cut.len() - 40].to_vec())
        .await
        .problem_code(400, "malformed");
}

#[tokio::test]
async fn a_signed_address_needs_no_token() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let id = picture(&ann, &direct).await;
    send(&ann, &direct, &[&id]).await.expect(201);
    let links = bob
        .get(&format!("/v1/attachments/{id}/link"))
        .await
        .expect(200);
    let url = links["url"].as_str().unwrap();
    let answer = app.anonymous().get(url).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"image/png".parse().unwrap())
    );
    for wrong in [
        url.replace(&id, &nobody()),
        url.replace("signature=", "signature=A"),
        url.replace("expires=", "expires=9"),
        format!("/v1/attachments/{id}?expires=1&signature=x"),
    ] {
        app.anonymous()
            .get(&wrong)
            .await
            .problem_code(404, "not_found");
    }
}

#[tokio::test]
async fn media_are_listed_and_counted() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = app.users(["ann", "bob", "eve"]).await;
    let direct = ann.direct(&bob).await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let id = picture(&ann, &direct).await;
        send(&ann, &direct, &[&id]).await.expect(201);
        sent.push(id);
    }
    let text = upload(&ann, &direct, "a.txt", b"words").await.expect(201);
    let text = text["items"][0]["id"].as_str().unwrap();
    let message = send(&ann, &direct, &[text]).await.expect(201);
    let path = format!("/v1/conversations/{direct}/media");
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = bob
        .get(&format!("{path}?kind=image&limit=2"))
        .await
        .expect(200);
    assert_eq!(ids(&first), [sent[2].clone(), sent[1].clone()]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = bob
        .get(&format!("{path}?kind=image&limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(ids(&rest), [sent[0].clone()]);
    let stats = bob.get(&format!("{path}/stats")).await.expect(200);
    assert_eq!(stats["items"][0]["kind"], "image");
    assert_eq!(
        (&stats["items"][0]["count"], &stats["items"][1]["count"]),
        (&json!(3), &json!(1))
    );
    eve.get(&path).await.problem_code(403, "not_member");
    eve.get(&format!("{path}/stats"))
        .await
        .problem_code(403, "not_member");
    bob.get(&format!("{path}?kind=films"))
        .await
        .problem_code(400, "validation_failed");
    // with its message goes the file
    let id = message["id"].as_str().unwrap();
    ann.delete(&format!("/v1/messages/{id}")).await;
    bob.get(&format!("/v1/attachments/{text}"))
        .await
        .problem_code(404, "not_found");
    assert_eq!(ids(&bob.get(&path).await.expect(200)).len(), 3);
}

#[tokio::test]
async fn a_picture_of_a_user_and_of_a_group() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = app.users(["ann", "bob", "eve"]).await;
    let avatar = |user: &User| {
        let body = form(&[("purpose", "avatar")], "me.png", PNG);
        let http = app.bearing(&user.access_token);
        async move {
            let made = upload_form(&http, body).await.expect(201);
            made["items"][0]["id"].as_str().unwrap().to_owned()
        }
    };
    let id = avatar(&ann).await;
    let body = json!({"attachment_id": id});
    bob.put("/v1/users/me/avatar", body.clone())
        .await
        .problem_code(404, "not_found");
    assert_eq!(ann.put("/v1/users/me/avatar", body).await.status, 204);
    let seen = eve.get(&format!("/v1/users/{}", ann.id)).await.expect(200);
    let url = seen["avatar_url"].as_str().unwrap().to_owned();
    assert_eq!(
        eve.get(&url).await.status,
        200,
        "anybody who is known may see a picture"
    );
    let next = json!({"attachment_id": avatar(&ann).await});
    assert_eq!(ann.put("/v1/users/me/avatar", next).await.status, 204);
    eve.get(&url).await.problem_code(404, "not_found");
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}/avatar");
    let mine = json!({"attachment_id": avatar(&bob).await});
    bob.put(&path, mine).await.problem_code(403, "role_too_low");
    let mut bobs = bob.ws().await;
    let theirs = json!({"attachment_id": avatar(&ann).await});
    assert_eq!(ann.put(&path, theirs).await.status, 204);
    let told = bobs.expect_event("conversation.updated").await;
    assert!(told["data"]["avatar_url"].is_string());
    // a picture is a picture
    let words = upload_form(&ann, form(&[("purpose", "avatar")], "me.png", b"words")).await;
    words.problem_code(415, "unsupported_media_type");
}

/// Everything that is left of files after the next cleaning: nothing of broken, unsent or deleted ones.
#[tokio::test]
async fn nothing_is_left_of_what_is_gone() {
    let app = TestApp::with(&[]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let kept = picture(&ann, &direct).await;
    send(&ann, &direct, &[&kept]).await.expect(201);
    let gone = picture(&ann, &direct).await;
    let message = send(&ann, &direct, &[&gone]).await.expect(201);
    ann.delete(&format!("/v1/messages/{}", message["id"].as_str().unwrap()))
        .await;
    // an upload whose connection is cut, and one during which the process is killed
    for kill in [false, true] {
        let body = form(&[("conversation_id", &direct)], "dot.png", PNG);
        let mut stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
        let head = format!(
            "POST /v1/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 100000\r\n\r\n",
            ann.access_token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..body.len() - 60]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if kill {
            app.kill();
        }
        drop(stream);
    }
    app.restart().await;
    connexus_e2e::eventually("the cleaning", async || {
        let left = app.kept_files().await;
        (!left
            .iter()
            .any(|name| name.contains(&gone.replace('-', ""))))
        .then_some(())
    })
    .await;
    let left = app.kept_files().await;
    assert!(!left.is_empty());
    for name in left {
        assert!(name.contains(&kept.replace('-', "")), "{name} is left");
    }
    assert_eq!(
        bob.get(&format!("/v1/attachments/{kept}")).await.status,
        200
    );
}
