//! Who may do what to whom in a group.

use connexus_e2e::{TestApp, User, nobody};
use serde_json::{Value, json};

use crate::common::{assert_time, items, texts};

const ROLES: [&str; 3] = ["owner", "admin", "member"];

/// A group in which `by` and `target` have these roles, besides the owner who made it.
async fn group_with(app: &TestApp, by: &User, by_role: &str, target: &User, role: &str) -> String {
    let maker = app.user("maker").await;
    let group = maker.group([by, target]).await;
    for (user, role) in [(by, by_role), (target, role)] {
        set_role(&maker, &group, user, role).await.expect(200);
    }
    group
}

async fn set_role(by: &User, group: &str, user: &User, role: &str) -> connexus_e2e::Reply {
    by.patch(
        &format!("/v1/conversations/{group}/members/{}", user.id),
        json!({"role": role}),
    )
    .await
}

async fn remove(by: &User, group: &str, user: &User) -> connexus_e2e::Reply {
    by.delete(&format!("/v1/conversations/{group}/members/{}", user.id))
        .await
}

async fn members(viewer: &User, group: &str) -> Vec<Value> {
    items(
        &viewer
            .get(&format!("/v1/conversations/{group}/members?limit=100"))
            .await
            .expect(200),
    )
}

async fn role_of(viewer: &User, group: &str, user: &User) -> Value {
    let members = members(viewer, group).await;
    let found = members
        .iter()
        .find(|member| member["user"]["id"] == user.id.as_str());
    found.unwrap_or_else(|| panic!("not a member: {members:?}"))["role"].clone()
}

#[tokio::test]
async fn who_may_remove_whom() {
    let app = TestApp::shared().await;
    let [by, target] = app.users(["by", "target"]).await;
    for by_role in ROLES {
        for role in ROLES {
            let allowed = by_role == "owner" || (by_role == "admin" && role == "member");
            let group = group_with(&app, &by, by_role, &target, role).await;
            let reply = remove(&by, &group, &target).await;
            let what = format!("{by_role} removes {role}: {}", reply.text);
            assert_eq!(reply.status, if allowed { 204 } else { 403 }, "{what}");
            // everybody may leave
            remove(&by, &group, &by).await.expect(204);
        }
    }
}

#[tokio::test]
async fn who_may_give_which_role() {
    let app = TestApp::shared().await;
    let [by, target] = app.users(["by", "target"]).await;
    for by_role in ROLES {
        for role in ROLES {
            let group = group_with(&app, &by, by_role, &target, role).await;
            for new in ROLES {
                // an admin deals with members alone, and raises nobody to the own role or above
                let allowed = by_role == "owner"
                    || (by_role == "admin" && role == "member" && new == "member");
                let reply = set_role(&by, &group, &target, new).await;
                let what = format!("{by_role} makes {role} {new}: {}", reply.text);
                assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{what}");
                if allowed {
                    assert_eq!(reply.body["role"], new);
                    set_role(&by, &group, &target, role).await.expect(200);
                }
            }
        }
    }
}

#[tokio::test]
async fn nobody_raises_oneself_and_everybody_may_step_down() {
    let app = TestApp::shared().await;
    let [owner, admin, plain] = app.users(["owner", "admin", "plain"]).await;
    let group = owner.group([&admin, &plain]).await;
    set_role(&owner, &group, &admin, "admin").await.expect(200);
    set_role(&admin, &group, &admin, "owner")
        .await
        .problem_code(403, "role_too_low");
    set_role(&plain, &group, &plain, "admin")
        .await
        .problem_code(403, "role_too_low");
    set_role(&admin, &group, &admin, "member").await.expect(200);
    assert_eq!(role_of(&owner, &group, &admin).await, "member");

    set_role(&owner, &group, &owner, "member")
        .await
        .problem_code(403, "last_owner");
    assert_eq!(
        role_of(&owner, &group, &owner).await,
        "owner",
        "the last owner stays"
    );
    set_role(&owner, &group, &plain, "owner").await.expect(200);
    set_role(&owner, &group, &owner, "member").await.expect(200);
    for wrong in [json!("king"), json!(""), json!("Owner")] {
        let path = format!("/v1/conversations/{group}/members/{}", owner.id);
        plain
            .patch(&path, json!({"role": wrong}))
            .await
            .refuses(&["role"]);
    }
    let path = format!("/v1/conversations/{group}/members/{}", nobody());
    plain
        .patch(&path, json!({"role": "admin"}))
        .await
        .problem(404);
    plain.delete(&path).await.problem(404);
}

#[tokio::test]
async fn the_last_owner_hands_over() {
    let app = TestApp::shared().await;
    let [owner, eldest, admin, later] = app.users(["owner", "eldest", "admin", "later"]).await;
    let group = owner.group([&eldest, &admin, &later]).await;
    set_role(&owner, &group, &admin, "admin").await.expect(200);
    let mut laters = later.ws().await;

    remove(&owner, &group, &owner).await.expect(204);
    assert_eq!(
        role_of(&later, &group, &admin).await,
        "owner",
        "the highest role first"
    );
    let left = laters.expect_event("member.left").await;
    assert_eq!(left["data"]["user_id"], owner.id.as_str());
    let promoted = laters.expect_event("member.updated").await;
    assert_eq!(promoted["data"]["user_id"], admin.id.as_str());
    assert_eq!(promoted["data"]["role"], "owner");
    assert_eq!(
        promoted["rev"].as_i64().unwrap(),
        left["rev"].as_i64().unwrap() + 1
    );

    for user in [&admin, &eldest, &later] {
        remove(user, &group, user).await.expect(204);
    }
    later
        .get(&format!("/v1/conversations/{group}"))
        .await
        .problem(404);
}

#[tokio::test]
async fn members_are_added_and_told() {
    let app = TestApp::shared().await;
    let [owner, plain, new, other] = app.users(["owner", "plain", "new", "other"]).await;
    let group = owner.group([&plain]).await;
    owner.say(&group, "before").await;
    let path = format!("/v1/conversations/{group}/members");
    let (mut plains, mut news) = (plain.ws().await, new.ws().await);

    plain
        .post(&path, json!({"user_ids": [new.id]}))
        .await
        .problem_code(403, "role_too_low");
    owner
        .post(&path, json!({"user_ids": [new.id, nobody()]}))
        .await
        .problem(404);
    owner
        .post(&path, json!({"user_ids": []}))
        .await
        .refuses(&["user_ids"]);
    assert_eq!(
        members(&owner, &group).await.len(),
        2,
        "nobody was added by those"
    );
    let before = owner.conversation(&group).await["rev"].as_i64().unwrap();
    let added = items(
        &owner
            .post(&path, json!({"user_ids": [new.id, plain.id, other.id]}))
            .await
            .expect(201),
    );
    assert_eq!(added.len(), 2, "who is there already did not come");

    let joined = plains.expect_event("member.joined").await;
    assert_eq!(
        (&joined["data"]["user"]["id"], &joined["rev"]),
        (&json!(new.id), &json!(before + 1))
    );
    assert_eq!(
        plains.expect_event("member.joined").await["rev"],
        before + 2
    );
    let created = news.expect_event("conversation.created").await;
    assert_eq!(created["conversation_id"], group.as_str());
    assert_eq!(created["data"]["me"]["role"], "member");
    let seen = new.conversation(&group).await;
    assert_eq!(
        (&seen["me"]["unread_count"], &seen["me"]["read_seq"]),
        (&json!(0), &json!(1))
    );
    owner.say(&group, "after").await;
    assert_eq!(
        news.expect_event("message.created").await["data"]["body"],
        "after"
    );
    assert_eq!(new.conversation(&group).await["me"]["unread_count"], 1);

    let listed = members(&owner, &group).await;
    let mut expected: Vec<&str> = [&owner, &plain, &new, &other]
        .iter()
        .map(|user| user.id.as_str())
        .collect();
    expected.sort_unstable();
    let users: Vec<Value> = listed.iter().map(|member| member["user"].clone()).collect();
    assert_eq!(texts(&users, "id"), expected, "in the order of ids");
    for member in &listed {
        assert_time(&member["joined_at"]);
    }
}

#[tokio::test]
async fn who_was_removed_is_out() {
    let app = TestApp::shared().await;
    let [owner, plain, gone] = app.users(["owner", "plain", "gone"]).await;
    let group = owner.group([&plain, &gone]).await;
    let message = gone.say(&group, "mine").await;
    let (mut plains, mut gones) = (plain.ws().await, gone.ws().await);
    remove(&owner, &group, &gone).await.expect(204);

    for socket in [&mut plains, &mut gones] {
        let event = socket.expect_event("member.left").await;
        assert_eq!(event["conversation_id"], group.as_str());
        assert_eq!(event["data"]["user_id"], gone.id.as_str());
    }
    let path = format!("/v1/conversations/{group}");
    for part in ["", "/messages", "/members"] {
        gone.get(&format!("{path}{part}"))
            .await
            .problem_code(403, "not_member");
    }
    gone.post(&format!("{path}/messages"), json!({"body": "still here?"}))
        .await
        .problem_code(403, "not_member");
    gones
        .refused(
            "message.send",
            json!({"conversation_id": group, "body": "still here?"}),
        )
        .await;
    let own = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    gone.patch(&own, json!({"body": "changed"}))
        .await
        .problem(404);
    assert!(items(&gone.get("/v1/conversations").await.expect(200)).is_empty());
    remove(&owner, &group, &gone).await.problem(404);

    // nothing of it is told to who is out: the sentinel comes after what is said there
    owner.say(&group, "without you").await;
    assert_eq!(
        plains.expect_event("message.created").await["data"]["body"],
        "without you"
    );
    let direct = owner.direct(&gone).await;
    owner.say(&direct, "sorry").await;
    let seen = gones
        .events_until(|event| event["data"]["body"] == "sorry")
        .await;
    assert!(
        seen.iter()
            .all(|event| event["data"]["body"] != "without you"),
        "{seen:?}"
    );
}
