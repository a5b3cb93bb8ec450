//! The whole program, as its users meet it. One binary, so that it links once.

mod access;
mod ask;
mod bad_input;
mod billwerk;
mod cli;
mod crash;
mod docs;
mod fuzz;
mod hooks;
mod journey;
mod nodes;
mod notices;
mod process;
mod race;
mod receiver;
mod refusals;
mod scripts;
mod server;
mod stories;
mod tidy;
