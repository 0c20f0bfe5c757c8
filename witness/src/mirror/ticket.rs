//! Tickets: a pending checkpoint that the mirror gives away, and believes when it comes back.
//!
//! An upload may take longer than the next checkpoint takes to come. With a ticket it goes on to the tree that it
//! began with, whatever became pending meanwhile, and the mirror remembers nothing for it. That the log signed a
//! checkpoint is not enough: it must have been pending *here*, where it was consistent with all others. So the ticket
//! is [authenticated](https://c2sp.org/tlog-mirror#processing), by a key that nobody else has.
//!
//! ```text
//! 0   32  HMAC-SHA-256 of a label, the origin hash and what follows
//! 32  -   the time of the grant, big-endian, and the note with the log's signature
//! ```

use hmac::{Hmac, KeyInit, Mac};
use kiln_tiles::Hash;
use sha2::Sha256;

use crate::record::Record;

const LABEL: &[u8] = b"kiln mirror ticket v1\0";
const TAG_SIZE: usize = 32;

/// The key of tickets: 32 random bytes. Without it tickets say nothing, and uploads begin anew at the newest pending
/// checkpoint.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey")
    }
}

impl TicketKey {
    /// The key of these random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn mac(&self, origin_hash: Hash, record: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.chain_update(LABEL).chain_update(origin_hash.as_bytes()).chain_update(record)
    }

    /// A ticket for a pending checkpoint of the log.
    pub(crate) fn issue(&self, origin_hash: Hash, record: &Record) -> Vec<u8> {
        let record = record.to_bytes();
        let tag = self.mac(origin_hash, &record).finalize().into_bytes();
        [&tag[..], &record].concat()
    }

    /// The pending checkpoint of the log that this mirror gave the ticket for.
    pub(crate) fn open(&self, origin_hash: Hash, ticket: &[u8]) -> Option<Record> {
        let (tag, record) = ticket.split_at_checked(TAG_SIZE)?;
        self.mac(origin_hash, record).verify_slice(tag).ok()?;
        Record::from_bytes(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestLog;

    #[test]
    fn only_what_was_issued_for_the_log_is_believed() {
        let (key, log) = (TicketKey::new([7; 32]), TestLog::new("example.com/log"));
        let origin_hash = log.log().origin_hash();
        let record = Record::new(5, log.head(300), log.note(300));
        let ticket = key.issue(origin_hash, &record);
        assert_eq!(key.open(origin_hash, &ticket), Some(record));
        assert_eq!(key.open(Hash::leaf(b"another log"), &ticket), None);
        assert_eq!(TicketKey::new([8; 32]).open(origin_hash, &ticket), None);
        for position in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[position] ^= 1;
            assert_eq!(key.open(origin_hash, &changed), None, "byte {position}");
        }
        for end in 0..ticket.len() {
            assert_eq!(key.open(origin_hash, &ticket[..end]), None, "{end} bytes");
        }
    }
}
