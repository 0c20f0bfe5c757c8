//! What environment variables override.

use crate::environment::in_variable;

/// What an environment variable begins with that overrides a key.
pub(super) const PREFIX: &str = "KILN_SERVE_";

/// What environment variables override, each until it is used.
pub(super) struct Overrides<'a>(Vec<(&'a str, &'a str, bool)>);

impl<'a> Overrides<'a> {
    pub(super) fn new(variables: &'a [(String, String)]) -> Self {
        Self(variables.iter().map(|(name, value)| (name.as_str(), value.as_str(), false)).collect())
    }

    /// Those of a log: KILN_SERVE_LOG_<NAME>_<KEY>. The variable, the key as it stands in it, and the value. Where `a` and
    /// `a-b` are logs, one that begins with A_B is of the second.
    pub(super) fn of_log(
        &mut self,
        name: &str,
        names: &[Option<String>],
    ) -> Vec<(&'a str, &'a str, &'a str)> {
        let begins = |name: &str| format!("{PREFIX}LOG_{}_", in_variable(name));
        let own = begins(name);
        let longer: Vec<_> = names
            .iter()
            .flatten()
            .filter_map(|other| Some(begins(other).strip_prefix(&own)?.to_owned()))
            .filter(|rest| !rest.is_empty())
            .collect();
        self.take(&own, |key| !longer.iter().any(|rest| key.starts_with(rest)))
    }

    /// Those of what all logs share: KILN_SERVE_<KEY>.
    pub(super) fn of_the_process(&mut self) -> Vec<(&'a str, &'a str, &'a str)> {
        self.take(PREFIX, |key| !key.starts_with("LOG_"))
    }

    fn take(&mut self, prefix: &str, wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a str, &'a str)> {
        let mut taken = Vec::new();
        for (name, value, used) in &mut self.0 {
            if let Some(key) = name.strip_prefix(prefix).filter(|key| wanted(key)) {
                *used = true;
                taken.push((*name, key, *value));
            }
        }
        taken
    }

    pub(super) fn unknown(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(_, _, used)| !used).map(|(name, _, _)| *name)
    }
}
