//! The document that describes the API.

use std::collections::BTreeSet;

use connexus_e2e::TestApp;
use serde_json::Value;

/// Every route of the native API but those of files.
const ROUTES: [(&str, &str); 27] = [
    ("/v1/auth/register", "post"),
    ("/v1/auth/login", "post"),
    ("/v1/auth/refresh", "post"),
    ("/v1/auth/logout", "post"),
    ("/v1/auth/password", "put"),
    ("/v1/auth/sessions", "get"),
    ("/v1/auth/sessions/{}", "delete"),
    ("/v1/users/me", "get patch"),
    ("/v1/users", "get"),
    ("/v1/users/{}", "get"),
    ("/v1/users/{}/presence", "get"),
    ("/v1/presence", "get"),
    ("/v1/users/me/blocks", "get"),
    ("/v1/users/me/blocks/{}", "put delete"),
    ("/v1/conversations", "get post"),
    ("/v1/conversations/{}", "get patch delete"),
    ("/v1/conversations/{}/members", "get post"),
    ("/v1/conversations/{}/members/{}", "patch delete"),
    ("/v1/rooms/{}/join", "post"),
    ("/v1/conversations/{}/preferences", "patch"),
    ("/v1/conversations/{}/read", "put"),
    ("/v1/conversations/{}/receipts", "get"),
    ("/v1/conversations/{}/messages", "get post"),
    ("/v1/messages/{}", "get patch delete"),
    ("/v1/messages/{}/reactions/{}", "put delete"),
    ("/v1/messages/{}/thread", "get"),
    ("/v1/search/messages", "get"),
];

/// Routes that are no business of a signed-in client's alone.
const MORE: [(&str, &str); 3] = [
    ("/v1/sync", "post"),
    ("/health", "get"),
    ("/health/ready", "get"),
];

/// A path with its parameters unnamed.
fn shape(path: &str) -> String {
    let mut shape = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '{' => (inside, shape) = (true, shape + "{"),
            '}' => (inside, shape) = (false, shape + "}"),
            c if !inside => shape.push(c),
            _ => {}
        }
    }
    shape
}

/// Every operation of the document: method, path as it is written, and the operation.
pub fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in [
            "get", "put", "post", "delete", "options", "head", "patch", "trace",
        ] {
            if let Some(operation) = item.get(method) {
                found.push((method.to_owned(), path.clone(), operation.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn the_document_names_every_route() {
    let app = TestApp::shared().await;
    let document = app.anonymous().get("/openapi.json").await.expect(200);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let described: BTreeSet<String> = operations(&document)
        .iter()
        .map(|(method, path, _)| format!("{method} {}", shape(path)))
        .collect();
    let missing: Vec<String> = ROUTES
        .iter()
        .chain(&MORE)
        .flat_map(|(path, methods)| {
            methods
                .split(' ')
                .map(move |method| format!("{method} {path}"))
        })
        .filter(|route| !described.contains(route))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "of {described:#?}");
}

#[tokio::test]
async fn the_document_holds_together() {
    let app = TestApp::shared().await;
    let document = app.anonymous().get("/openapi.json").await.expect(200);
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(
            !operation["responses"].as_object().unwrap().is_empty(),
            "{method} {path}"
        );
        let named = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for parameter in path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
        {
            let is_it = |one: &Value| {
                one["name"] == parameter && one["in"] == "path" && one["required"] == true
            };
            assert!(
                named.iter().any(is_it),
                "{method} {path}: {parameter} is not described"
            );
        }
    }
    // nothing refers to what is not there
    let text = document.to_string();
    for reference in text
        .split(r##""$ref":"#"##)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            document.pointer(reference).is_some(),
            "{reference} is not there"
        );
    }
}

#[tokio::test]
async fn the_document_can_be_read_by_people() {
    let app = TestApp::shared().await;
    let page = app.anonymous().get("/docs").await;
    let page = if page.status == 200 {
        page
    } else {
        app.anonymous().get("/docs/").await
    };
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
}
