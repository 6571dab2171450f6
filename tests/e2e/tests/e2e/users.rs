//! Profiles and search of users.

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use crate::common::{USER_KEYS, assert_keys, items, texts};

#[tokio::test]
async fn a_user_changes_the_own_profile() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let change = json!({
        "display_name": "  Ann Änderson ", "bio": "first line\nsecond line", "avatar_url": "https://example.org/a.png",
        "status": "busy", "status_text": "in a meeting",
        "privacy": {"presence": "contacts", "read_receipts": false, "searchable": false},
    });
    let changed = ann.patch("/v1/users/me", change).await.expect(200);
    assert_eq!(changed["display_name"], "Ann Änderson", "trimmed");
    assert_eq!(changed["bio"], "first line\nsecond line");
    assert_eq!(changed["avatar_url"], "https://example.org/a.png");
    assert_eq!(changed["status_text"], "in a meeting");
    assert_eq!(
        changed["privacy"],
        json!({"presence": "contacts", "read_receipts": false, "searchable": false})
    );
    assert_eq!(ann.get("/v1/users/me").await.expect(200), changed);

    // what is not named stays, also inside of privacy
    let changed = ann
        .patch("/v1/users/me", json!({"privacy": {"searchable": true}}))
        .await
        .expect(200);
    assert_eq!(
        changed["privacy"],
        json!({"presence": "contacts", "read_receipts": false, "searchable": true})
    );
    assert_eq!(changed["bio"], "first line\nsecond line");
    // null and nothing but white space empty a field
    let change = json!({"bio": null, "avatar_url": null, "status_text": " "});
    let changed = ann.patch("/v1/users/me", change).await.expect(200);
    assert_eq!(
        [
            &changed["bio"],
            &changed["avatar_url"],
            &changed["status_text"]
        ],
        [&Value::Null; 3]
    );

    let seen = bob.get(&format!("/v1/users/{}", ann.id)).await.expect(200);
    assert_keys(&seen, &USER_KEYS);
    assert_eq!(seen["display_name"], "Ann Änderson");
    assert_eq!(seen["username"], ann.username.as_str());
    bob.get(&format!("/v1/users/{}", nobody()))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_profile_keeps_its_rules() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let before = ann.get("/v1/users/me").await.expect(200);
    let all = json!({
        "display_name": "", "bio": "b".repeat(501), "avatar_url": "javascript:alert(1)",
        "status_text": "t".repeat(141),
    });
    let reply = ann.patch("/v1/users/me", all).await;
    reply.refuses(&["display_name", "bio", "avatar_url", "status_text"]);
    for (field, value) in [
        ("display_name", json!("n".repeat(51))),
        ("display_name", json!("nul\u{0}")),
        ("bio", json!("bell\u{7}")),
        ("avatar_url", json!("https://example.org/a b")),
        ("status_text", json!("two\nlines")),
    ] {
        ann.patch("/v1/users/me", json!({field: value}))
            .await
            .refuses(&[field]);
    }
    for value in ["offline", "Online", ""] {
        ann.patch("/v1/users/me", json!({"status": value}))
            .await
            .refuses(&["status"]);
    }
    assert_eq!(
        ann.get("/v1/users/me").await.expect(200),
        before,
        "nothing of it was taken"
    );
    // characters are counted, not bytes
    ann.patch("/v1/users/me", json!({"display_name": "ä".repeat(50)}))
        .await
        .expect(200);
}

#[tokio::test]
async fn users_are_found_by_the_start_of_either_name() {
    let app = TestApp::shared().await;
    let stem = unique("q");
    let [viewer, first, second, hidden] = app
        .users([stem.as_str(), stem.as_str(), "other", stem.as_str()])
        .await;
    second
        .patch(
            "/v1/users/me",
            json!({"display_name": format!("{} Second", stem.to_uppercase())}),
        )
        .await
        .expect(200);
    hidden
        .patch("/v1/users/me", json!({"privacy": {"searchable": false}}))
        .await
        .expect(200);
    let find = async |query: &str| {
        let mut ids = texts(
            &items(
                &viewer
                    .get(&format!("/v1/users?query={query}"))
                    .await
                    .expect(200),
            ),
            "id",
        );
        ids.sort();
        ids
    };
    let mut both = vec![first.id.clone(), second.id.clone()];
    both.sort();
    assert_eq!(
        find(&stem).await,
        both,
        "neither oneself nor who does not want to be found"
    );
    assert_eq!(find(&stem.to_uppercase()).await, both);
    assert_eq!(find(&first.username).await, [first.id.as_str()]);
    assert_eq!(find(&unique("nobody")).await, Vec::<String>::new());
    assert_eq!(find("%25").await, Vec::<String>::new(), "no wildcard");
    assert_eq!(find("_").await, Vec::<String>::new(), "no wildcard");

    viewer
        .put(&format!("/v1/users/me/blocks/{}", first.id), Value::Null)
        .await
        .expect(204);
    assert_eq!(
        find(&stem).await,
        [second.id.as_str()],
        "not whom one blocks"
    );
    second
        .put(&format!("/v1/users/me/blocks/{}", viewer.id), Value::Null)
        .await
        .expect(204);
    assert_eq!(
        find(&stem).await,
        Vec::<String>::new(),
        "not who blocks one"
    );
}

#[tokio::test]
async fn a_search_of_users_is_paged_without_gap_or_repetition() {
    let app = TestApp::shared().await;
    let viewer = app.user("viewer").await;
    let stem = unique("p");
    let mut expected: Vec<String> = app
        .users([stem.as_str(); 7])
        .await
        .iter()
        .map(|user| user.id.clone())
        .collect();
    expected.sort();
    let (mut found, mut pages, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = viewer
            .get(&format!("/v1/users?query={stem}&limit=3{cursor}"))
            .await
            .expect(200);
        assert_keys(&page, &["items", "next_cursor"]);
        let ids = texts(&items(&page), "id");
        pages.push(ids.len());
        found.extend(ids);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [3, 3, 1]);
    assert_eq!(found, expected, "in the order of ids");

    for query in ["limit=0", "limit=101", "limit=-1", "limit=x"] {
        viewer
            .get(&format!("/v1/users?{query}"))
            .await
            .refuses(&["limit"]);
    }
    viewer
        .get("/v1/users?cursor=nonsense")
        .await
        .refuses(&["cursor"]);
}
