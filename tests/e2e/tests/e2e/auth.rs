//! Registering, logging in and out, refreshing, changing the password.

use connexus_e2e::{TestApp, User, unique};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{USER_KEYS, assert_keys, assert_time};

const TOKEN_KEYS: [&str; 7] = [
    "user",
    "session_id",
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "refresh_expires_in",
];

async fn refresh(app: &TestApp, token: &str) -> connexus_e2e::Reply {
    app.anonymous()
        .post("/v1/auth/refresh", json!({"refresh_token": token}))
        .await
}

fn own_user_keys() -> Vec<&'static str> {
    USER_KEYS.into_iter().chain(["email", "privacy"]).collect()
}

#[tokio::test]
async fn registering_opens_a_session() {
    let app = TestApp::shared().await;
    let name = unique("Ann");
    let email = format!("{name}@example.org");
    let body = json!({"username": name, "email": email, "password": "correct horse battery"});
    let tokens = app
        .anonymous()
        .post("/v1/auth/register", body)
        .await
        .expect(201);

    assert_keys(&tokens, &TOKEN_KEYS);
    assert_eq!(tokens["token_type"], "Bearer");
    assert!(tokens["expires_in"].as_u64().unwrap() > 0);
    assert!(tokens["refresh_expires_in"].as_u64() > tokens["expires_in"].as_u64());
    let user = &tokens["user"];
    assert_keys(user, &own_user_keys());
    assert_eq!(user["username"], name.as_str(), "kept as typed");
    assert_eq!(
        user["display_name"],
        name.as_str(),
        "the username when none is given"
    );
    assert_eq!(user["email"], email.as_str());
    assert_time(&user["created_at"]);

    let me = app
        .bearing(tokens["access_token"].as_str().unwrap())
        .get("/v1/users/me")
        .await;
    assert_eq!(me.expect(200)["id"], user["id"]);
}

#[tokio::test]
async fn registering_names_every_failing_field() {
    let app = TestApp::shared().await;
    let body = json!({
        "username": "a b", "email": "nobody", "password": "x", "display_name": "n".repeat(51),
    });
    let reply = app.anonymous().post("/v1/auth/register", body).await;
    reply.refuses(&["username", "email", "password", "display_name"]);

    let good =
        json!({"username": unique("u"), "email": "a@b.example", "password": "correct horse"});
    let cases: [(&str, Value); 9] = [
        ("username", json!("ab")),
        ("username", json!("x".repeat(31))),
        ("username", json!("änn")),
        ("email", json!("a@b@c.example")),
        ("email", json!("@b.example")),
        ("email", json!("a b@c.example")),
        ("password", json!("x".repeat(129))),
        ("display_name", json!("two\nlines")),
        ("display_name", json!("nul\u{0}")),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        body[field] = value;
        app.anonymous()
            .post("/v1/auth/register", body)
            .await
            .refuses(&[field]);
    }
}

#[tokio::test]
async fn usernames_and_addresses_are_taken_once_whatever_their_case() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let taken = [
        (
            "username",
            json!({"username": ann.username.to_uppercase(), "email": format!("{}@b.example", unique("x"))}),
        ),
        (
            "email",
            json!({"username": unique("x"), "email": ann.email.to_uppercase()}),
        ),
    ];
    for (field, mut body) in taken {
        body["password"] = json!("correct horse battery");
        let problem = app
            .anonymous()
            .post("/v1/auth/register", body)
            .await
            .problem_code(409, "conflict");
        assert!(
            problem["detail"].as_str().unwrap().contains(field),
            "{problem}"
        );
    }

    let name = unique("race");
    let racing = join_all((0..8).map(async |n| {
        let body = json!({"username": name, "email": format!("{name}-{n}@b.example"), "password": "correct horse battery"});
        app.anonymous().post("/v1/auth/register", body).await.status
    }))
    .await;
    assert_eq!(
        racing.iter().filter(|&&status| status == 201).count(),
        1,
        "{racing:?}"
    );
    assert_eq!(
        racing.iter().filter(|&&status| status == 409).count(),
        7,
        "{racing:?}"
    );
}

#[tokio::test]
async fn logging_in_by_name_or_address() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let names = [
        ann.username.clone(),
        ann.username.to_uppercase(),
        ann.email.clone(),
        ann.email.to_uppercase(),
    ];
    for identifier in names {
        let body = json!({"identifier": identifier, "password": ann.password, "device": "a phone"});
        let tokens = app
            .anonymous()
            .post("/v1/auth/login", body)
            .await
            .expect(200);
        assert_keys(&tokens, &TOKEN_KEYS);
        assert_eq!(tokens["user"]["id"], ann.id.as_str());
        assert_ne!(
            tokens["session_id"],
            ann.session_id.as_str(),
            "a session of its own"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_answered_as_an_unknown_user_is() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let mut answers = Vec::new();
    for (identifier, password) in [
        (ann.username.as_str(), "not the password"),
        (ann.email.as_str(), "not the password"),
        ("nobody-of-this-name", ann.password.as_str()),
        ("nobody@nowhere.example", ann.password.as_str()),
    ] {
        let body = json!({"identifier": identifier, "password": password});
        let problem = app
            .anonymous()
            .post("/v1/auth/login", body)
            .await
            .problem_code(401, "invalid_credentials");
        answers.push(["type", "title", "status", "detail", "code"].map(|key| problem[key].clone()));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn refreshing_rotates_and_reuse_ends_the_session() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let other = ann.on_another_device("laptop").await;

    let first = refresh(&app, &ann.refresh_token).await.expect(200);
    assert_keys(&first, &TOKEN_KEYS);
    assert_eq!(
        first["session_id"],
        ann.session_id.as_str(),
        "still the same session"
    );
    assert_ne!(first["refresh_token"], ann.refresh_token.as_str());
    let second = refresh(&app, first["refresh_token"].as_str().unwrap())
        .await
        .expect(200);
    let access = second["access_token"].as_str().unwrap();
    app.bearing(access).get("/v1/users/me").await.expect(200);

    let mut socket = app.stranger().await;
    socket.ok("auth", json!({"token": access})).await;
    refresh(&app, &ann.refresh_token)
        .await
        .problem_code(401, "refresh_reused");
    assert_eq!(socket.closed_with().await, 4409);
    refresh(&app, second["refresh_token"].as_str().unwrap())
        .await
        .problem(401);
    app.bearing(access)
        .get("/v1/users/me")
        .await
        .problem_code(401, "session_revoked");
    other.get("/v1/users/me").await.expect(200);
    refresh(&app, "not a token")
        .await
        .problem_code(401, "token_invalid");
}

#[tokio::test]
async fn of_simultaneous_refreshes_with_one_token_one_succeeds() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let replies = join_all((0..8).map(|_| refresh(&app, &ann.refresh_token))).await;
    let won: Vec<&Value> = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| &reply.body)
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply.status, 200 | 401))
    );
    // the others showed a token that had been used: nobody knows which of them was the thief
    refresh(&app, won[0]["refresh_token"].as_str().unwrap())
        .await
        .problem(401);
    app.bearing(won[0]["access_token"].as_str().unwrap())
        .get("/v1/users/me")
        .await
        .problem(401);
}

#[tokio::test]
async fn logging_out_ends_this_session_and_its_sockets_alone() {
    let app = TestApp::shared().await;
    let phone = app.user("ann").await;
    let laptop = phone.on_another_device("laptop").await;
    let mut ended = [phone.ws().await, phone.ws().await];
    let mut alive = laptop.ws().await;

    assert_eq!(
        phone.post("/v1/auth/logout", json!({})).await.expect(204),
        Value::Null
    );
    for socket in &mut ended {
        assert_eq!(socket.closed_with().await, 4409);
    }
    phone
        .get("/v1/users/me")
        .await
        .problem_code(401, "session_revoked");
    phone.post("/v1/auth/logout", json!({})).await.problem(401);
    refresh(&app, &phone.refresh_token).await.problem(401);
    alive.ok("ping", json!({})).await;
    laptop.get("/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let app = TestApp::shared().await;
    let phone = app.user("ann").await;
    let others: [User; 2] = [
        phone.on_another_device("laptop").await,
        phone.on_another_device("tv").await,
    ];
    let mut alive = phone.ws().await;
    let mut ended = [others[0].ws().await, others[1].ws().await];

    let change = async |current: &str, new: &str| {
        phone
            .put(
                "/v1/auth/password",
                json!({"current_password": current, "new_password": new}),
            )
            .await
    };
    change("not the password", "another password")
        .await
        .problem_code(401, "invalid_credentials");
    change(&phone.password, "x")
        .await
        .refuses(&["new_password"]);
    for other in &others {
        other.get("/v1/users/me").await.expect(200);
    }
    change(&phone.password, "another password")
        .await
        .expect(204);

    for (other, socket) in others.iter().zip(&mut ended) {
        assert_eq!(socket.closed_with().await, 4409);
        other
            .get("/v1/users/me")
            .await
            .problem_code(401, "session_revoked");
        refresh(&app, &other.refresh_token).await.problem(401);
    }
    alive.ok("ping", json!({})).await;
    phone.get("/v1/users/me").await.expect(200);
    let login = async |password: &str| {
        let body = json!({"identifier": phone.username, "password": password});
        app.anonymous().post("/v1/auth/login", body).await
    };
    login(&phone.password)
        .await
        .problem_code(401, "invalid_credentials");
    login("another password").await.expect(200);
}
