//! The dialect `mern`.

mod chats;
mod messages;
mod sockets;

use connexus_e2e::{TestApp, unique};
use serde_json::{Value, json};

use super::{PASSWORD, Person};

async fn people<const N: usize>(app: &TestApp, stems: [&str; N]) -> [Person; N] {
    let mut found = Vec::new();
    for stem in stems {
        found.push(Person::register(app, "mern", stem).await);
    }
    found.try_into().unwrap_or_else(|_| unreachable!())
}

/// The keys of an object, in order.
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// The ids of users, in order.
fn ids(users: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn sorted<const N: usize>(people: [&Person; N]) -> Vec<&str> {
    let mut ids: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// What an answer says that is an error, whose shape is checked too.
#[track_caller]
fn said(error: &Value) -> &str {
    assert_eq!(keys(error), ["message", "stack"], "{error}");
    assert_eq!(error["stack"], Value::Null);
    error["message"].as_str().unwrap()
}

async fn direct(one: &Person, other: &Person) -> Value {
    let body = json!({"userId": other.id});
    one.post("/mern/api/chat", body).await.expect(200)
}

async fn group(maker: &Person, others: &[&Person]) -> Value {
    let users: Vec<&str> = others.iter().map(|person| person.id.as_str()).collect();
    let body = json!({"name": "Friends", "users": users});
    maker.post("/mern/api/chat/group", body).await.expect(200)
}

async fn say(who: &Person, chat: &Value, content: &str) -> Value {
    let body = json!({"content": content, "chatId": chat["_id"]});
    who.post("/mern/api/message", body).await.expect(200)
}

async fn history(who: &Person, chat: &Value) -> Value {
    let path = format!("/mern/api/message/{}", chat["_id"].as_str().unwrap());
    who.get(&path).await.expect(200)
}

const CHAT: [&str; 8] = [
    "_id",
    "chatName",
    "createdAt",
    "groupAdmin",
    "isGroupChat",
    "latestMessage",
    "updatedAt",
    "users",
];
const MESSAGE: [&str; 7] = [
    "_id",
    "chat",
    "content",
    "createdAt",
    "readBy",
    "sender",
    "updatedAt",
];
const USER: [&str; 6] = ["_id", "email", "isAdmin", "name", "pic", "username"];
const SENDER: [&str; 4] = ["_id", "email", "name", "pic"];

#[tokio::test]
async fn registering_and_logging_in() {
    // POST /api/user/register, POST /api/user, POST /api/user/login
    let app = TestApp::shared().await;
    for path in [
        "/api/user/register",
        "/api/user",
        "/mern/api/user/register",
        "/mern/api/user",
    ] {
        let email = format!("{}@example.org", unique("ann"));
        let body = json!({"name": "Ann Example", "email": email, "password": PASSWORD,
            "pic": "https://example.org/ann.png"});
        let made = app.anonymous().post(path, body.clone()).await.expect(201);
        let expected = ["_id", "email", "isAdmin", "name", "pic", "token"];
        assert_eq!(keys(&made), expected);
        assert_eq!(made["name"], "Ann Example");
        assert_eq!(made["email"], email);
        assert_eq!(made["isAdmin"], false);
        assert_eq!(made["pic"], "https://example.org/ann.png");
        let again = app.anonymous().post(path, body).await.expect(400);
        assert_eq!(said(&again), "User already exists");

        for base in ["", "/mern"] {
            let login = format!("{base}/api/user/login");
            let right = json!({"email": email, "password": PASSWORD});
            let known = app.anonymous().post(&login, right).await.expect(200);
            assert_eq!(keys(&known), expected);
            assert_eq!(known["_id"], made["_id"]);
            assert_eq!(known["pic"], made["pic"]);
            for wrong in [
                json!({"email": email, "password": "something else"}),
                json!({"email": "nobody@example.org", "password": PASSWORD}),
            ] {
                let refused = app.anonymous().post(&login, wrong).await.expect(401);
                assert_eq!(said(&refused), "Invalid Email or Password");
            }
        }
    }
}

#[tokio::test]
async fn what_registration_refuses() {
    // POST /api/user/register, POST /api/user/login
    let app = TestApp::shared().await;
    let all = "Please Enter all the Feilds";
    let cases = [
        (json!({}), all),
        (
            json!({"name": "", "email": "a@b.c", "password": PASSWORD}),
            all,
        ),
        (
            json!({"name": "Ann", "email": " ", "password": PASSWORD}),
            all,
        ),
        (
            json!({"name": "Ann", "email": "a@b.c", "password": null}),
            all,
        ),
        (
            json!({"name": "Ann", "email": "no address", "password": "12345"}),
            "email must be an e-mail address, password must have at least 6 characters",
        ),
        (
            json!({"name": "x".repeat(51), "email": "a@b.c", "password": PASSWORD}),
            "name must have at most 50 characters",
        ),
        (
            json!({"name": "Ann", "email": "a@b.c", "password": PASSWORD, "pic": "javascript:1"}),
            "pic must be an http(s) address",
        ),
        (
            json!({"name": "Ann", "email": {"$gt": ""}, "password": PASSWORD}),
            "email must be a string",
        ),
        (
            json!({"name": ["Ann"], "email": "a@b.c", "password": PASSWORD}),
            "name must be a string",
        ),
    ];
    for (body, expected) in cases {
        for path in ["/mern/api/user/register", "/mern/api/user"] {
            let refused = app.anonymous().post(path, body.clone()).await.expect(400);
            assert_eq!(said(&refused), expected, "{body}");
        }
    }
    let login = "/mern/api/user/login";
    for (body, expected) in [
        (json!({"email": "a@b.c"}), all),
        (
            json!({"email": {"$gt": ""}, "password": {"$gt": ""}}),
            "email must be a string",
        ),
        (
            json!({"email": "a@b.c", "password": 7}),
            "password must be a string",
        ),
    ] {
        let refused = app.anonymous().post(login, body).await.expect(400);
        assert_eq!(said(&refused), expected);
    }
    let huge = json!({"email": "a".repeat(100_000), "password": PASSWORD});
    let refused = app.anonymous().post(login, huge).await.expect(401);
    assert_eq!(said(&refused), "Invalid Email or Password");
    let list = app.anonymous().post(login, json!([1])).await.expect(400);
    assert_eq!(said(&list), "the body must be a JSON object");
}

#[tokio::test]
async fn every_signed_route_wants_a_token() {
    let app = TestApp::shared().await;
    let routes = [
        ("GET", "/api/user"),
        ("POST", "/api/chat"),
        ("GET", "/api/chat"),
        ("POST", "/api/chat/group"),
        ("PUT", "/api/chat/grouprename"),
        ("PUT", "/api/chat/rename"),
        ("PUT", "/api/chat/groupadd"),
        ("PUT", "/api/chat/groupremove"),
        ("POST", "/api/message"),
        ("GET", "/api/message/0"),
    ];
    for (method, path) in routes {
        for (client, expected) in [
            (app.anonymous(), "Not authorized, no token"),
            (app.bearing("nonsense"), "Not authorized, token failed"),
        ] {
            for base in ["", "/mern"] {
                let path = format!("{base}{path}");
                let request = client.request(method.parse().unwrap(), &path);
                let refused = client.send(request).await.expect(401);
                assert_eq!(said(&refused), expected, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn users_are_found() {
    // GET /api/user?search=
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    for words in [bob.name.to_uppercase(), bob.email.clone()] {
        for base in ["", "/mern"] {
            let path = format!("{base}/api/user?search={words}");
            let found = ann.get(&path).await.expect(200);
            assert_eq!(ids(&found), [bob.id.as_str()], "{words}");
            assert_eq!(keys(&found[0]), USER);
            assert_eq!(found[0]["name"], bob.name);
            assert_eq!(found[0]["email"], bob.email);
            assert_eq!(found[0]["pic"], Value::Null, "an <img> without a source");
            assert_eq!(found[0]["isAdmin"], false);
        }
    }
    let oneself = format!("/mern/api/user?search={}", ann.name);
    assert_eq!(ann.get(&oneself).await.expect(200), json!([]));
    for path in ["/mern/api/user", "/mern/api/user?search="] {
        let all = ann.get(path).await.expect(200);
        assert!(!all.as_array().unwrap().is_empty());
        assert!(!ids(&all).contains(&ann.id.as_str()), "oneself excluded");
    }
    let none = ann.get("/mern/api/user?search[$gt]=").await;
    assert_eq!(none.status, 200, "that is no field");
    let long = format!("/mern/api/user?search={}", "x".repeat(101));
    let refused = ann.get(&long).await.expect(400);
    assert_eq!(said(&refused), "search must have at most 100 characters");
}
