//! `/docs`: one page around Swagger UI with every contract in its selector, and `/openapi/{contract}.json`. All files are
//! ours and in the program; the page loads nothing from elsewhere and has no inline script.
//!
//! The vendored files in `assets/` are those of swagger-ui-dist 5.35.0 (Apache-2.0, see `assets/LICENSE` and the lists of
//! what is bundled beside the scripts), untouched.

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::Problem;
use super::paths::Path;

/// A finished OpenAPI document.
#[derive(Clone, Debug)]
pub struct Document {
    /// As in `/openapi/{contract}.json`.
    pub contract: &'static str,
    /// What the selector shows.
    pub title: &'static str,
    pub json: String,
}

/// Only our own files, no inline script. Swagger UI sets styles and icons inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Files that change only with a release are asked for again after a day, by their ETag.
const VENDORED_CACHE: &str = "public, max-age=86400";
/// Files of ours are asked for every time, by their ETag.
const OWN_CACHE: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SHEET: &str = "text/css; charset=utf-8";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rialto API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="swagger-ui.css">
<link rel="stylesheet" href="docs.css">
</head>
<body>
<noscript>
<h1>Rialto API</h1>
<p>The interactive page needs JavaScript. The documents themselves, in OpenAPI 3.1:</p>
<ul>
{%- for document in documents %}
<li><a href="../openapi/{{ document.contract }}.json">{{ document.title }}</a></li>
{%- endfor %}
</ul>
</noscript>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="swagger-ui-standalone-preset.js"></script>
<script src="docs.js"></script>
</body>
</html>
"#
)]
struct Page<'a> {
    documents: &'a [Document],
}

/// Around Swagger UI: our name in its bar, room on narrow screens, and enough contrast for its small labels.
const STYLE: &str = "body { margin: 0; }
noscript { display: block; max-width: 40rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
.swagger-ui .topbar .link { display: none; }
.swagger-ui .topbar-wrapper::before { content: 'Rialto API'; flex: 1; color: #fff; font: 700 1.25rem/1.5 system-ui, sans-serif; }
.swagger-ui .info .title small, .swagger-ui .info .title small.version-stamp { background: #4a5160; }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #1a7a3c; }
.swagger-ui .opblock.opblock-get .opblock-summary-method { background: #1c64b4; }
.swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #b3261e; }
html:not(.dark-mode) .swagger-ui .btn.authorize { border-color: #1a7a3c; color: #1a7a3c; }
html:not(.dark-mode) .swagger-ui .btn.authorize svg { fill: #1a7a3c; }
html:not(.dark-mode) .swagger-ui .info .url, html:not(.dark-mode) .swagger-ui .info a { color: #1c64b4; }
.swagger-ui .response-col_links, .swagger-ui .col_header.response-col_links { display: none; }
.swagger-ui :focus-visible { outline: 3px solid #d97700; outline-offset: 2px; }
@media (max-width: 40rem) {
  .swagger-ui .topbar-wrapper { flex-wrap: wrap; }
  .swagger-ui .wrapper { padding: 0 .5rem; }
  .swagger-ui .info { margin: 1.5rem 0; }
  .swagger-ui .scheme-container { padding: 1rem 0; }
  .swagger-ui .opblock .opblock-section-header { flex-wrap: wrap; }
  .swagger-ui table { table-layout: fixed; }
  .swagger-ui .response-col_status, .swagger-ui .col_header.response-col_status { width: 3.5rem; }
  .swagger-ui .markdown p, .swagger-ui .renderedMarkdown p { overflow-wrap: anywhere; }
}
@media (prefers-reduced-motion: reduce) {
  .swagger-ui * { animation: none !important; transition: none !important; }
}
";

struct File {
    content_type: &'static str,
    cache: &'static str,
    etag: String,
    bytes: Bytes,
}

impl File {
    fn new(content_type: &'static str, cache: &'static str, bytes: impl Into<Bytes>) -> File {
        let bytes = bytes.into();
        let digest = Sha256::digest(&bytes);
        let etag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        File { content_type, cache, etag: format!("\"{etag}\""), bytes }
    }
}

/// The endpoint of everything under `/docs` and `/openapi`.
pub struct Docs {
    files: BTreeMap<String, File>,
}

impl Docs {
    /// The selector shows the documents in this order, the first one opened.
    pub fn new(documents: Vec<Document>) -> Docs {
        let bundle: &'static [u8] = include_bytes!("assets/swagger-ui-bundle.js");
        let preset: &'static [u8] = include_bytes!("assets/swagger-ui-standalone-preset.js");
        let sheet: &'static [u8] = include_bytes!("assets/swagger-ui.css");
        // A template without code of its own fails only when memory cannot be had.
        let page = Page { documents: &documents }.render().unwrap_or_default();
        let mut files = BTreeMap::from(
            [
                ("/docs/", File::new(HTML, OWN_CACHE, page)),
                ("/docs/docs.css", File::new(SHEET, OWN_CACHE, STYLE)),
                ("/docs/docs.js", File::new(SCRIPT, OWN_CACHE, script(&documents))),
                ("/docs/swagger-ui-bundle.js", File::new(SCRIPT, VENDORED_CACHE, bundle)),
                ("/docs/swagger-ui-standalone-preset.js", File::new(SCRIPT, VENDORED_CACHE, preset)),
                ("/docs/swagger-ui.css", File::new(SHEET, VENDORED_CACHE, sheet)),
            ]
            .map(|(path, file)| (path.to_owned(), file)),
        );
        for document in documents {
            let path = format!("/openapi/{}.json", document.contract);
            files.insert(path, File::new("application/json", OWN_CACHE, document.json));
        }
        Docs { files }
    }

    /// All routes, for the list of the whole server.
    pub fn list(&self) -> Vec<Path> {
        // `/docs` itself and `/docs/` are one template.
        let templates = self.files.keys().map(|path| path.trim_end_matches('/').to_owned());
        let path = |template| Path { method: Method::GET, template, any_case: false, owner: "docs" };
        templates.map(path).collect()
    }
}

/// Starts Swagger UI. `validatorUrl: null` or it shows a badge from a server that is not ours.
fn script(documents: &[Document]) -> String {
    let url = |document: &Document| json!({ "name": document.title, "url": format!("../openapi/{}.json", document.contract) });
    let urls: Vec<_> = documents.iter().map(url).collect();
    let urls = serde_json::Value::from(urls);
    format!(
        "window.ui = SwaggerUIBundle({{\n  dom_id: '#swagger-ui',\n  urls: {urls},\n  validatorUrl: null,\n  \
         deepLinking: true,\n  displayRequestDuration: true,\n  defaultModelsExpandDepth: 0,\n  tryItOutEnabled: true,\n  \
         presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n  layout: 'StandaloneLayout'\n}});\n"
    )
}

impl Endpoint for Docs {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path();
        let file = self.files.get(path);
        if file.is_none() && path != "/docs" {
            return Err(Problem::not_found().into());
        }
        let head = request.method() == Method::HEAD;
        if !head && request.method() != Method::GET {
            return Err(Problem::method(vec![Method::GET, Method::HEAD]).into());
        }
        let Some(file) = file else {
            // Relative, so that it is right behind a proxy's prefix too.
            return Ok(Response::builder()
                .status(StatusCode::PERMANENT_REDIRECT)
                .header(header::LOCATION, "docs/")
                .finish());
        };
        let response = Response::builder()
            .header(header::ETAG, &file.etag)
            .header(header::CACHE_CONTROL, file.cache)
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer");
        if request.header(header::IF_NONE_MATCH).is_some_and(|known| knows(known, &file.etag)) {
            return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
        }
        let response = response.content_type(file.content_type).header(header::CONTENT_LENGTH, file.bytes.len());
        Ok(if head { response.finish() } else { response.body(file.bytes.clone()) })
    }
}

/// Whether an `If-None-Match` names the file as it is now.
fn knows(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::paths::Paths;

    fn docs() -> Docs {
        let document = |contract, title| Document { contract, title, json: "{}".to_owned() };
        Docs::new(vec![document("billwerk", "Billwerk+"), document("pix", "PIX </script>")])
    }

    async fn get(method: Method, path: &str, known: &str) -> Response {
        let request = Request::builder().method(method).uri_str(path).header(header::IF_NONE_MATCH, known);
        docs().get_response(request.finish()).await
    }

    #[tokio::test]
    async fn everything_the_page_names_is_there() {
        let page = get(Method::GET, "/docs/", "").await;
        assert_eq!(page.header(header::CONTENT_SECURITY_POLICY), Some(POLICY));
        let page = page.into_body().into_string().await.expect("text");
        let names = page.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css"));
        for name in names {
            let response = get(Method::GET, &format!("/docs/{name}"), "").await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
        }
        assert!(page.contains("<a href=\"../openapi/pix.json\">PIX &#60;/script&#62;</a>"), "{page}");
        assert!(!page.contains("<script>") && !page.contains("http"), "{page}");
        let script = get(Method::GET, "/docs/docs.js", "").await.into_body().into_string().await.expect("text");
        assert!(script.contains(r#""url":"../openapi/billwerk.json""#), "{script}");
        assert_eq!(get(Method::GET, "/openapi/pix.json", "").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn redirects_methods_and_caches() {
        let redirect = get(Method::GET, "/docs", "").await;
        assert_eq!(redirect.header(header::LOCATION), Some("docs/"));
        assert_eq!(get(Method::GET, "/docs/nothing", "").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(Method::POST, "/docs/", "").await.status(), StatusCode::METHOD_NOT_ALLOWED);

        let head = get(Method::HEAD, "/docs/swagger-ui.css", "").await;
        let etag = head.header(header::ETAG).expect("an ETag").to_owned();
        assert_ne!(head.header(header::CONTENT_LENGTH), Some("0"));
        assert!(head.into_body().is_empty());
        for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            assert_eq!(get(Method::GET, "/docs/swagger-ui.css", &known).await.status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(get(Method::GET, "/docs/swagger-ui.css", "\"other\"").await.status(), StatusCode::OK);
    }

    #[test]
    fn the_list_has_no_clash() {
        let mut paths = Paths::default();
        paths.extend(docs().list());
        assert_eq!(paths.clashes(), Vec::<String>::new());
    }
}
