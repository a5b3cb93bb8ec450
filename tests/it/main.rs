//! The whole program, as its users meet it. One binary, so that it links once.

mod access;
mod ask;
mod bad_input;
mod billwerk;
mod cli;
mod conformance;
mod crash;
mod docs;
mod flows;
mod fuzz;
mod hooks;
mod journey;
mod nodes;
mod notices;
mod operator;
mod process;
mod race;
mod receiver;
mod refusals;
mod scripts;
mod server;
mod settings;
mod stories;
mod stub;
mod tidy;
