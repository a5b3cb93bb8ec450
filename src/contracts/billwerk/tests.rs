use super::*;
use crate::http::paths::Paths;
use crate::http::spec::{Documented, complaints};

/// Set to write the document instead of comparing it.
const BLESS: &str = "RIALTO_BLESS";

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/billwerk.json");
    let generated = spec();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(path, &generated).expect("openapi/ is writable");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "openapi/billwerk.json is old; {BLESS}=1 writes it anew");
}

#[test]
fn the_document_is_complete() {
    let documented =
        Documented { always: &[200, 401, 422, 500, 503], with_body: &[400, 408, 413, 415], with_id: &[404] };
    assert_eq!(complaints(&spec(), documented), Vec::<String>::new());
}

#[test]
fn no_two_routes_clash() {
    let all = routes();
    assert_eq!(all.len(), 15, "seven operations under two spellings, and the page");
    assert_eq!(Paths(all).clashes(), Vec::<String>::new());
}
