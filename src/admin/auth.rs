//! Who is calling: an operator's key, as `X-Admin-Key` or as Bearer, with a right that is enough for the route.

use std::marker::PhantomData;
use std::sync::Arc;

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use rialto_adapters::port::Secret;

use super::error::trouble;
use crate::flow::Engine;
use crate::flow::identity::TOKEN_MAX;
use crate::flow::operate::FIRST_OPERATOR;
use crate::http::error::{Kind, Problem};
use crate::store::operators::Right;
use crate::store::{hash_token, token_matches};

/// The first operator's key (`RIALTO_ADMIN_KEY`, or `admin.key` in the data directory), as a hash. It stands in no table,
/// so it can neither be lost with the database nor revoked. Cheap to clone.
#[derive(Clone)]
pub struct OperatorKey(Arc<str>);

impl OperatorKey {
    pub fn new(key: &Secret) -> OperatorKey {
        OperatorKey(hash_token(key.expose()).into())
    }
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub name: String,
    pub right: Right,
}

/// An operator who may do what the route does. As the first argument of an operation it is checked before the body is
/// looked at.
pub struct May<D> {
    pub operator: Operator,
    demand: PhantomData<D>,
}

impl<D> May<D> {
    /// The verbs, acting for this operator: their names stand in the audit.
    pub fn engine(&self, engine: &Engine) -> Engine {
        engine.acting_as(&self.operator.name)
    }
}

/// The right a route demands.
pub trait Demand: Send + Sync + 'static {
    const RIGHT: Right;
}

macro_rules! demand {
    ($name:ident, $right:expr) => {
        pub enum $name {}

        impl Demand for $name {
            const RIGHT: Right = $right;
        }
    };
}

demand!(Read, Right::Read);
demand!(Resolve, Right::Resolve);
demand!(Administer, Right::Admin);

pub type MayRead = May<Read>;
pub type MayResolve = May<Resolve>;
pub type MayAdminister = May<Administer>;

const HEADER: &str = "X-Admin-Key";
const HEADER_SCHEME: &str = "HeaderKey";
const BEARER_SCHEME: &str = "BearerKey";

impl<'a, D: Demand> ApiExtractor<'a> for May<D> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |ty, name, key_in, scheme| MetaSecurityScheme {
            ty,
            description: Some("An operator's key."),
            name,
            key_in,
            scheme,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(HEADER_SCHEME, scheme("apiKey", Some(HEADER), Some("header"), None));
        registry.create_security_scheme(BEARER_SCHEME, scheme("http", None, None, Some("bearer")));
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![HEADER_SCHEME, BEARER_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<May<D>> {
        let unknown = || Problem::new(Kind::Unauthorised, "no valid operator's key");
        let engine: &Engine = request.data().ok_or_else(Problem::internal)?;
        let first: &OperatorKey = request.data().ok_or_else(Problem::internal)?;
        let token = credential(request).ok_or_else(unknown)?;
        let operator = identify(engine, first, &token).await?.ok_or_else(unknown)?;
        if operator.right < D::RIGHT {
            let (has, needs) = (operator.right.as_str(), D::RIGHT.as_str());
            let text = format!("this needs the right {needs}; {} has {has}", operator.name);
            return Err(Problem::new(Kind::Forbidden, text).into());
        }
        Ok(May { operator, demand: PhantomData })
    }
}

/// The one credential of a request. Two could be read differently by a proxy and by us.
fn credential(request: &Request) -> Option<String> {
    let headers = request.headers();
    let plain = headers.get_all(HEADER).iter().map(|value| value.to_str().ok().map(str::to_owned));
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(|value| bearer(value.to_str().ok()?));
    let mut given = plain.chain(bearers);
    match (given.next(), given.next()) {
        (Some(Some(token)), None) if !token.is_empty() && token.len() <= TOKEN_MAX => Some(token),
        _ => None,
    }
}

fn bearer(header: &str) -> Option<String> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Runs in the request's own task ([`crate::http::edge::Edge::detached`]), because it reads the database. A key is looked
/// for by its hash, so how long that takes tells nothing about a key that is near.
async fn identify(engine: &Engine, first: &OperatorKey, token: &str) -> Result<Option<Operator>, Problem> {
    if token_matches(token, &first.0) {
        return Ok(Some(Operator { name: FIRST_OPERATOR.to_owned(), right: Right::Admin }));
    }
    let found = engine.store.operator_by_key(&hash_token(token)).await.map_err(|error| trouble(&error))?;
    Ok(found.map(|operator| Operator { name: operator.name, right: operator.right }))
}
