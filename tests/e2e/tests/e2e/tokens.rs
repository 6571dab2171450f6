//! Access tokens that were not issued here, were altered, or are over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connexus_e2e::{SECRET, TestApp, eventually};
use jsonwebtoken::{Algorithm, EncodingKey, decode_header, encode};
use serde_json::{Value, json};

fn part(token: &str, at: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(at).unwrap())
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn raw(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// Claims signed as the server signs, with the same key id.
fn signed(model: &str, algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    let mut header = decode_header(model).unwrap();
    header.alg = algorithm;
    encode(
        &header,
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}

#[tokio::test]
async fn only_tokens_issued_here_and_not_over_are_taken() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let claims = part(&ann.access_token, 1);
    for claim in ["sub", "sid", "iss", "aud", "iat", "exp"] {
        assert!(!claims[claim].is_null(), "{claims}");
    }
    assert_eq!(claims["sub"], ann.id.as_str());
    assert_eq!(claims["sid"], ann.session_id.as_str());

    let sign =
        |claims: &Value, secret: &str| signed(&ann.access_token, Algorithm::HS256, claims, secret);
    let again = sign(&claims, SECRET);
    app.bearing(&again).get("/v1/users/me").await.expect(200);

    let with = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        claims
    };
    let without = |key: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(key);
        claims
    };
    let issued = claims["iat"].as_i64().unwrap();
    let mut over = with("exp", json!(issued - 3_600));
    over["iat"] = json!(issued - 7_200);
    let [header, body, signature] = *ann.access_token.split('.').collect::<Vec<_>>() else {
        panic!()
    };
    let refused = [
        ("over", sign(&over, SECRET)),
        ("endless", sign(&without("exp"), SECRET)),
        (
            "another secret",
            sign(&claims, "another secret, long enough for all"),
        ),
        ("no secret", sign(&claims, "")),
        (
            "another algorithm",
            signed(&ann.access_token, Algorithm::HS512, &claims, SECRET),
        ),
        (
            "another issuer",
            sign(&with("iss", json!("somebody")), SECRET),
        ),
        (
            "another audience",
            sign(&with("aud", json!("somebody")), SECRET),
        ),
        ("no session", sign(&without("sid"), SECRET)),
        (
            "another's session",
            sign(&with("sid", json!(bob.session_id)), SECRET),
        ),
        ("another's name", sign(&with("sub", json!(bob.id)), SECRET)),
        (
            "altered body",
            format!("{header}.{}.{signature}", raw(&with("sub", json!(bob.id)))),
        ),
        (
            "no algorithm",
            format!("{}.{body}.", raw(&json!({"alg": "none", "typ": "JWT"}))),
        ),
        (
            "no algorithm, signed",
            format!("{}.{body}.{signature}", raw(&json!({"alg": "none"}))),
        ),
        ("no signature", format!("{header}.{body}.")),
        ("two parts", format!("{header}.{body}")),
        ("a refresh token", ann.refresh_token.clone()),
        ("words", "garbage".to_owned()),
        ("long", "x".repeat(6_000)),
    ];
    for (what, token) in refused {
        let reply = app.bearing(&token).get("/v1/users/me").await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text);
        reply.problem(401);
    }
}

#[tokio::test]
async fn a_token_is_taken_from_the_authorization_header_alone() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let client = app.anonymous();
    for path in ["access_token", "token"] {
        client
            .get(&format!("/v1/users/me?{path}={}", ann.access_token))
            .await
            .problem(401);
    }
    let get = |value: String| {
        client
            .request(reqwest::Method::GET, "/v1/users/me")
            .header("authorization", value)
    };
    // the scheme's name has no case (RFC 9110, 11.1)
    client
        .send(get(format!("bearer {}", ann.access_token)))
        .await
        .expect(200);
    for value in [
        ann.access_token.clone(),
        format!("Basic {}", ann.access_token),
        "Bearer".to_owned(),
    ] {
        client.send(get(value)).await.problem(401);
    }
}

#[tokio::test]
async fn an_access_token_has_its_time_and_the_refresh_token_gives_another() {
    let app = TestApp::with(&[("CONNEXUS__AUTH__ACCESS_TTL_S", "1")]).await;
    let ann = app.user("ann").await;
    let over = eventually("the token to be over", async || {
        let reply = ann.get("/v1/users/me").await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    over.problem_code(401, "token_expired");
    let body = json!({"refresh_token": ann.refresh_token});
    let tokens = app
        .anonymous()
        .post("/v1/auth/refresh", body)
        .await
        .expect(200);
    assert_eq!(tokens["expires_in"], 1);
    assert_ne!(tokens["access_token"], ann.access_token.as_str());
}
