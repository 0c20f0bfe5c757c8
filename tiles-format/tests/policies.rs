//! Quorums of any shape, against the words of the specification: a group witnesses what enough of its members do.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write;

use kiln_tiles::{Cosigner, Member, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What a name in a policy stands for.
#[derive(Clone, Debug)]
enum Rule {
    Witness(usize),
    Group(usize, Vec<Rule>),
}

impl Rule {
    fn is_met_by(&self, cosigned: u32) -> bool {
        match self {
            Self::Witness(place) => cosigned & (1 << place) != 0,
            Self::Group(threshold, members) => {
                members.iter().filter(|member| member.is_met_by(cosigned)).count() >= *threshold
            }
        }
    }
}

/// A policy, what its quorum means, and how many witnesses it names.
fn policies() -> impl Strategy<Value = (String, Rule, usize)> {
    let groups = vec((vec(any::<Index>(), 1..4), any::<Index>()), 0..6);
    (1..7_usize, groups, any::<Index>()).prop_map(|(witnesses, groups, quorum)| {
        let mut policy = String::new();
        let mut defined: Vec<(String, Rule)> = Vec::new();
        for place in 0..witnesses {
            let seed = [u8::try_from(place).unwrap(); 32];
            let key = Cosigner::ed25519_from_seed("witness.example/w".parse().unwrap(), seed).verifier_key();
            writeln!(policy, "witness w{place} {key}").unwrap();
            defined.push((format!("w{place}"), Rule::Witness(place)));
        }
        let mut free = defined.clone(); // to become members: each once
        for (number, (picks, threshold)) in groups.iter().enumerate() {
            let picked = picks.iter().take(free.len().min(picks.len())).collect::<Vec<_>>();
            let members: Vec<_> = picked.iter().map(|pick| free.remove(pick.index(free.len()))).collect();
            if members.is_empty() {
                continue;
            }
            let threshold = 1 + threshold.index(members.len());
            let (names, rules): (Vec<String>, Vec<Rule>) = members.into_iter().unzip();
            writeln!(policy, "group g{number} {threshold} {}", names.join(" ")).unwrap();
            let group = (format!("g{number}"), Rule::Group(threshold, rules));
            defined.push(group.clone());
            free.push(group);
        }
        let (name, rule) = defined[quorum.index(defined.len())].clone();
        writeln!(policy, "quorum {name}").unwrap();
        (policy, rule, witnesses)
    })
}

proptest! {
    #[test]
    fn a_quorum_is_met_as_its_groups_say((policy, rule, witnesses) in policies()) {
        let policy: Policy = policy.parse().unwrap();
        let quorum = policy.quorum();
        let met: Vec<bool> = (0..1 << witnesses).map(|cosigned| rule.is_met_by(cosigned)).collect();
        for (cosigned, met) in (0_u32..).zip(&met) {
            prop_assert_eq!(quorum.is_met_by(|place| cosigned & (1 << place) != 0), *met);
        }
        let enough = (0_u32..).zip(&met).filter(|(_, met)| **met).map(|(cosigned, _)| cosigned.count_ones());
        prop_assert_eq!(quorum.fewest(), enough.min().unwrap() as usize);
        // Who counts makes the difference at least once, and who does not never does.
        let counting = quorum.counting();
        for place in 0..witnesses {
            let differs = (0..met.len()).any(|cosigned| met[cosigned] != met[cosigned ^ (1 << place)]);
            prop_assert_eq!(counting.contains(&Member::Witness(place)), differs);
        }
    }

    #[test]
    fn no_bytes_are_too_strange_to_be_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Policy::parse(&bytes);
    }

    /// Words of a policy in any order, which come closer.
    #[test]
    fn no_words_are_too_strange_to_be_refused(words in vec("log|witness|group|quorum|none|all|any|a|b|0|1|2|[ \t\n#]", 0..40)) {
        let _ = words.join(" ").parse::<Policy>();
    }
}
