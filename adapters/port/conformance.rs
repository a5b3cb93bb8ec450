//! The suite every adapter's tests run.
