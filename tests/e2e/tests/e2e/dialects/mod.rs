//! The dialects: each route and event of each, and what is done in one told in the others.

mod connexus;
mod direct;
mod forms;
mod mern;
mod rooms;
mod secured;
mod world;

use connexus_e2e::{Http, SioSocket, TestApp, connect_socketio, unique};
use serde_json::{Value, json};

/// A user as a dialect's client sees itself.
pub struct Person {
    http: Http,
    /// The dialect's name, which is its base path.
    pub dialect: &'static str,
    /// Names the user.
    pub id: String,
    /// Unique; also the name, where a dialect asks for a name.
    pub name: String,
    /// Unique.
    pub email: String,
    /// This session's token.
    pub token: String,
    address: String,
}

/// The password of everybody.
pub const PASSWORD: &str = "Secret12";

impl std::ops::Deref for Person {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.http
    }
}

impl Person {
    /// Registers under the dialect's base path, with `body` and an e-mail address of the test's own; finds
    /// token and id in the answer where this dialect has them.
    pub async fn register(app: &TestApp, dialect: &'static str, stem: &str) -> Self {
        let name = unique(stem);
        let email = format!("{name}@example.org");
        let (route, body) = match dialect {
            "connexus" => ("api/auth/register", json!({"name": name})),
            "rooms" => ("api/auth/register", json!({"username": name})),
            "mern" => ("api/user/register", json!({"name": name})),
            "direct" => (
                "api/auth/register",
                json!({"username": name, "confirmPassword": PASSWORD}),
            ),
            "secured" => ("api/v1/users/register", json!({"username": name})),
            other => panic!("no dialect {other}"),
        };
        let mut body = body;
        body["email"] = json!(email);
        body["password"] = json!(PASSWORD);
        let answer = app
            .anonymous()
            .post(&format!("/{dialect}/{route}"), body)
            .await
            .expect(201);
        let data = if dialect == "mern" {
            &answer
        } else {
            &answer["data"]
        };
        let user = if dialect == "mern" {
            data
        } else {
            &data["user"]
        };
        let id = user.get("_id").or_else(|| user.get("id")).unwrap();
        let token = data["token"].as_str().unwrap().to_owned();
        Self {
            http: app.bearing(&token),
            dialect,
            id: id.as_str().unwrap().to_owned(),
            name,
            email,
            token,
            address: app.address(),
        }
    }

    /// A path of this dialect.
    pub fn path(&self, route: &str) -> String {
        format!("/{}{route}", self.dialect)
    }

    /// The path of this dialect's sockets.
    pub fn socket_path(&self) -> String {
        self.path("/socket.io/")
    }

    /// A socket that says who it is in the handshake.
    pub async fn socket(&self) -> SioSocket {
        let auth = json!({"token": self.token});
        connect_socketio(&self.address, &self.socket_path(), auth)
            .await
            .unwrap()
    }

    /// A socket that has said nothing yet.
    pub async fn silent_socket(&self) -> SioSocket {
        connect_socketio(&self.address, &self.socket_path(), Value::Null)
            .await
            .unwrap()
    }
}
