//! Chats of two and groups.

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{CHAT, USER, direct, group, ids, keys, people, said, sorted};
use crate::dialects::Person;

#[tokio::test]
async fn a_chat_of_two() {
    // POST /api/chat, GET /api/chat
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let made = direct(&ann, &bob).await;
    assert_eq!(keys(&made), CHAT);
    assert_eq!(made["isGroupChat"], false);
    assert_eq!(made["chatName"], "sender");
    assert_eq!(made["groupAdmin"], Value::Null);
    assert_eq!(made["latestMessage"], Value::Null);
    assert_eq!(ids(&made["users"]), sorted([&ann, &bob]));
    assert_eq!(keys(&made["users"][0]), USER);
    assert_eq!(direct(&ann, &bob).await, made, "fetched");
    assert_eq!(direct(&bob, &ann).await, made, "the same from both sides");
    let whole = json!({"userId": made["users"][usize::from(made["users"][0]["_id"] == ann.id)]});
    let again = ann.post("/api/chat", whole).await.expect(200);
    assert_eq!(again, made, "the whole user instead of its id");
    assert_eq!(ann.get("/api/chat").await.expect(200), json!([made]));

    for (body, status, expected) in [
        (json!({}), 400, "UserId param not sent with request"),
        (
            json!({"userId": ann.id}),
            400,
            "You cannot chat with yourself",
        ),
        (json!({"userId": nobody()}), 404, "User not found"),
        (json!({"userId": "x".repeat(9_999)}), 404, "User not found"),
        (
            json!({"userId": {"$gt": ""}}),
            400,
            "userId must be the id of a user",
        ),
        (
            json!({"userId": [1]}),
            400,
            "userId must be the id of a user",
        ),
    ] {
        let refused = ann.post("/mern/api/chat", body).await.expect(status);
        assert_eq!(said(&refused), expected);
    }
}

#[tokio::test]
async fn a_group_is_made() {
    // POST /api/chat/group
    let app = TestApp::shared().await;
    let [ann, bob, cy] = people(&app, ["ann", "bob", "cy"]).await;
    let path = "/mern/api/chat/group";
    let objects = json!([{"_id": bob.id, "name": "x"}, {"_id": cy.id}, {"_id": ann.id}]);
    for users in [
        json!([bob.id, cy.id]),
        json!(json!([bob.id, cy.id, cy.id]).to_string()),
        objects.clone(),
        json!(objects.to_string()),
    ] {
        let body = json!({"name": "Friends", "users": users});
        let made = ann.post(path, body).await.expect(200);
        assert_eq!(keys(&made), CHAT);
        assert_eq!(made["chatName"], "Friends");
        assert_eq!(made["isGroupChat"], true);
        assert_eq!(ids(&made["users"]), sorted([&ann, &bob, &cy]));
        assert_eq!(made["groupAdmin"]["_id"], ann.id);
        assert_eq!(keys(&made["groupAdmin"]), USER);
    }
    let form = [
        ("name", "Form"),
        ("users", &*json!([bob.id, cy.id]).to_string()),
    ]
    .map(|(name, value)| format!("{name}={}", value.replace('"', "%22")));
    let request = ann.request("POST".parse().unwrap(), path);
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.join("&"));
    assert_eq!(ann.send(request).await.expect(200)["chatName"], "Form");

    let few = "More than 2 users are required to form a group chat";
    let fill = "Please Fill all the feilds";
    for (body, status, expected) in [
        (json!({"name": "x"}), 400, fill),
        (json!({"users": [bob.id, cy.id]}), 400, fill),
        (json!({"name": " ", "users": [bob.id, cy.id]}), 400, fill),
        (json!({"name": "x", "users": ""}), 400, fill),
        (json!({"name": "x", "users": []}), 400, few),
        (json!({"name": "x", "users": [bob.id]}), 400, few),
        (json!({"name": "x", "users": [bob.id, bob.id]}), 400, few),
        (json!({"name": "x", "users": [ann.id, bob.id]}), 400, few),
        (
            json!({"name": "x", "users": "[\"\"]"}),
            404,
            "User not found",
        ),
        (
            json!({"name": "x", "users": [bob.id, nobody()]}),
            404,
            "User not found",
        ),
        (
            json!({"name": "x", "users": "not json"}),
            400,
            "users must be a list of users",
        ),
        (
            json!({"name": "x", "users": {"$gt": ""}}),
            400,
            "users must be a list of users",
        ),
        (
            json!({"name": "x", "users": [1, 2]}),
            400,
            "userId must be the id of a user",
        ),
        (
            json!({"name": 5, "users": [bob.id, cy.id]}),
            400,
            "name must be a string",
        ),
        (
            json!({"name": "x".repeat(101), "users": [bob.id, cy.id]}),
            400,
            "name must have at most 100 characters",
        ),
    ] {
        let refused = ann.post(path, body.clone()).await.expect(status);
        assert_eq!(said(&refused), expected, "{body}");
    }
}

#[tokio::test]
async fn a_group_is_renamed() {
    // PUT /api/chat/grouprename, PUT /api/chat/rename
    let app = TestApp::shared().await;
    let [ann, bob, cy, eve] = people(&app, ["ann", "bob", "cy", "eve"]).await;
    let made = group(&ann, &[&bob, &cy]).await;
    let two = direct(&ann, &bob).await;
    for path in ["/mern/api/chat/grouprename", "/mern/api/chat/rename"] {
        for chat in [&made["_id"], &made] {
            let name = unique("name");
            let body = json!({"chatId": chat, "chatName": name});
            let renamed = ann.put(path, body).await.expect(200);
            assert_eq!(keys(&renamed), CHAT);
            assert_eq!(renamed["chatName"], name);
            assert_eq!(renamed["_id"], made["_id"]);
            assert_eq!(renamed["users"], made["users"]);
        }
        let body = |chat: &Value| json!({"chatId": chat, "chatName": "x"});
        let not_member = "You are not a member of this chat";
        for (who, body, status, expected) in [
            (&bob, body(&made["_id"]), 403, "Only admins can do this"),
            (&eve, body(&made["_id"]), 403, not_member),
            (&ann, body(&two["_id"]), 403, "This is not a group chat"),
            (&ann, body(&json!(nobody())), 404, "Chat Not Found"),
            (&ann, body(&json!("x")), 404, "Chat Not Found"),
            (&ann, body(&json!(null)), 400, "chatId is required"),
            (
                &ann,
                body(&json!({"$gt": ""})),
                400,
                "chatId must be an id or a chat",
            ),
            (
                &ann,
                json!({"chatId": made["_id"]}),
                400,
                "chatName is required",
            ),
            (
                &ann,
                json!({"chatId": made["_id"], "chatName": " "}),
                400,
                "name must not be empty",
            ),
        ] {
            let refused = who.put(path, body.clone()).await.expect(status);
            assert_eq!(said(&refused), expected, "{body}");
        }
    }
}

#[tokio::test]
async fn users_are_added_and_removed() {
    // PUT /api/chat/groupadd, PUT /api/chat/groupremove
    let app = TestApp::shared().await;
    let [ann, bob, cy, dan] = people(&app, ["ann", "bob", "cy", "dan"]).await;
    let made = group(&ann, &[&bob, &cy]).await;
    let (add, remove) = ("/mern/api/chat/groupadd", "/mern/api/chat/groupremove");
    let body = |who: &Person| json!({"chatId": made["_id"], "userId": who.id});
    for path in [add, remove] {
        for (who, body, status, expected) in [
            (&bob, body(&cy), 403, "Only admins can do this"),
            (&dan, body(&cy), 403, "You are not a member of this chat"),
            (
                &ann,
                json!({"chatId": nobody(), "userId": dan.id}),
                404,
                "Chat Not Found",
            ),
            (&ann, json!({"userId": dan.id}), 400, "chatId is required"),
            (
                &ann,
                json!({"chatId": made["_id"], "userId": {"$gt": ""}}),
                400,
                "userId must be the id of a user",
            ),
        ] {
            let refused = who.put(path, body.clone()).await.expect(status);
            assert_eq!(said(&refused), expected, "{path} {body}");
        }
    }
    let unknown = json!({"chatId": made["_id"], "userId": nobody()});
    let refused = ann.put(add, unknown.clone()).await.expect(404);
    assert_eq!(said(&refused), "User not found");
    let refused = ann.put(remove, unknown).await.expect(404);
    assert_eq!(said(&refused), "User is not in this chat");

    for _ in 0..2 {
        let four = ann.put(add, body(&dan)).await.expect(200);
        assert_eq!(keys(&four), CHAT);
        assert_eq!(ids(&four["users"]), sorted([&ann, &bob, &cy, &dan]));
    }
    assert_eq!(
        dan.get("/mern/api/chat").await.expect(200)[0]["_id"],
        made["_id"]
    );
    let three = ann.put(remove, body(&dan)).await.expect(200);
    assert_eq!(ids(&three["users"]), sorted([&ann, &bob, &cy]));
    assert_eq!(dan.get("/mern/api/chat").await.expect(200), json!([]));

    // anybody may leave; when the admin does, somebody else is it
    let left = bob.put(remove, body(&bob)).await.expect(200);
    assert_eq!(keys(&left), CHAT);
    assert_eq!(ids(&left["users"]), sorted([&ann, &cy]));
    assert_eq!(left["groupAdmin"]["_id"], ann.id);
    let left = ann.put(remove, body(&ann)).await.expect(200);
    assert_eq!(left["groupAdmin"]["_id"], cy.id);
    let chats = cy.get("/mern/api/chat").await.expect(200);
    assert_eq!(chats[0]["groupAdmin"], left["groupAdmin"]);
    assert_eq!(chats[0]["users"], left["users"]);
    let empty = cy.put(remove, body(&cy)).await.expect(200);
    assert_eq!(empty["users"], json!([]));
    let gone = cy.put(add, body(&bob)).await.expect(404);
    assert_eq!(said(&gone), "Chat Not Found");
}
