//! What callers speak. One folder per contract: its wire structs, how they map onto the one model, and its routes.

pub mod billwerk;
