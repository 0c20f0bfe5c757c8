//! `kiln tail`: entries as they come, verified.

use std::fmt::Write;

use base64ct::{Base64, Encoding};
use futures_util::Stream;
use futures_util::stream::StreamExt;
use kiln_client::{AnySource, Client, ClientError};
use kiln_tiles::Hash;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::reading::LogArgs;

/// Follow the verified entries of a log: the last ten, and those that come.
///
/// A line is an index and the entry; what could upset a terminal is shown as \xNN, a backslash as \\.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln tail https://log.example --vkey V
  kiln tail ./log --from 0 --no-follow --null | xargs -0 -n1 ./check")]
pub(crate) struct Tail {
    #[command(flatten)]
    log: LogArgs,
    /// Begin with this entry [default: ten before the end; with --no-follow and --count, so many].
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// End after so many entries.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End with the newest entry there is, instead of waiting for more.
    #[arg(long)]
    no_follow: bool,
    /// Write the bytes of each entry as they are, and a zero byte behind each.
    #[arg(short = '0', long)]
    null: bool,
}

/// How many entries before the end it begins.
const LAST: u64 = 10;

impl Tail {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let client = self.log.open(output).await?;
        let size = client.update().await?.checkpoint.head().size();
        // Without an end, the entries that come count, too.
        let last = self.count.filter(|_| self.no_follow).unwrap_or(LAST);
        let from = self.from.unwrap_or(size.saturating_sub(last));
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut entries = self.entries(&client, from, size);
        while left > 0
            && let Some(entry) = entries.next().await
        {
            match entry {
                Ok((index, bytes)) => self.show(index, &bytes, *output)?,
                Err(error) if error.is_retryable() && !self.no_follow => {
                    tracing::warn!(%error, "trying again");
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            left -= 1;
        }
        Ok(())
    }

    fn entries(
        &self,
        client: &Client<AnySource>,
        from: u64,
        size: u64,
    ) -> impl Stream<Item = Result<(u64, bytes::Bytes), ClientError>> + Unpin + use<> {
        if self.no_follow { client.entries(from..size.max(from)) } else { client.follow(from) }
    }

    fn show(&self, index: u64, entry: &[u8], output: Output) -> Result<(), Failure> {
        if self.null {
            output.bytes(entry)?;
            return output.bytes(&[0]);
        }
        output.result(format_args!("{index}  {}", escaped(entry)), || {
            let (hash, encoded) = (Hash::leaf(entry).to_hex(), Base64::encode_string(entry));
            json!({ "index": index, "hash": hash, "entry": encoded })
        })
    }
}

/// An entry on one line, with nothing in it that a terminal would obey.
fn escaped(entry: &[u8]) -> String {
    let mut line = String::with_capacity(entry.len());
    for chunk in entry.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\t' => line.push_str("\\t"),
                c if is_harmless(c) => line.push(c),
                c => escape(&mut line, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        escape(&mut line, chunk.invalid());
    }
    line
}

/// Neither control characters nor those that turn the direction of text around.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(line: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(line, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_commands_a_terminal() {
        for (entry, line) in [
            (&b"plain"[..], "plain"),
            ("grün".as_bytes(), "grün"),
            (b"a\nb\\c\td", "a\\nb\\\\c\\td"),
            (b"\x1b[2J", "\\x1b[2J"),
            (b"\xff\xfe!", "\\xff\\xfe!"),
            ("a\u{202e}b\u{9b}".as_bytes(), "a\\xe2\\x80\\xaeb\\xc2\\x9b"),
        ] {
            assert_eq!(escaped(entry), line);
        }
    }
}
