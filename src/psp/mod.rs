//! The PSPs we play.

pub mod pientegra;
pub mod pix_gateway;
pub mod sandbox;
pub mod simulator;
