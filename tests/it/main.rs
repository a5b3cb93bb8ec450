//! The whole program, as its users meet it. One binary, so that it links once.

mod access;
mod ask;
mod bad_input;
mod billwerk;
mod cli;
mod crash;
mod docs;
mod flows;
mod fuzz;
mod hooks;
mod journey;
mod nodes;
mod notices;
mod observe;
mod operator;
mod process;
mod race;
mod receiver;
mod refusals;
mod retention;
mod scripts;
mod server;
mod settings;
mod stories;
mod tidy;
