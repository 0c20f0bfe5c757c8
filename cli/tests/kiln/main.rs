//! The binary as people and scripts run it: `docs/cli.md`, sentence for sentence.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod adding;
mod backups;
mod collecting;
mod config;
mod doors;
mod encrypted;
mod exit_codes;
mod first_hour;
mod freezing;
mod fsck;
mod keys;
mod liar;
mod mirror;
mod packages;
mod policies;
mod rekor;
mod rekor_entries;
mod rekor_files;
mod rekor_uploads;
mod restarts;
mod serve;
mod standby;
mod submitters;
mod traces;
mod witness;
mod witnessed;
mod world;
