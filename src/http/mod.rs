//! What the contracts share: exact JSON bodies, one place for errors, the limits at the edge, routing and the docs page.
//!
//! | file | what is there |
//! |---|---|
//! | [`amount`] | an amount as the text of a JSON number |
//! | [`body`] | request and response bodies: tolerant, exact, bounded; enums by name or number |
//! | [`error`] | every error of the framework as one [`error::Problem`], written in the contract's own error body |
//! | [`edge`] | what surrounds every request: own task, caps, deadlines, request id, access log |
//! | [`router`] | several contracts on one path space, letter case and prefix as each contract publishes them |
//! | [`paths`] | the list of all routes, and the check that no two owners claim one path |
//! | [`spec`] | the last touches of a generated OpenAPI document |
//! | [`docs`] | `/docs` and `/openapi/{contract}.json` |

pub mod amount;
pub mod body;
pub mod docs;
pub mod edge;
pub mod error;
pub mod paths;
pub mod router;
pub mod spec;

#[cfg(test)]
mod tests;
