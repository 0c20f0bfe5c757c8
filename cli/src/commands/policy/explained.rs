//! A policy in words, and as JSON.

use std::fmt;

use kiln_tiles::{Member, Policy, PolicyName, Quorum, VerifierKey};
use serde_json::{Value, json};

use super::operators::{Operator, operators};
use super::{Judged, warnings};
use crate::cosigned::shown_time;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::grouped;

/// A policy, and maybe a checkpoint that it judges.
pub(super) struct Explained<'a> {
    pub(super) name: &'a str,
    pub(super) policy: &'a Policy,
    pub(super) judged: Option<&'a Judged<'a>>,
}

impl Explained<'_> {
    pub(super) fn report(&self, output: Output) -> Result<(), Failure> {
        if output.is_json() { output.line(self.value()) } else { self.print(output) }
    }

    fn quorum(&self) -> &Quorum {
        self.policy.quorum()
    }

    fn warnings(&self) -> Vec<String> {
        warnings::of(self.policy, self.judged.map(|judged| &judged.note))
    }

    fn print(&self, output: Output) -> Result<(), Failure> {
        let (logs, quorum) = (self.policy.logs(), self.quorum());
        let (witnesses, groups) = (quorum.witnesses().len(), quorum.groups().len());
        output.line(format_args!(
            "policy   {}: {}, {}, {}",
            self.name,
            counted(logs.len(), "log"),
            if witnesses == 1 { "1 witness".to_owned() } else { format!("{witnesses} witnesses") },
            counted(groups, "group")
        ))?;
        for log in logs {
            output.line(format_args!("log      {}{}", Key(&log.key), at(log.url.as_ref())))?;
        }
        output.line(format_args!("quorum   {}", quorum.name()))?;
        quorum.rule().map_or(Ok(()), |rule| self.print_member(rule, 0, output))?;
        self.print_needs(output)?;
        self.print_judged(output)?;
        self.warnings().iter().try_for_each(|warning| output.line(format_args!("warning  {warning}")))
    }

    /// A witness, or a group with its members below it. A group can only have members that stand before it in the
    /// file, so that this ends; the file may make it deep, but not without as many lines.
    fn print_member(&self, member: Member, depth: usize, output: Output) -> Result<(), Failure> {
        let quorum = self.quorum();
        let (name, indent) = (quorum.name_of(member), " ".repeat(11 + 2 * depth));
        match member {
            Member::Group(place) => {
                let group = &quorum.groups()[place];
                let (threshold, all) = (group.threshold(), group.members().len());
                let has = self.judged.map(|judged| judged.cosigned.members_of(place));
                let has = has.map_or_else(String::new, |has| format!(", has {has}"));
                output.line(format_args!("{indent}{name}: {threshold} of {all}{has}"))?;
                group.members().iter().try_for_each(|&member| self.print_member(member, depth + 1, output))
            }
            Member::Witness(place) => {
                let witness = &quorum.witnesses()[place];
                let (key, url) = (Key(&witness.key), at(witness.url.as_ref()));
                output.line(format_args!("{indent}{name}: {key}{url}{}", self.cosigned(place)))
            }
            _ => Ok(()),
        }
    }

    /// What the checkpoint has of a witness.
    fn cosigned(&self, place: usize) -> String {
        let Some(judged) = self.judged else { return String::new() };
        match judged.cosigned.witnesses().nth(place).and_then(|(_, time)| time) {
            Some(time) => format!(", cosigned {}", shown_time(time)),
            None => ", no cosignature".to_owned(),
        }
    }

    fn print_needs(&self, output: Output) -> Result<(), Failure> {
        let quorum = self.quorum();
        if quorum.is_none() {
            return output.line("needs    the log's signature, and nobody else's");
        }
        let of = quorum.counting().iter().filter(|member| matches!(member, Member::Witness(_))).count();
        output.line(format_args!("needs    {} of {of} witnesses, at the least", quorum.fewest()))?;
        operators(quorum).iter().try_for_each(|operator| output.line(format_args!("alone    {operator}")))
    }

    fn print_judged(&self, output: Output) -> Result<(), Failure> {
        let Some(Judged { checkpoint, cosigned, .. }) = self.judged else { return Ok(()) };
        let (origin, size) = (checkpoint.origin(), grouped(checkpoint.head().size()));
        let met = if cosigned.is_met() { "meets the quorum" } else { "does not meet the quorum" };
        output
            .line(format_args!("checkpoint of {origin}, {size} entries: {met}: {}", cosigned.quorum_words()))
    }

    fn value(&self) -> Value {
        let (quorum, counting) = (self.quorum(), self.quorum().counting());
        let members =
            |of: &[Member]| of.iter().map(|&one| quorum.name_of(one).to_string()).collect::<Vec<_>>();
        let logs = self.policy.logs().iter().map(|log| with_key(json!({}), &log.key, log.url.as_ref()));
        let witnesses = quorum.witnesses().iter().enumerate().map(|(place, witness)| {
            let counts = counting.contains(&Member::Witness(place));
            let value = json!({ "name": witness.name.to_string(), "counts": counts });
            with_key(value, &witness.key, witness.url.as_ref())
        });
        let groups = quorum.groups().iter().enumerate().map(|(place, group)| {
            json!({
                "name": group.name().to_string(), "threshold": group.threshold(),
                "members": members(group.members()), "counts": counting.contains(&Member::Group(place)),
            })
        });
        json!({
            "logs": logs.collect::<Vec<_>>(), "witnesses": witnesses.collect::<Vec<_>>(),
            "groups": groups.collect::<Vec<_>>(), "quorum": quorum.name().to_string(), "fewest": quorum.fewest(),
            "operators": operators(quorum).iter().map(Operator::value).collect::<Vec<_>>(),
            "warnings": self.warnings(), "checkpoint": self.judged.map(judged_value),
        })
    }
}

fn judged_value(judged: &Judged<'_>) -> Value {
    let head = judged.checkpoint.head();
    json!({
        "origin": judged.checkpoint.origin(), "size": head.size(), "root": head.root().to_hex(),
        "witnesses": judged.cosigned.witnesses_value(), "quorum": judged.cosigned.quorum_value(),
    })
}

fn with_key(mut value: Value, key: &VerifierKey, url: Option<&PolicyName>) -> Value {
    value["vkey"] = key.to_string().into();
    value["type"] = key.signature_type().to_string().into();
    value["url"] = url.map(ToString::to_string).into();
    value
}

/// A key as people tell it from others.
struct Key<'a>(&'a VerifierKey);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), {}", self.0.name(), self.0.key_id(), self.0.signature_type())
    }
}

fn at(url: Option<&PolicyName>) -> String {
    url.map_or_else(String::new, |url| format!(", {url}"))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
