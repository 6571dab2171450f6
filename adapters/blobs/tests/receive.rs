//! Files from outside: good ones, odd ones, and those that somebody has made to do harm.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

#[path = "intake/documents.rs"]
mod documents;
#[path = "intake/fuzz.rs"]
mod fuzz;
#[path = "intake/harness.rs"]
mod harness;
#[path = "intake/limits.rs"]
mod limits;
#[path = "intake/pictures.rs"]
mod pictures;
#[path = "intake/samples.rs"]
mod samples;
