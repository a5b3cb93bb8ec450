//! The model, pure: no async, no IO, no serde, no clock, no randomness.
