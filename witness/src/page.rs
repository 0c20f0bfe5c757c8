//! The front page: who this witness is, in words.

use std::fmt::Write;

use kiln_tiles::VerifierKey;

use crate::logs::{Log, Logs};
use crate::server::Prefixes;

/// The most logs that stand on the page; `/logs` has all.
const MOST: usize = 200;

/// What a page says of who serves it.
pub(crate) struct Words {
    role: &'static str,
    does: &'static str,
    calls: &'static str,
    below: &'static str,
}

impl Words {
    pub(crate) const WITNESS: Self = Self {
        role: "witness",
        does: "witnesses",
        calls: "/sign-subtree (c2sp.org/tlog-witness)",
        below: "checkpoint",
    };
    pub(crate) const MIRROR: Self = Self {
        role: "mirror",
        does: "mirrors",
        calls: "/add-entries, /sign-subtree (c2sp.org/tlog-mirror)",
        below: "checkpoint, /tile/... (c2sp.org/tlog-tiles)",
    };
}

/// The page, which is plain text.
pub(crate) fn page(words: &Words, vkeys: &[VerifierKey], prefixes: &Prefixes, logs: &Logs) -> String {
    let Words { role, does, calls, below } = words;
    let name = vkeys.first().map(|vkey| vkey.name().as_str()).unwrap_or_default();
    let mut text = format!("A {role} for transparency logs, run by Kiln.\n\nname        {name}\n");
    for vkey in vkeys {
        let _ = writeln!(text, "vkey        {vkey}");
    }
    let Prefixes { submission, monitoring } = prefixes;
    let _ = write!(
        text,
        "submission  {submission}\n            POST {submission}/add-checkpoint, {calls}\n\
         monitoring  {monitoring}\n            GET {monitoring}/<hex SHA-256 of the origin>/{below}\n\n\
         It {does} these logs ({} in number); {submission}/logs has them with their keys.\n\n",
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
