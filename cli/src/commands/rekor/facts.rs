//! What is known of something, told once: as lines for people, and as an object for programs.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};

/// What is known of something, in the order in which people want to read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts(Vec<(String, Fact)>);

/// One thing that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    Text(String),
    Number(u64),
    List(Vec<Fact>),
    Facts(Facts),
}

impl Facts {
    /// And this.
    pub(super) fn with(mut self, name: impl Into<String>, fact: impl Into<Fact>) -> Self {
        self.0.push((name.into(), fact.into()));
        self
    }

    /// And this, if it is known.
    pub(super) fn maybe(self, name: &str, fact: Option<impl Into<Fact>>) -> Self {
        match fact {
            Some(fact) => self.with(name, fact),
            None => self,
        }
    }

    /// And all of these.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// As an object for programs.
    pub(super) fn to_value(&self) -> Value {
        let fields = self.0.iter().map(|(name, fact)| (name.clone(), fact.to_value()));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn write(&self, out: &mut String, indent: usize) {
        let width = self.0.iter().filter(|(_, fact)| fact.is_line()).map(|(name, _)| name.len()).max();
        for (name, fact) in &self.0 {
            fact.write(out, &label(name), indent, width.unwrap_or(0));
        }
    }
}

impl Fact {
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::List(facts) => facts.iter().map(Self::to_value).collect(),
            Self::Facts(facts) => facts.to_value(),
        }
    }

    /// Whether it stands beside its name.
    const fn is_line(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Number(_) | Self::List(_))
    }

    fn write(&self, out: &mut String, label: &str, indent: usize, width: usize) {
        // Writing to a string cannot fail.
        let mut line = |text: &str| {
            let _ = writeln!(out, "{:indent$}{label:width$}  {}", "", harmless(text));
        };
        match self {
            Self::Text(text) => line(text),
            Self::Number(number) => line(&number.to_string()),
            Self::List(facts) => facts.iter().for_each(|fact| fact.write(out, label, indent, width)),
            Self::Facts(facts) => {
                let _ = writeln!(out, "{:indent$}{label}", "");
                facts.write(out, indent + 2);
            }
        }
    }
}

/// The name of a field, as people read it.
fn label(name: &str) -> String {
    name.replace('_', " ")
}

/// As lines for people, the last one without its end.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out, 0);
        f.write_str(out.trim_end_matches('\n'))
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Facts> for Fact {
    fn from(facts: Facts) -> Self {
        Self::Facts(facts)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Fact {
    fn from(facts: Vec<T>) -> Self {
        Self::List(facts.into_iter().map(Into::into).collect())
    }
}

/// A text of somebody else's as a terminal may have it: what would move the cursor, or turn the order of what
/// is read around, is spelt out.
pub(super) fn harmless(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spelt = |c: char| -> String {
        if c.is_control() || turns(c) { c.escape_unicode().collect() } else { c.to_string() }
    };
    text.chars().map(spelt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts::default()
            .with("index", 7_u64)
            .with("key_details", "PKIX")
            .with("names", vec!["a", "b\u{1b}[2J\u{202e}"])
            .with("certificate", Facts::default().with("serial", "01"))
            .maybe("none", None::<u64>)
    }

    #[test]
    fn people_read_lines() {
        let lines = "index        7\nkey details  PKIX\nnames        a\nnames        b\\u{1b}[2J\\u{202e}\ncertificate\n  serial  01";
        assert_eq!(facts().to_string(), lines);
    }

    #[test]
    fn programs_read_an_object() {
        let value = json!({
            "index": 7, "key_details": "PKIX", "names": ["a", "b\u{1b}[2J\u{202e}"], "certificate": { "serial": "01" },
        });
        assert_eq!(facts().to_value(), value);
    }
}
