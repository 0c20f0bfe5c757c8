//! The front page: who this witness is, in words.

use std::fmt::Write;

use kiln_tiles::VerifierKey;

use crate::logs::{Log, Logs};
use crate::server::Prefixes;

/// The most logs that stand on the page; `/logs` has all.
const MOST: usize = 200;

/// The page, which is plain text.
pub(crate) fn page(vkeys: &[VerifierKey], prefixes: &Prefixes, logs: &Logs) -> String {
    let name = vkeys.first().map(|vkey| vkey.name().as_str()).unwrap_or_default();
    let mut text = format!("A witness for transparency logs, run by Kiln.\n\nname        {name}\n");
    for vkey in vkeys {
        let _ = writeln!(text, "vkey        {vkey}");
    }
    let Prefixes { submission, monitoring } = prefixes;
    let _ = write!(
        text,
        "submission  {submission}\n            POST {submission}/add-checkpoint, /sign-subtree (c2sp.org/tlog-witness)\n\
         monitoring  {monitoring}\n            GET {monitoring}/<hex SHA-256 of the origin>/checkpoint\n\n\
         It witnesses these logs ({} in number); {submission}/logs has them with their keys.\n\n",
        logs.len()
    );
    let mut listed: Vec<&Log> = logs.iter().map(AsRef::as_ref).collect();
    listed.sort_by(|a, b| a.origin().cmp(b.origin()));
    for log in listed.iter().take(MOST) {
        let _ = writeln!(text, "{}\n  {monitoring}/{}/checkpoint", log.origin(), log.origin_hash().to_hex());
    }
    if listed.len() > MOST {
        let _ = writeln!(text, "and {} more", listed.len() - MOST);
    }
    text
}
