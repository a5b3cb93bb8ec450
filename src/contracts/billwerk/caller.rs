//! Who is calling: `Bearer <token>`, or Basic with the token as the password.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poem::http::{HeaderValue, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use std::sync::{Arc, OnceLock};

use super::CONTRACT;
use super::errors::RETRY_AFTER;
use crate::flow::identity::Caller;
use crate::flow::{Engine, FlowError};
use crate::http::edge::RequestId;
use crate::http::error::{Kind, Problem};
use crate::store::StoreError;
use crate::store::forms::KeyStyle;

/// A caller whose token was found. As the first argument of an operation it is checked before the body is looked at.
pub struct Known(pub Caller);

/// How whoever is calling wants to be answered, once that is known: left beside the request for those who write errors.
#[derive(Clone, Debug, Default)]
pub struct Voice(Arc<OnceLock<KeyStyle>>);

impl Voice {
    /// The contract's own way where nobody knows who is calling.
    pub fn style(&self) -> KeyStyle {
        self.0.get().copied().unwrap_or_default()
    }
}

/// What a request brings as `Authorization`.
pub struct Proof(Option<HeaderValue>);

impl Proof {
    /// Two headers could be read differently by a proxy and by us, so they are as good as none.
    pub fn of(request: &Request) -> Proof {
        let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(header), None) => Proof(Some(header.clone())),
            _ => Proof(None),
        }
    }
}

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
        let engine: &Engine = request.data().ok_or_else(Problem::internal)?;
        let caller = identify(engine, &Proof::of(request)).await?;
        if let Some(Voice(style)) = request.data() {
            // Said once: a request has one caller.
            let _ = style.set(caller.style);
        }
        Ok(Known(Caller { trace: RequestId::of(request), ..caller }))
    }
}

/// Finds out how the holder of a token wants to be answered, where no operation has looked at the token.
pub async fn listen(engine: &Engine, proof: &Proof, voice: &Voice) {
    if let Ok(caller) = identify(engine, proof).await {
        let _ = voice.0.set(caller.style);
    }
}

async fn identify(engine: &Engine, proof: &Proof) -> Result<Caller, Problem> {
    let unknown = || Problem::new(Kind::Unauthorised, "no valid token");
    let token = proof.0.as_ref().and_then(|header| header.to_str().ok()).and_then(token).ok_or_else(unknown)?;
    let caller = engine.identify(CONTRACT, &token).await.map_err(|error| trouble(&error))?;
    caller.ok_or_else(unknown)
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
