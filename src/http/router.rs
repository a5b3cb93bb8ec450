//! Several contracts on one path space. A [`Front`] stands before one OpenAPI service and knows, from the service's own
//! metadata, which paths are its; a [`Switch`] asks the fronts in turn.
//!
//! A service spells its paths without the prefix (`/Preauth/{id}`) and names the prefix as its server (`/api`), so that
//! nothing is spelled twice in code or document.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::uri::PathAndQuery;
use poem::http::{Method, Uri};
use poem::{Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

use super::edge::Naming;
use super::error::Problem;
use super::paths::{Path, is_parameter};

/// Where a service's paths are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `/api`, or empty.
    pub prefix: &'static str,
    /// Under the prefix, fixed segments are taken in any letter case, the prefix itself too.
    pub any_case: bool,
    /// The paths are answered without the prefix as well, in the published spelling only.
    pub bare: bool,
}

impl Mount {
    /// `/api` in any letter case, and the published spelling without it.
    pub const API_OR_BARE: Mount = Mount { prefix: "/api", any_case: true, bare: true };
    /// `/api`, as published.
    pub const API: Mount = Mount { prefix: "/api", any_case: false, bare: false };
    /// No prefix, as published.
    pub const ROOT: Mount = Mount { prefix: "", any_case: false, bare: false };
}

struct Template {
    /// `None` is a parameter.
    segments: Vec<Option<String>>,
    methods: Vec<Method>,
    /// By the method at the same place.
    operations: Vec<&'static str>,
    spelled: String,
}

/// The paths of one service.
pub struct Routes {
    mount: Mount,
    templates: Vec<Template>,
}

/// A request path that is one of a service's.
pub struct Found<'a> {
    /// The path in the service's spelling; parameters as they came, still percent-encoded.
    pub path: String,
    pub methods: &'a [Method],
    operations: &'a [&'static str],
}

impl Found<'_> {
    /// The name of the operation, where there is one.
    fn operation(&self, method: &Method) -> &'static str {
        let at = self.methods.iter().position(|known| known == method);
        at.and_then(|at| self.operations.get(at)).copied().unwrap_or("-")
    }
}

impl Routes {
    pub fn of<T: OpenApi>(mount: Mount) -> Routes {
        let paths = T::meta().into_iter().flat_map(|api| api.paths);
        let mut templates: Vec<Template> = Vec::new();
        for path in paths {
            let methods = path.operations.iter().map(|operation| operation.method.clone());
            let operations = path.operations.iter().map(|operation| operation.operation_id.unwrap_or("-"));
            match templates.iter_mut().find(|known| known.spelled == path.path) {
                Some(known) => {
                    known.methods.extend(methods);
                    known.operations.extend(operations);
                }
                None => templates.push(Template {
                    segments: split(&path.path).map(|s| (!is_parameter(s)).then(|| s.to_owned())).collect(),
                    methods: methods.collect(),
                    operations: operations.collect(),
                    spelled: path.path,
                }),
            }
        }
        // Where both fit, a fixed segment wins over a parameter.
        templates.sort_by_key(|template| template.segments.iter().map(Option::is_none).collect::<Vec<_>>());
        Routes { mount, templates }
    }

    /// The template a request path belongs to, whatever the method.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let Mount { prefix, any_case, bare } = self.mount;
        let same = |a: &str, b: &str| if any_case { a.eq_ignore_ascii_case(b) } else { a == b };
        let start = path.get(..prefix.len()).filter(|start| same(start, prefix));
        let rest = start.map(|_| &path[prefix.len()..]).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let under = rest.and_then(|rest| self.matching(rest, any_case));
        under.or_else(|| if bare { self.matching(path, false) } else { None })
    }

    fn matching(&self, path: &str, any_case: bool) -> Option<Found<'_>> {
        let segments: Vec<&str> = split(path).collect();
        let fits = |template: &&Template| {
            let pairs = template.segments.iter().zip(&segments);
            template.segments.len() == segments.len()
                && pairs.into_iter().all(|(known, segment)| match known {
                    Some(known) if any_case => known.eq_ignore_ascii_case(segment),
                    Some(known) => known == segment,
                    None => !segment.is_empty(),
                })
        };
        let template = self.templates.iter().find(fits)?;
        let mut spelled = String::with_capacity(path.len());
        for (known, segment) in template.segments.iter().zip(&segments) {
            spelled.extend(["/", known.as_deref().unwrap_or(segment)]);
        }
        if spelled.is_empty() {
            spelled.push('/');
        }
        Some(Found { path: spelled, methods: &template.methods, operations: &template.operations })
    }

    /// All routes, for the list of the whole server.
    pub fn list(&self, owner: &'static str) -> Vec<Path> {
        let Mount { prefix, any_case, bare } = self.mount;
        let mut list = Vec::new();
        for template in &self.templates {
            for method in &template.methods {
                let prefixed = format!("{prefix}{}", template.spelled);
                list.push(Path { method: method.clone(), template: prefixed, any_case, owner });
                if bare {
                    let template = template.spelled.clone();
                    list.push(Path { method: method.clone(), template, any_case: false, owner });
                }
            }
        }
        list
    }
}

/// Segments of a path, without the empty ones at its two ends (a trailing slash is tolerated).
fn split(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

/// A service behind its routes: answers 404 and 405 itself, as [`Problem`]s, and hands on in the service's spelling.
pub struct Front {
    routes: Arc<Routes>,
    service: BoxEndpoint<'static>,
}

impl Front {
    pub fn new<T: OpenApi + 'static, W: Webhook>(service: OpenApiService<T, W>, mount: Mount) -> Front {
        Front { routes: Arc::new(Routes::of::<T>(mount)), service: service.into_endpoint() }
    }

    pub fn routes(&self) -> Arc<Routes> {
        self.routes.clone()
    }
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let Some(found) = self.routes.find(request.uri().path()) else {
            return Err(Problem::not_found().into());
        };
        let known = |method: &Method| found.methods.contains(method);
        let head = request.method() == Method::HEAD && known(&Method::GET);
        if !known(request.method()) && !head {
            return Err(Problem::method(found.methods.to_vec()).into());
        }
        if found.path != request.uri().path() {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            let path = PathAndQuery::try_from(found.path + &query).map_err(|_| Problem::not_found())?;
            *request.uri_mut() = Uri::from(path);
        }
        self.service.call(request).await
    }
}

/// Sends a request to the front whose path it is, else to the fallback.
pub struct Switch {
    fronts: Vec<(&'static str, Arc<Routes>, BoxEndpoint<'static>)>,
    fallback: BoxEndpoint<'static>,
}

impl Switch {
    /// `fallback` answers all paths that no front claims: pages, hooks, documents, and the last 404.
    pub fn new<E>(fallback: E) -> Switch
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        Switch { fronts: Vec::new(), fallback: fallback.into_endpoint().map_to_response().boxed() }
    }

    /// Adds the front of a contract; `endpoint` is the front with whatever was put around it.
    #[must_use]
    pub fn front<E: Endpoint + 'static>(mut self, contract: &'static str, routes: Arc<Routes>, endpoint: E) -> Switch {
        self.fronts.push((contract, routes, endpoint.map_to_response().boxed()));
        self
    }
}

impl Endpoint for Switch {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path();
        let mut fronts = self.fronts.iter();
        let claimed = fronts.find_map(|(contract, routes, endpoint)| Some((contract, routes.find(path)?, endpoint)));
        let endpoint = match claimed {
            Some((contract, found, endpoint)) => {
                Naming::tell(&request, contract, found.operation(request.method()));
                endpoint
            }
            None => &self.fallback,
        };
        endpoint.call(request).await.map(IntoResponse::into_response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::{Plain, mapped};
    use crate::http::paths::Paths;
    use poem::endpoint::make_sync;
    use poem::http::{StatusCode, header};
    use poem_openapi::param;
    use poem_openapi::payload::PlainText;

    struct Api;

    #[poem_openapi::OpenApi]
    impl Api {
        #[oai(path = "/Preauth", method = "post")]
        async fn create(&self) -> PlainText<String> {
            PlainText("create".to_owned())
        }
        #[oai(path = "/Preauth/:id", method = "get")]
        async fn get(&self, id: param::Path<String>, n: param::Query<Option<u8>>) -> PlainText<String> {
            PlainText(format!("get {} {:?}", id.0, n.0))
        }
        #[oai(path = "/Preauth/:id/Cancel", method = "post")]
        async fn cancel(&self, id: param::Path<String>) -> PlainText<String> {
            PlainText(format!("cancel {}", id.0))
        }
        #[oai(path = "/Preauth/Finalize", method = "post")]
        async fn finalize(&self) -> PlainText<String> {
            PlainText("finalize".to_owned())
        }
    }

    fn switch() -> Switch {
        let front = Front::new(OpenApiService::new(Api, "t", "1"), Mount::API_OR_BARE);
        let fallback = make_sync(|_| "fallback");
        Switch::new(fallback).front("test", front.routes(), mapped(front, Plain))
    }

    async fn send(method: Method, path: &str) -> Response {
        switch().get_response(Request::builder().method(method).uri_str(path).finish()).await
    }

    #[tokio::test]
    async fn spellings() {
        let rows = [
            (Method::POST, "/api/Preauth", "create"),
            (Method::POST, "/API/pReAuTh/", "create"),
            (Method::POST, "/Preauth", "create"),
            (Method::POST, "/Preauth/", "create"),
            (Method::POST, "/preauth", "fallback"),
            (Method::POST, "/api//Preauth", "fallback"),
            (Method::POST, "/apiPreauth", "fallback"),
            (Method::POST, "/api/api/Preauth", "fallback"),
            (Method::GET, "/", "fallback"),
            (Method::GET, "/api/preauth/AbC-9?n=7", "get AbC-9 Some(7)"),
            (Method::GET, "/Preauth/a%2Fb", "get a/b None"),
            (Method::GET, "/api/PREAUTH/%C3%A9", "get é None"),
            (Method::POST, "/api/preauth/X/CANCEL", "cancel X"),
            (Method::POST, "/Preauth/X/cancel", "fallback"),
            (Method::POST, "/api/preauth/finalize", "finalize"),
        ];
        for (method, path, expected) in rows {
            let body = send(method, path).await.into_body().into_string().await.expect("text");
            assert_eq!(body, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn a_wrong_method_says_which_there_are() {
        let response = send(Method::DELETE, "/api/preauth/x").await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header(header::ALLOW), Some("GET"));
        assert_eq!(send(Method::HEAD, "/api/preauth/x").await.status(), StatusCode::OK);
    }

    #[test]
    fn the_list_shows_what_is_answered() {
        let routes = Routes::of::<Api>(Mount::API_OR_BARE);
        let list = routes.list("billwerk");
        assert_eq!(list.len(), 8);
        assert!(list.iter().any(|p| p.template == "/api/Preauth/{id}/Cancel" && p.any_case));
        assert!(list.iter().any(|p| p.template == "/Preauth/{id}" && !p.any_case && p.method == Method::GET));
        assert_eq!(Paths(list).clashes(), Vec::<String>::new());
        assert!(Routes::of::<Api>(Mount::ROOT).find("/preauth").is_none());
        assert!(Routes::of::<Api>(Mount::API).find("/Preauth").is_none());
    }
}
