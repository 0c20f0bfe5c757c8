//! Quorums: which witnesses must have cosigned a checkpoint, in groups of groups, as [tlog-policy] defines them.
//!
//! [tlog-policy]: https://c2sp.org/tlog-policy#defining-the-quorum

use crate::note::{Note, VerifierKey, VerifyNoteError};
use crate::policy::PolicyName;

/// Which witnesses must have cosigned a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quorum {
    witnesses: Vec<Witness>,
    /// Groups stand behind all of their members, so that one pass sees each member before its group.
    groups: Vec<Group>,
    /// `None` where nobody needs to.
    rule: Option<Member>,
}

/// A witness of a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// What the policy calls it.
    pub name: PolicyName,
    /// The key, one that cosigns.
    pub key: VerifierKey,
    /// Its submission prefix, in bytes that are a URL in all likelihood.
    pub url: Option<PolicyName>,
}

/// A group of a policy: [so many] of its members must have witnessed a checkpoint.
///
/// [so many]: https://c2sp.org/tlog-policy#defining-a-witness-group
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    pub(crate) name: PolicyName,
    pub(crate) threshold: usize, // 1..=members.len()
    pub(crate) members: Vec<Member>,
}

/// A witness or a group, by its place in the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Member {
    /// The witness at this place of [`Quorum::witnesses`].
    Witness(usize),
    /// The group at this place of [`Quorum::groups`].
    Group(usize),
}

/// A checkpoint that lacks cosignatures, or has a wrong one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumNotMet {
    /// A signature by a witness of the policy is wrong. The whole note is to be rejected.
    #[error(transparent)]
    Signature(#[from] VerifyNoteError),
    /// Those that cosigned are not enough.
    #[error(
        "cosigned by {}, and not by {}: this does not meet the quorum {quorum}",
        listed(cosigned),
        listed(missing)
    )]
    TooFew {
        /// The names of the witnesses that cosigned.
        cosigned: Vec<PolicyName>,
        /// The names of those that count, and did not.
        missing: Vec<PolicyName>,
        /// The name of the quorum.
        quorum: PolicyName,
    },
}

/// The first few, since a policy may have a thousand.
fn listed(names: &[PolicyName]) -> String {
    const MOST: usize = 8;
    if names.is_empty() {
        return "nobody who counts".to_owned();
    }
    let named = names.iter().take(MOST).map(ToString::to_string);
    let more = names.len().checked_sub(MOST).filter(|&more| more > 0).map(|more| format!("{more} more"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// What a policy says of a checkpoint's cosignatures, witness by witness and group by group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Of each witness, in the order of [`Quorum::witnesses`]: when it cosigned, in seconds since 1970.
    pub witnesses: Vec<Option<u64>>,
    /// Of each group, in the order of [`Quorum::groups`]: how many of its members count.
    pub groups: Vec<usize>,
    /// Whether the quorum is met.
    pub met: bool,
}

impl Group {
    /// What the policy calls it.
    #[must_use]
    pub const fn name(&self) -> &PolicyName {
        &self.name
    }

    /// How many of its members must count: one at least, all at most.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Its members, one at least.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

impl Quorum {
    pub(crate) const fn new(witnesses: Vec<Witness>, groups: Vec<Group>, rule: Option<Member>) -> Self {
        Self { witnesses, groups, rule }
    }

    /// The quorum that asks for nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(Vec::new(), Vec::new(), None)
    }

    /// Whether nobody must have cosigned.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.rule.is_none()
    }

    /// The witness or group that must have witnessed a checkpoint; `None` where nobody must.
    #[must_use]
    pub const fn rule(&self) -> Option<Member> {
        self.rule
    }

    /// All witnesses that the policy names, those that count for nothing included.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// All groups that the policy names, each behind its members.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What the quorum is called in the policy; `none` where nobody must have cosigned.
    #[must_use]
    pub fn name(&self) -> PolicyName {
        self.rule.map_or_else(PolicyName::none, |rule| self.name_of(rule).clone())
    }

    /// What a witness or group is called in the policy.
    ///
    /// # Panics
    /// Where it is a member of another policy.
    #[must_use]
    pub fn name_of(&self, member: Member) -> &PolicyName {
        match member {
            Member::Witness(place) => &self.witnesses[place].name,
            Member::Group(place) => &self.groups[place].name,
        }
    }

    /// The witness or group that the quorum is, and all that are members of it, of a member, and so on. What is not
    /// among them counts for nothing.
    #[must_use]
    pub fn counting(&self) -> Vec<Member> {
        let mut counting: Vec<Member> = self.rule.into_iter().collect();
        let mut seen = 0;
        while let Some(&member) = counting.get(seen) {
            if let Member::Group(place) = member {
                counting.extend(&self.groups[place].members);
            }
            seen += 1;
        }
        counting
    }

    /// How many witnesses must have cosigned, if they are those of which the fewest are enough.
    #[must_use]
    pub fn fewest(&self) -> usize {
        let mut of_groups: Vec<usize> = Vec::with_capacity(self.groups.len());
        let fewest_of = |member: Member, of_groups: &[usize]| match member {
            Member::Witness(_) => 1,
            Member::Group(place) => of_groups[place],
        };
        for group in &self.groups {
            // Nobody is a member twice, so that what one member needs helps no other.
            let mut needs: Vec<usize> =
                group.members.iter().map(|&member| fewest_of(member, &of_groups)).collect();
            needs.sort_unstable();
            of_groups.push(needs.iter().take(group.threshold).sum());
        }
        self.rule.map_or(0, |rule| fewest_of(rule, &of_groups))
    }

    /// Whether these witnesses, by their places, are enough.
    #[must_use]
    pub fn is_met_by(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        let counted = self.count(&cosigned);
        self.rule.is_none_or(|rule| self.counts(rule, &cosigned, &counted))
    }

    /// How many members of each group count.
    fn count(&self, cosigned: &impl Fn(usize) -> bool) -> Vec<usize> {
        let mut counted: Vec<usize> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let counting = group.members.iter().filter(|member| self.counts(**member, cosigned, &counted));
            counted.push(counting.count());
        }
        counted
    }

    fn counts(&self, member: Member, cosigned: &impl Fn(usize) -> bool, counted: &[usize]) -> bool {
        match member {
            Member::Witness(place) => cosigned(place),
            Member::Group(place) => counted[place] >= self.groups[place].threshold,
        }
    }

    /// What the policy says of a note's cosignatures.
    ///
    /// # Errors
    /// Where one by a witness of the policy is wrong: then the whole note is to be rejected.
    pub fn judge(&self, note: &Note) -> Result<Verdict, VerifyNoteError> {
        let verified = note.signed_by(self.witnesses.iter().map(|witness| &witness.key))?;
        let time_of = |witness: &Witness| {
            let (key, signature) = verified.iter().find(|(key, _)| **key == witness.key)?;
            key.time_of(signature)
        };
        let witnesses: Vec<Option<u64>> = self.witnesses.iter().map(time_of).collect();
        let cosigned = |place: usize| witnesses[place].is_some();
        let groups = self.count(&cosigned);
        let met = self.rule.is_none_or(|rule| self.counts(rule, &cosigned, &groups));
        Ok(Verdict { witnesses, groups, met })
    }

    /// Whether a note is cosigned as it must be. [All cosignatures by known witnesses] have to hold, also of those who
    /// are not needed.
    ///
    /// [All cosignatures by known witnesses]: https://c2sp.org/tlog-proof#verifying-a-tlog-proof
    ///
    /// # Errors
    /// Where one is wrong, or there are too few: who cosigned, and who did not.
    pub fn check(&self, note: &Note) -> Result<(), QuorumNotMet> {
        let verdict = self.judge(note)?;
        if verdict.met { Ok(()) } else { Err(self.too_few(&verdict)) }
    }

    fn too_few(&self, verdict: &Verdict) -> QuorumNotMet {
        let counting = self.counting();
        let named = |cosigned: bool| {
            let places =
                (0..self.witnesses.len()).filter(|&place| counting.contains(&Member::Witness(place)));
            let such = places.filter(|&place| verdict.witnesses[place].is_some() == cosigned);
            such.map(|place| self.witnesses[place].name.clone()).collect()
        };
        QuorumNotMet::TooFew { cosigned: named(true), missing: named(false), quorum: self.name() }
    }
}
