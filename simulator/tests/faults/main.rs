//! The real log on stores, disks and clocks that fail, in simulated time. One program, for what it is made of takes long to
//! build.

mod collecting;
mod pipelining;
mod power_cuts;
mod recover;
mod recovery;
mod rollback;
mod seeds;
mod standby;
mod store_faults;
mod two_writers;
