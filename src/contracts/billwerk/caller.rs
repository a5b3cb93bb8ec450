//! Who is calling: `Bearer <token>`, or Basic with the token as the password.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::CONTRACT;
use super::errors::RETRY_AFTER;
use crate::flow::identity::Caller;
use crate::flow::{Engine, FlowError};
use crate::http::edge::RequestId;
use crate::http::error::{Kind, Problem};
use crate::store::StoreError;

/// A caller whose token was found. As the first argument of an operation it is checked before the body is looked at.
pub struct Known(pub Caller);

const BEARER: &str = "bearerToken";
const BASIC: &str = "basicToken";

/// What a 401 asks for.
pub const CHALLENGES: &[&str] = &["Bearer", "Basic realm=\"billwerk\", charset=\"UTF-8\""];

impl<'a> ApiExtractor<'a> for Known {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |scheme, description| MetaSecurityScheme {
            ty: "http",
            description: Some(description),
            name: None,
            key_in: None,
            scheme: Some(scheme),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(BEARER, scheme("bearer", "The token that was issued to the merchant."));
        registry.create_security_scheme(BASIC, scheme("basic", "The token as password, with any user name."));
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER, BASIC]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Known> {
        let unknown = || Problem::new(Kind::Unauthorised, "no valid token");
        let engine: &Engine = request.data().ok_or_else(Problem::internal)?;
        // Two headers could be read differently by a proxy and by us.
        let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(header), None) = (given.next(), given.next()) else { return Err(unknown().into()) };
        let token = header.to_str().ok().and_then(token).ok_or_else(unknown)?;
        let caller = engine.identify(CONTRACT, &token).await.map_err(|error| trouble(&error))?;
        Ok(Known(Caller { trace: RequestId::of(request), ..caller.ok_or_else(unknown)? }))
    }
}

/// The token in an `Authorization` header.
fn token(header: &str) -> Option<String> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

fn trouble(error: &FlowError) -> Problem {
    tracing::error!(%error, "a caller could not be looked up");
    match error {
        FlowError::Store(StoreError::Busy) => Problem::busy(RETRY_AFTER),
        FlowError::Store(StoreError::Database(_) | StoreError::Corrupt(_) | StoreError::Sealed(_))
        | FlowError::Broken(_) => Problem::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_token_stands() {
        let rows = [
            ("Bearer sk_test_1", Some("sk_test_1")),
            ("bearer   sk_test_1 ", Some("sk_test_1")),
            ("BASIC YmlsbHdlcms6c2tfdGVzdF8x", Some("sk_test_1")),
            ("Basic OnNrOnRlc3Q=", Some("sk:test")),
            ("Basic c2tfdGVzdF8x", None),
            ("Basic !!", None),
            ("Digest abc", None),
            ("sk_test_1", None),
            ("", None),
        ];
        for (header, expected) in rows {
            assert_eq!(token(header).as_deref(), expected, "{header}");
        }
    }
}
