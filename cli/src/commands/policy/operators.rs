//! Whether somebody alone can meet a quorum, or keep it from being met.

use std::collections::BTreeMap;
use std::fmt;

use kiln_tiles::{KeyName, Member, Quorum};
use serde_json::{Value, json};

/// Who runs witnesses, as far as the names of their keys tell: those on one host are one operator's.
pub(super) struct Operator {
    host: String,
    witnesses: Vec<String>,
    meets: bool,
    blocks: bool,
}

/// The operators of all witnesses that count.
pub(super) fn operators(quorum: &Quorum) -> Vec<Operator> {
    let mut hosts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for member in quorum.counting() {
        if let Member::Witness(place) = member {
            hosts.entry(host_of(quorum.witnesses()[place].key.name())).or_default().push(place);
        }
    }
    hosts.into_iter().map(|(host, places)| Operator::of(quorum, host, &places)).collect()
}

/// The part of a key's name that is a host where names are URLs, as they should be.
pub(super) fn host_of(name: &KeyName) -> &str {
    let name = name.as_str();
    name.split_once('/').map_or(name, |(host, _)| host)
}

impl Operator {
    fn of(quorum: &Quorum, host: &str, places: &[usize]) -> Self {
        Self {
            host: host.to_owned(),
            witnesses: places.iter().map(|&place| quorum.witnesses()[place].name.to_string()).collect(),
            meets: quorum.is_met_by(|place| places.contains(&place)),
            blocks: !quorum.is_met_by(|place| !places.contains(&place)),
        }
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "host": self.host, "witnesses": self.witnesses, "meets": self.meets, "blocks": self.blocks,
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = match (self.meets, self.blocks) {
            (true, true) => "meets the quorum, and can block it",
            (true, false) => "meets the quorum",
            (false, true) => "does not meet the quorum, but can block it",
            (false, false) => "neither meets the quorum nor can block it",
        };
        write!(f, "{} ({}): {can}", self.host, self.witnesses.join(", "))
    }
}
