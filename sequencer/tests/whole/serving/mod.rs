//! What a log answers over HTTP while its store is slow, its clients are rude, or it is not loaded yet.

mod answers;
mod before_recovery;
mod limits;
mod world;
