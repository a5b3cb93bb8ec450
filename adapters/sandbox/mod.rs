//! The scriptable provider built into Rialto.
