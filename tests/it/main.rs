//! The whole program, as its users meet it. One binary, so that it links once.

mod tidy;
