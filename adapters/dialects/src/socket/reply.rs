//! Answers to events.

use connexus_socketio::Ack;
use serde_json::{Value, json};

use super::Conn;
use crate::refused::{Refused, Result};

/// Acknowledges an event that wants it with `{success, data}` or `{success: false, error}`; what was not done is
/// told by the dialect's error event, too.
pub fn reply(
    conn: &Conn,
    ack: Option<Ack>,
    done: Result<Value>,
    complaint: impl Fn(&Refused) -> Value,
) {
    match done {
        Ok(data) => {
            if let Some(ack) = ack {
                let mut answer = json!({"success": true});
                if let Value::Object(fields) = &data {
                    for (name, value) in fields {
                        answer[name] = value.clone();
                    }
                }
                ack.send(&(answer,));
            }
        }
        Err(refused) => {
            refused.log();
            let complaint = complaint(&refused);
            if let Some(ack) = ack {
                let message = complaint.get("message").cloned();
                ack.send(&(json!({"success": false, "error": message, "details": complaint}),));
            }
            conn.socket.emit("error", &(complaint,));
        }
    }
}
