//! The one table of routes: it registers them, documents them, and says how they are limited.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, Resource, body::MessageBody, guard};
use connexus_domain::ports::LimitClass;
use utoipa::OpenApi;

use crate::edge;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::handlers::{attachments, auth, conversations, members, messages, ops, users};

/// What all paths of the REST API start with.
pub const API: &str = "/v1";
/// The route whose requests may take longer than others.
const UPLOADS: &str = "/v1/attachments";

/// A path and its methods.
pub struct Route {
    pub path: &'static str,
    pub methods: &'static [(&'static str, LimitClass)],
}

macro_rules! routes {
    (
        $(#[$doc:meta])* $register:ident, $prefix:expr, $table:ident, $documented:ident;
        $($path:literal { $($method:ident $module:ident::$handler:ident $class:ident;)+ })+
    ) => {
        $(#[$doc])*
        pub fn $register(cfg: &mut ServiceConfig) {
            $(
                let allow = allow_header(&[$(stringify!($method)),+]);
                let resource = web::resource($path.strip_prefix($prefix).unwrap_or($path))
                    $(.route(method(Method::$method).to($module::$handler)))+;
                cfg.service(with_method_check(resource, allow).wrap(from_fn(in_time)));
            )+
        }

        pub static $table: &[Route] = &[$(Route {
            path: $path,
            methods: &[$((stringify!($method), LimitClass::$class)),+],
        }),+];

        /// The same routes, described.
        #[derive(OpenApi)]
        #[openapi(paths($($($module::$handler),+),+))]
        pub struct $documented;
    };
}

routes! {
    /// Registers the REST API, in the scope of [`API`].
    rest, API, REST, RestDocs;
    "/v1/auth/register" { POST auth::register Auth; }
    "/v1/auth/login" { POST auth::login Auth; }
    "/v1/auth/refresh" { POST auth::refresh Auth; }
    "/v1/auth/logout" { POST auth::logout General; }
    "/v1/auth/password" { PUT auth::change_password Auth; }
    "/v1/auth/sessions" { GET auth::sessions General; }
    "/v1/auth/sessions/{id}" { DELETE auth::end_session General; }
    "/v1/users" { GET users::search Search; }
    "/v1/users/me" { GET users::me General; PATCH users::update_me General; }
    "/v1/users/me/avatar" { PUT attachments::set_avatar General; }
    "/v1/users/me/blocks" { GET users::blocks General; }
    "/v1/users/me/blocks/{user_id}" { PUT users::block General; DELETE users::unblock General; }
    "/v1/users/{id}" { GET users::get General; }
    "/v1/users/{id}/presence" { GET users::presence General; }
    "/v1/presence" { GET users::online General; }
    "/v1/conversations" { GET conversations::list General; POST conversations::open General; }
    "/v1/conversations/{id}" {
        GET conversations::get General;
        PATCH conversations::update General;
        DELETE conversations::delete General;
    }
    "/v1/conversations/{id}/members" { GET members::list General; POST members::add General; }
    "/v1/conversations/{id}/members/{user_id}" {
        PATCH members::set_role General;
        DELETE members::remove General;
    }
    "/v1/conversations/{id}/preferences" { PATCH conversations::preferences General; }
    "/v1/conversations/{id}/read" { PUT conversations::read General; }
    "/v1/conversations/{id}/receipts" { GET conversations::receipts General; }
    "/v1/conversations/{id}/avatar" { PUT attachments::set_conversation_avatar General; }
    "/v1/conversations/{id}/media" { GET attachments::media General; }
    "/v1/conversations/{id}/media/stats" { GET attachments::media_stats General; }
    "/v1/conversations/{id}/messages" { GET messages::history General; POST messages::send Send; }
    "/v1/rooms/{slug}/join" { POST conversations::join General; }
    "/v1/messages/{id}" {
        GET messages::get General;
        PATCH messages::edit Send;
        DELETE messages::delete Send;
    }
    "/v1/messages/{id}/reactions/{emoji}" { PUT messages::react Send; DELETE messages::unreact Send; }
    "/v1/messages/{id}/thread" { GET messages::thread General; }
    "/v1/search/messages" { GET messages::search Search; }
    "/v1/sync" { POST messages::sync General; }
    "/v1/attachments" { POST attachments::upload Send; }
    "/v1/attachments/{id}" { GET attachments::download General; DELETE attachments::discard General; }
    "/v1/attachments/{id}/link" { GET attachments::link General; }
    "/v1/attachments/{id}/thumbnail" { GET attachments::thumbnail General; }
}

routes! {
    /// Registers what operators and developers look at.
    operator, "", OPERATOR, OperatorDocs;
    "/health" { GET ops::health General; }
    "/health/ready" { GET ops::ready General; }
    "/metrics" { GET ops::metrics General; }
    "/openapi.json" { GET ops::openapi General; }
}

/// A route of one method. Who may `GET` may ask for the headers alone (RFC 9110, 9.1).
fn method(method: Method) -> actix_web::Route {
    if method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method)
    }
}

fn allow_header(methods: &[&str]) -> String {
    methods.join(", ").replace("GET", "GET, HEAD")
}

fn with_method_check(resource: Resource, allowed: String) -> Resource {
    resource.default_service(web::to(move || {
        let failure = Failure::Method(allowed.clone());
        async move { Err::<actix_web::HttpResponse, _>(failure) }
    }))
}

/// How a request is limited, by its route's pattern and its method.
pub fn class(pattern: &str, method: &Method) -> LimitClass {
    static CLASSES: LazyLock<HashMap<(&str, &str), LimitClass>> = LazyLock::new(|| {
        let routes = REST.iter().chain(OPERATOR);
        routes
            .flat_map(|route| {
                let methods = route.methods.iter();
                methods.map(|(method, class)| ((route.path, *method), *class))
            })
            .collect()
    });
    let method = match *method {
        Method::HEAD => "GET",
        _ => method.as_str(),
    };
    CLASSES
        .get(&(pattern, method))
        .copied()
        .unwrap_or(LimitClass::General)
}

/// Ends a request that takes too long. It stands inside of routing, where a request may be kept to be
/// answered after the handler is gone.
async fn in_time(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let patience = request
        .app_data::<Data<Gateway>>()
        .map(|gateway| gateway.settings.request_timeout);
    // a file takes as long as its link is slow; its handler waits for each part of it only so long
    let uploads = *edge::pattern(&request) == *UPLOADS;
    let Some(patience) = patience.filter(|_| !uploads) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let kept = request.request().clone();
    match tokio::time::timeout(patience, next.call(request)).await {
        Ok(answer) => Ok(answer?.map_into_left_body()),
        Err(_) => Ok(ServiceResponse::from_err(Failure::Slow, kept).map_into_right_body()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, http::StatusCode};

    use super::*;

    /// A path of the route, with something in the place of its parameters.
    fn some_path(pattern: &str) -> String {
        let mut path = String::new();
        for (n, part) in pattern.split(['{', '}']).enumerate() {
            path.push_str(if n % 2 == 1 { "x" } else { part });
        }
        path
    }

    #[actix_web::test]
    async fn every_route_has_its_methods_and_no_others() {
        let app = App::new()
            .service(web::scope(API).configure(rest))
            .configure(operator);
        let app = init_service(app).await;
        for route in REST.iter().chain(OPERATOR) {
            let mut methods: Vec<&str> = route.methods.iter().map(|(method, _)| *method).collect();
            let told = allow_header(&methods);
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
                let request = TestRequest::with_uri(&some_path(route.path))
                    .method(method.parse().unwrap())
                    .to_request();
                let answer = call_service(&app, request).await;
                let (status, what) = (answer.status(), format!("{method} {}", route.path));
                if methods.contains(&method) {
                    // without a gateway it fails, but it is there
                    assert_ne!(status, StatusCode::NOT_FOUND, "{what}");
                    assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                } else {
                    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                    assert_eq!(
                        *answer.headers().get(header::ALLOW).unwrap(),
                        told,
                        "{what}"
                    );
                }
            }
        }
    }

    #[test]
    fn passwords_and_tokens_are_limited_more_than_reading() {
        assert_eq!(class("/v1/auth/login", &Method::POST), LimitClass::Auth);
        let messages = "/v1/conversations/{id}/messages";
        assert_eq!(class(messages, &Method::POST), LimitClass::Send);
        assert_eq!(class(messages, &Method::GET), LimitClass::General);
        assert_eq!(class("", &Method::GET), LimitClass::General);
    }
}
