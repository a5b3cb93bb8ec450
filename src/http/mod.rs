//! What the contracts share.
