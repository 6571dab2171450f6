//! What the running server promises, told from outside: REST, WebSocket, signals and a restart.

// helpers of tests fail by panicking, as tests do; a test's future is made once
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures)]

mod common;

mod asyncapi;
mod attachments;
mod auth;
mod big;
mod blocks;
mod clients;
mod conversations;
mod crash;
mod dialects;
mod history;
mod hostile;
mod members;
mod messages;
mod openapi;
mod ops;
mod outage;
mod outside;
mod presence;
mod reactions;
mod receipts;
mod rooms;
mod search;
mod sessions;
mod shutdown;
mod slow_reader;
mod startup;
mod sync;
mod sync_live;
mod tokens;
mod typing;
mod unauthorised;
mod users;
mod websocket;
mod ws_events;
mod ws_frames;
