//! The PSPs we play.

pub mod sandbox;
