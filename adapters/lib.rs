//! The payment service providers Rialto speaks, and the language it speaks with all of them.
//!
//! In reading order:
//! - [`port`] – what every adapter is written against: instructions, outcomes, reports, manifest, notices, wire.
//! - [`sandbox`] – the scriptable provider built into Rialto; the adapter to copy when you add your own.
//!
//! [`registry`] is the one line an adapter needs beside its folder.

pub mod port;
pub mod sandbox;

use port::Adapter;

/// Every adapter this build speaks, in the order in which they are shown to people.
pub fn registry() -> &'static [&'static dyn Adapter] {
    &[]
}
pub fn _r() -> &'static [&'static dyn Adapter] {
    &[]
}

/// The adapter called `name` (`manifest().name`), if this build has it.
pub fn find(name: &str) -> Option<&'static dyn Adapter> {
    registry().iter().copied().find(|adapter| adapter.manifest().name == name)
}
