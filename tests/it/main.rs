//! The whole program, as its users meet it. One binary, so that it links once.

mod billwerk;
mod crash;
mod journey;
mod process;
mod race;
mod receiver;
mod scripts;
mod server;
mod tidy;
