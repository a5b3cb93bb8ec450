//! How an event looks to a receiver: an event in, bytes and headers out. Pure; one file per profile.

pub mod billwerk;

use crate::core::schedule::{self, Schedule};

/// A profile's name and how patiently it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Billwerk,
}

impl Profile {
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Billwerk => "billwerk",
        }
    }

    pub fn schedule(self) -> Schedule {
        match self {
            Profile::Billwerk => schedule::BILLWERK,
        }
    }
}
