//! What a log says of its end, beside everything else that `log.json` says.

use kiln_client::{AnySource, Source};
use kiln_sequencer::{Description, EndDescription, Log, SubmissionLimits};
use kiln_storage::{AnyRegister, ImmutableObjects};
use kiln_tiles::{SignedEnd, TrustedLog};
use serde_json::Value;

use crate::failure::Failure;
use crate::store::{OpenStore, put};

/// Far longer than any.
const MAX_DESCRIPTION: usize = 1 << 20;

/// What a log's key signed of its end, in the `log.json` of a source; `None` where there is none, or nothing that
/// verifies, or the source does not answer.
pub(crate) async fn read_end(source: &AnySource, log: &TrustedLog) -> Option<SignedEnd> {
    let bytes = source.fetch("log.json", MAX_DESCRIPTION).await.ok().flatten()?;
    let described: Value = serde_json::from_slice(&bytes).ok()?;
    log.open_end(described["end"].as_str()?.as_bytes()).ok()
}

/// Writes how the log ended into the `log.json` of its store. What else stands there stays.
pub(crate) async fn describe_end(log: &Log<OpenStore, AnyRegister>, end: &SignedEnd) -> Result<(), Failure> {
    let path = "log.json".parse().expect("an object name");
    let standing = log.store().read(&path).await?;
    let standing = standing.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut described = standing.filter(Value::is_object).unwrap_or_else(|| described_anew(log));
    if let (Some(members), Ok(Value::Object(ended))) =
        (described.as_object_mut(), serde_json::to_value(EndDescription::from(end)))
    {
        members.remove("successor"); // an older note may have named one
        members.extend(ended);
    }
    if put(log.store(), "log.json", format!("{described:#}\n").into()).await? {
        return Ok(());
    }
    Err(Failure::undone("log.json changed meanwhile: somebody else writes there. Run this again"))
}

/// What can be said of a log that was never served.
fn described_anew(log: &Log<OpenStore, AnyRegister>) -> Value {
    let description = Description {
        origin: log.trusted().origin().to_owned(),
        vkeys: log.vkeys().iter().map(ToString::to_string).collect(),
        witnesses: log.described_witnesses(),
        submission_url: None,
        read_url: None,
        limits: SubmissionLimits::default(),
        end: None,
    };
    serde_json::to_value(description).expect("strings and numbers are JSON")
}
