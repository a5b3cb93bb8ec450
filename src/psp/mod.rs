//! The PSPs we play.

pub mod sandbox;
pub mod simulator;
