//! Answers: `{"id": …, "ok": true, "data": …}` or `{"id": …, "ok": false, "error": {…}}`, keys in that order.

use connexus_domain::{Error, Result};
use connexus_wire::Problem;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Success<'a, T> {
    id: Option<&'a RawValue>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

#[derive(Serialize)]
struct Failure<'a> {
    id: Option<&'a RawValue>,
    ok: bool,
    error: FailureBody<'a>,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [connexus_wire::errors::ProblemField],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

pub fn success(id: Option<&RawValue>, data: &impl Serialize) -> Vec<u8> {
    encoded(&Success {
        id,
        ok: true,
        data: Some(data),
    })
}

pub fn done(id: Option<&RawValue>) -> Vec<u8> {
    encoded(&Success::<()> {
        id,
        ok: true,
        data: None,
    })
}

pub fn answer<T>(
    id: Option<&RawValue>,
    result: Result<T>,
    encode: impl FnOnce(&T, Option<&RawValue>) -> Vec<u8>,
) -> Vec<u8> {
    match result {
        Ok(value) => encode(&value, id),
        Err(error) => failure(id, &error),
    }
}

pub fn failure(id: Option<&RawValue>, error: &Error) -> Vec<u8> {
    match error {
        Error::Internal { source } => {
            tracing::error!(error = %source, "a request over a socket failed");
        }
        Error::Unavailable { source, .. } => {
            tracing::warn!(error = %source, "a request over a socket was put off");
        }
        _ => {}
    }
    encode_refusal(
        id,
        &Problem::of(error),
        connexus_wire::errors::retry_after(error),
    )
}

pub fn refusal(id: Option<&RawValue>, problem: &Problem) -> Vec<u8> {
    encode_refusal(id, problem, None)
}

pub fn encode_refusal(
    id: Option<&RawValue>,
    problem: &Problem,
    retry_after: Option<u64>,
) -> Vec<u8> {
    let error = FailureBody {
        code: problem.code,
        detail: &problem.detail,
        errors: &problem.errors,
        retry_after,
    };
    encoded(&Failure {
        id,
        ok: false,
        error,
    })
}

pub fn encoded(answer: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    // writing to memory fails for no shape of ours
    if serde_json::to_writer(&mut bytes, answer).is_err() {
        return br#"{"id":null,"ok":false,"error":{"code":"internal","detail":"internal error"}}"#
            .to_vec();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_start_as_promised() {
        let id = RawValue::from_string("\"7\"".to_owned()).unwrap();
        assert_eq!(done(Some(&id)), br#"{"id":"7","ok":true}"#);
        assert_eq!(success(Some(&id), &1), br#"{"id":"7","ok":true,"data":1}"#);
        let told = failure(None, &Error::invalid("body", "must not be empty"));
        assert!(told.starts_with(
            br#"{"id":null,"ok":false,"error":{"code":"validation_failed","detail":"#
        ));
    }
}
