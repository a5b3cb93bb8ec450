//! Rialto: one server between the systems that want money moved and the payment service providers (PSPs) that move it.
//!
//! A file imports only from lower floors, and no neighbour on its own floor. In reading order, from the ground up:
//!
//! | floor | module | what is there |
//! |---|---|---|
//! | 0 | `rialto_adapters::port` | the language between Rialto and a PSP |
//! | 1 | [`core`] | the model, pure: transaction, intent, the step table, counters, events, schedules, sameness |
//! | 1 | `rialto_adapters::<psp>` | one folder per PSP |
//! | 1 | [`http`] | what the contracts share: bodies, errors, limits, the docs page |
//! | 1 | [`clock`], [`config`], [`telemetry`], [`metrics`] | the only reader of time and randomness; settings; logs and traces; counters |
//! | 2 | [`store`] | the only place that knows the database: units of work, one file per aggregate, sealing |
//! | 2 | [`wire`] | HTTP to the outside: fault classification, address guard, scrubbed transcripts |
//! | 3 | [`flow`] | the verbs: accept, submit (only sender), inquire (only asker), apply (only state changer), … |
//! | 3 | [`profiles`], [`pages`] | an event as a receiver wants it; hosted pages as HTML |
//! | 4 | [`contracts`] | what callers speak: billwerk |
//! | 4 | [`hooks`] | what PSPs post to us |
//! | 4 | [`workers`] | inbox, dispatcher, outbox, reconciler, due, expiry, accounts, feeds, retention |
//! | 4 | [`psp`] | the PSPs we play: the sandbox, and simulators to run adapters against |
//! | 4 | [`admin`] | setting up and operating by HTTP; the command line goes through it |
//! | 5 | [`conformance`] | a contract's rules, tried out on anybody's server that claims to speak it |
//! | 5 | [`app`], [`cli`] | everything assembled; the command line |

pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod contracts;
pub mod core;
pub mod flow;
pub mod hooks;
pub mod http;
pub mod metrics;
pub mod pages;
pub mod profiles;
pub mod psp;
pub mod store;
pub mod telemetry;
pub mod wire;
pub mod workers;
