//! The door under attack: each test is one kind of attacker, and says how long it lasts and what memory it costs at
//! most. Meanwhile a good client asks all the time, and must be answered each time; no task may panic.

#[path = "../common/mod.rs"]
mod common;

mod crowds;
mod encrypted;
mod frames;
mod siege;
mod slow;
mod smuggling;
