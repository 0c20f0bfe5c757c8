//! Who has cosigned a checkpoint, and what that is worth, in words and as JSON.

use std::time::{Duration, UNIX_EPOCH};

use kiln_tiles::{Member, Note, Quorum, Verdict, VerifyNoteError, Witness};
use serde_json::{Value, json};

/// What a quorum says of a checkpoint.
pub(crate) struct Cosigned<'a> {
    quorum: &'a Quorum,
    verdict: Verdict,
}

impl<'a> Cosigned<'a> {
    /// Looks at the cosignatures of a note, of which one that is wrong spoils all.
    pub(crate) fn of(quorum: &'a Quorum, note: &Note) -> Result<Self, VerifyNoteError> {
        Ok(Self { quorum, verdict: quorum.judge(note)? })
    }

    pub(crate) const fn is_met(&self) -> bool {
        self.verdict.met
    }

    /// Each witness, with the time when it cosigned.
    pub(crate) fn witnesses(&self) -> impl Iterator<Item = (&'a Witness, Option<u64>)> {
        self.quorum.witnesses().iter().zip(self.verdict.witnesses.iter().copied())
    }

    /// What each group has of what it needs; of a quorum that is a witness, its name alone.
    pub(crate) fn quorum_words(&self) -> String {
        let counting = self.quorum.counting().into_iter();
        let groups = counting.filter_map(|member| match member {
            Member::Group(place) => Some((place, &self.quorum.groups()[place])),
            _ => None,
        });
        let words: Vec<String> = groups
            .map(|(place, group)| {
                let (has, of) = (self.verdict.groups[place], group.members().len());
                format!("{} has {has} of {of}, needs {}", group.name(), group.threshold())
            })
            .collect();
        if words.is_empty() { self.quorum.name().to_string() } else { words.join("; ") }
    }

    /// How many members of the group at this place count.
    pub(crate) fn members_of(&self, place: usize) -> usize {
        self.verdict.groups[place]
    }

    /// Each witness that the policy names: name, key, and the time, or null.
    pub(crate) fn witnesses_value(&self) -> Value {
        let value = |(witness, time): (&Witness, Option<u64>)| json!({ "name": witness.name.to_string(), "vkey": witness.key.to_string(), "time": time });
        self.witnesses().map(value).collect()
    }

    pub(crate) fn quorum_value(&self) -> Value {
        json!({ "name": self.quorum.name().to_string(), "met": self.is_met() })
    }
}

/// The time of a cosignature: as people and programs write it, as far as calendars go.
pub(crate) fn shown_time(time: u64) -> String {
    const YEAR_10_000: u64 = 253_402_300_800;
    match time {
        0 => "without a time".to_owned(),
        1..YEAR_10_000 => {
            format!("at {}", humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time)))
        }
        _ => format!("at second {time} after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_shown() {
        for (time, shown) in [
            (0, "without a time"),
            (1_679_315_147, "at 2023-03-20T12:25:47Z"),
            (253_402_300_799, "at 9999-12-31T23:59:59Z"),
            (253_402_300_800, "at second 253402300800 after 1970"),
            (u64::MAX, "at second 18446744073709551615 after 1970"),
        ] {
            assert_eq!(shown_time(time), shown);
        }
    }
}
