//! The OpenAPI document: collected from the table of routes, completed with what all routes have in common.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use connexus_wire::{ErrorCode, Problem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement, path::Operation,
};
use utoipa::{IntoResponses, OpenApi};

use crate::routes::{OperatorDocs, RestDocs};
use crate::schema;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Connexus",
        description = "A chat backend. Times are RFC 3339 in UTC with milliseconds, ids are UUIDs, errors are problems (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "auth", description = "Accounts, logins, sessions"),
        (name = "users", description = "Profiles, search, presence, blocks"),
        (name = "conversations", description = "Direct ones, groups and rooms; their members and receipts"),
        (name = "messages", description = "Messages, reactions, threads, search"),
        (name = "attachments", description = "Files: uploads, downloads, media of a conversation"),
        (name = "sync", description = "What changed since"),
        (name = "ops", description = "For operators and developers")
    ),
    components(schemas(
        Problem, schema::Message, schema::Conversation, schema::Member, schema::User
    ))
)]
struct Frame;

/// The document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Frame::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.merge(RestDocs::openapi());
    document.merge(OperatorDocs::openapi());
    document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(
        "bearer",
        [],
    )]);
    let components = document.components.get_or_insert_default();
    let bearer = |text: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(text)).build())
    };
    components.add_security_scheme("bearer", bearer("The access token of a session"));
    components.add_security_scheme("metrics", bearer("The token that the operator has set"));
    for shared in &SHARED {
        let responses = &mut components.responses;
        responses.insert(shared.name.to_owned(), RefOr::T(shared.response()));
    }
    for (path, item) in &mut document.paths.paths {
        if !path.starts_with("/v1/") {
            continue;
        }
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            complete(operation);
        }
    }
    document
}

/// The document as JSON; made once.
pub fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| match openapi().to_json() {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            "{}".to_owned()
        }
    });
    &JSON
}

/// Problems that many routes have in common.
struct Shared {
    name: &'static str,
    status: &'static str,
    description: &'static str,
    code: ErrorCode,
}

const fn shared(
    name: &'static str,
    status: &'static str,
    description: &'static str,
    code: ErrorCode,
) -> Shared {
    Shared {
        name,
        status,
        description,
        code,
    }
}

static SHARED: [Shared; 10] = [
    shared(
        "BadRequest",
        "400",
        "Malformed, or fields that are not acceptable: each is named",
        ErrorCode::ValidationFailed,
    ),
    shared(
        "Unauthenticated",
        "401",
        "No token, or none that is good (any more)",
        ErrorCode::TokenMissing,
    ),
    shared(
        "Denied",
        "403",
        "Known, but not allowed",
        ErrorCode::NotMember,
    ),
    shared(
        "NotFound",
        "404",
        "There is no such thing, or it is not for the asker to know",
        ErrorCode::NotFound,
    ),
    shared(
        "Conflict",
        "409",
        "A unique value is taken, or was used for something else",
        ErrorCode::Conflict,
    ),
    shared(
        "TooLarge",
        "413",
        "The body is too large",
        ErrorCode::PayloadTooLarge,
    ),
    shared(
        "NotJson",
        "415",
        "The body must be JSON",
        ErrorCode::UnsupportedMediaType,
    ),
    shared(
        "TooMany",
        "429",
        "Too many requests; Retry-After says when the next may come",
        ErrorCode::RateLimited,
    ),
    shared(
        "Internal",
        "500",
        "A fault of the server",
        ErrorCode::Internal,
    ),
    shared(
        "Unavailable",
        "503",
        "Not available now; Retry-After says when to try again",
        ErrorCode::Unavailable,
    ),
];

impl Shared {
    fn response(&self) -> Response {
        let example = serde_json::to_value(Problem::new(self.code, self.description));
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .example(example.ok())
            .build();
        ResponseBuilder::new()
            .description(self.description)
            .content("application/problem+json", content)
            .build()
    }
}

fn reference(name: &str) -> RefOr<Response> {
    RefOr::Ref(Ref::new(format!("#/components/responses/{name}")))
}

/// Adds what every route of the API may answer.
fn complete(operation: &mut Operation) {
    let mut add = |name: &str| {
        if let Some(shared) = SHARED.iter().find(|shared| shared.name == name) {
            let responses = &mut operation.responses.responses;
            responses
                .entry(shared.status.to_owned())
                .or_insert_with(|| reference(name));
        }
    };
    if operation.security.is_none() {
        add("Unauthenticated");
    }
    if operation.request_body.is_some() {
        ["BadRequest", "TooLarge", "NotJson"]
            .into_iter()
            .for_each(&mut add);
    }
    ["TooMany", "Internal", "Unavailable"]
        .into_iter()
        .for_each(add);
}

macro_rules! responses {
    ($($name:ident $status:literal)*) => {
        $(
            #[doc = concat!("The shared response of ", $status, ".")]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [($status.to_owned(), reference(stringify!($name)))].into()
                }
            }
        )*
    };
}

responses! {
    BadRequest "400"
    Denied "403"
    NotFound "404"
    Conflict "409"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::routes::{OPERATOR, REST};

    fn document() -> Value {
        serde_json::from_str(json()).unwrap()
    }

    #[test]
    fn it_is_of_3_1_and_names_exactly_the_routes() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routes = REST.iter().chain(OPERATOR);
        let served: BTreeSet<String> = routes
            .flat_map(|route| {
                let methods = route.methods.iter();
                methods.map(|(method, _)| format!("{method} {}", route.path))
            })
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn each_operation_has_an_id_of_its_own_its_parameters_and_its_problems() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let what = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                let parameters = operation["parameters"].as_array();
                let parameters = parameters.cloned().unwrap_or_default();
                for name in path.split('{').skip(1).filter_map(|s| s.split('}').next()) {
                    let found = |one: &Value| one["name"] == name && one["in"] == "path";
                    assert!(parameters.iter().any(found), "{what}: {name}");
                }
                let queried = parameters.iter().any(|one| one["in"] == "query");
                let responses = operation["responses"].as_object().unwrap();
                if path.starts_with("/v1/") {
                    for status in ["429", "500", "503"] {
                        assert!(responses.contains_key(status), "{what}: {status}");
                    }
                    if queried || operation.get("requestBody").is_some() {
                        assert!(responses.contains_key("400"), "{what}: 400");
                    }
                    if operation.get("security").is_none() {
                        assert!(responses.contains_key("401"), "{what}: 401");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_refers_to_what_is_not_there() {
        let document = document();
        let text = document.to_string();
        let references = text.split(r##""$ref":"#"##).skip(1);
        for reference in references.filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
