//! Lists of logs, in the form `logs/v0` of the [witness network].
//!
//! ```text
//! # a comment
//! logs/v0
//!
//! vkey <vkey>
//! origin <origin>       none, or no line: the name of the key
//! bastion <url>         read and forgotten; today's lists have none
//! qpd <number>          how many add-checkpoint requests a day the log may do; no line: as many as it likes
//! contact <text>        for people
//! ```
//!
//! [witness network]: https://github.com/transparency-dev/witness-network/blob/main/docs/log-list-format.md

use core::fmt;
use core::str::FromStr;

use kiln_tiles::{ParseVerifierKeyError, VerifierKey};

use super::per_day::PerDay;

/// The first line that is no comment.
const HEADER: &str = "logs/v0";

/// The longest origin: what an ML-DSA-44 [cosignature](https://c2sp.org/tlog-cosignature#ml-dsa-44-signed-message) can name.
const MAX_ORIGIN: usize = 255;

/// The longest contact.
const MAX_CONTACT: usize = 1024;

/// A list of logs. An origin may stand in it several times, with several keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogList {
    pub(crate) logs: Vec<ListedLog>,
    /// Logs whose keys sign in ways that are not known here.
    pub(crate) skipped: usize,
}

/// A log, as a list has it: one key of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListedLog {
    pub(crate) vkey: VerifierKey,
    pub(crate) origin: String,
    pub(crate) per_day: Option<PerDay>,
    pub(crate) contact: Option<String>,
}

/// Why bytes are no list of logs, and in which line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line} of the list of logs: {problem}")]
pub struct ParseLogListError {
    /// The line, counted from 1.
    pub(crate) line: usize,
    pub(crate) problem: LogListProblem,
}

/// What is wrong with a line of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LogListProblem {
    #[error("the list is longer than {} bytes", LogList::MAX_SIZE)]
    TooLong,
    #[error("it is not UTF-8")]
    Utf8,
    #[error("it has a control character")]
    ControlCharacter,
    #[error("it does not end in a newline: was the list cut off?")]
    Unterminated,
    #[error("the first line is not {HEADER}")]
    Header,
    #[error("the first word is none of vkey, origin, bastion, qpd and contact")]
    Keyword,
    #[error(
        "it does not follow what stands before it: a log is vkey, origin, bastion, qpd and contact, in this order"
    )]
    Order,
    #[error("vkey: {0}")]
    Key(ParseVerifierKeyError),
    #[error("an origin is 1 to {MAX_ORIGIN} bytes")]
    Origin,
    #[error("qpd is a number above zero, with at most six decimals")]
    PerDay,
    #[error("a contact is 1 to {MAX_CONTACT} bytes")]
    Contact,
}

impl LogList {
    /// The longest list, in bytes: some 200,000 logs.
    pub const MAX_SIZE: usize = 32 << 20;

    /// Reads a list. Who reads half a list, or one of another format, takes nothing of it.
    ///
    /// White space around a line is ignored, as the network's own check of its lists does. A log whose key is of a
    /// signature type that is not known here is skipped.
    ///
    /// # Errors
    /// The first line that breaks the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseLogListError> {
        let mut reader = Reader::default();
        let whole = |problem| ParseLogListError { line: 1, problem };
        if bytes.len() > Self::MAX_SIZE {
            return Err(whole(LogListProblem::TooLong));
        }
        let text = str::from_utf8(bytes).map_err(|_| whole(LogListProblem::Utf8))?;
        let mut last = 0;
        for (line, number) in text.split_inclusive('\n').zip(1..) {
            reader.line(line).map_err(|problem| ParseLogListError { line: number, problem })?;
            last = number;
        }
        reader.end().map_err(|problem| ParseLogListError { line: last.max(1), problem })
    }

    /// How many logs were left out, since their keys sign in ways that are not known here.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many keys of logs it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }
}

impl FromStr for LogList {
    type Err = ParseLogListError;

    fn from_str(text: &str) -> Result<Self, ParseLogListError> {
        Self::parse(text.as_bytes())
    }
}

/// Writes the list, without the logs that were skipped.
impl fmt::Display for LogList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        self.logs.iter().try_for_each(|log| write!(f, "\n{log}"))
    }
}

impl fmt::Display for ListedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vkey {}", self.vkey)?;
        // No origin is the word `none` where the key has another name: a list cannot say so.
        if self.origin != self.vkey.name().as_str() {
            writeln!(f, "origin {}", self.origin)?;
        }
        if let Some(per_day) = self.per_day {
            writeln!(f, "qpd {per_day}")?;
        }
        self.contact.iter().try_for_each(|contact| writeln!(f, "contact {contact}"))
    }
}

/// What may follow: the place of a line within a log.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    #[default]
    Nothing,
    Header,
    Key,
    Origin,
    Bastion,
    PerDay,
    Contact,
}

/// Reads lines one after another.
#[derive(Default)]
struct Reader {
    list: LogList,
    place: Place,
    /// Whether the log that is being read has a key of an unknown type.
    skipping: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), LogListProblem> {
        use LogListProblem as E;
        let line = line.strip_suffix('\n').ok_or(E::Unterminated)?;
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.starts_with('#') || line.is_empty() {
            return Ok(());
        }
        if line.contains(|c: char| c.is_control()) {
            return Err(E::ControlCharacter);
        }
        if self.place == Place::Nothing {
            self.place = Place::Header;
            return if line == HEADER { Ok(()) } else { Err(E::Header) };
        }
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim_matches([' ', '\t']);
        match keyword {
            "vkey" => return self.key(value),
            "origin" => self.follows(Place::Origin)?,
            "bastion" => self.follows(Place::Bastion)?,
            "qpd" => self.follows(Place::PerDay)?,
            "contact" => self.follows(Place::Contact)?,
            _ => return Err(E::Keyword),
        }
        self.field(value)
    }

    fn key(&mut self, vkey: &str) -> Result<(), LogListProblem> {
        self.place = Place::Key;
        self.skipping = false;
        match vkey.parse::<VerifierKey>() {
            Ok(vkey) => {
                let origin = vkey.name().as_str().to_owned();
                self.list.logs.push(ListedLog { vkey, origin, per_day: None, contact: None });
                Ok(())
            }
            Err(ParseVerifierKeyError::SignatureType(_)) => {
                self.skipping = true;
                self.list.skipped += 1;
                Ok(())
            }
            Err(error) => Err(LogListProblem::Key(error)),
        }
    }

    fn follows(&mut self, place: Place) -> Result<(), LogListProblem> {
        if self.place < Place::Key || self.place >= place {
            return Err(LogListProblem::Order);
        }
        self.place = place;
        Ok(())
    }

    /// The value of the line at this place. That of a log which is skipped is checked too.
    fn field(&mut self, value: &str) -> Result<(), LogListProblem> {
        use LogListProblem as E;
        let log = if self.skipping { None } else { self.list.logs.last_mut() };
        match self.place {
            Place::Origin => {
                let valid = (1..=MAX_ORIGIN).contains(&value.len());
                let origin = Some(value).filter(|_| valid).ok_or(E::Origin)?;
                if let Some(log) = log.filter(|_| origin != "none") {
                    log.origin = origin.to_owned();
                }
            }
            Place::PerDay => {
                let per_day = value.parse().map_err(|_| E::PerDay)?;
                if let Some(log) = log {
                    log.per_day = Some(per_day);
                }
            }
            Place::Contact => {
                let valid = (1..=MAX_CONTACT).contains(&value.len());
                let contact = Some(value).filter(|_| valid).ok_or(E::Contact)?;
                if let Some(log) = log {
                    log.contact = Some(contact.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(self) -> Result<LogList, LogListProblem> {
        if self.place == Place::Nothing { Err(LogListProblem::Header) } else { Ok(self.list) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the network publishes them.
    const LIST: &str = "#
# This is a list.
#
logs/v0

vkey arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f
qpd 86400
contact google-ct-logs@googlegroups.com

# and this a log
vkey vindex.gopherwatch.org+af4f4f3a+AYlEp21ErzmKZa+aqhjC8BQteyEtsVwmLzblkzHxn8et
origin another/origin with spaces
qpd 0.5
contact admin (at) gopherwatch.org
";

    fn replaced(from: &str, to: &str) -> Result<LogList, LogListProblem> {
        let list = LIST.replacen(from, to, 1);
        assert!(list != LIST, "{from}");
        list.parse::<LogList>().map_err(|error| error.problem)
    }

    #[test]
    fn a_list_reads_what_it_prints() {
        let list: LogList = LIST.parse().unwrap();
        assert_eq!(list.to_string().parse::<LogList>().unwrap(), list);
        let [first, second] = &list.logs[..] else { panic!("{list:?}") };
        assert_eq!(first.origin, "arche2025h1.staging.ct.transparency.dev");
        assert_eq!(second.origin, "another/origin with spaces");
        assert_eq!(second.per_day.unwrap().to_string(), "0.5");
        assert_eq!(second.contact.as_deref(), Some("admin (at) gopherwatch.org"));
        assert_eq!("logs/v0\n".parse::<LogList>().unwrap(), LogList::default());
    }

    #[test]
    fn what_is_optional_may_be_left_out_and_none_is_the_name_of_the_key() {
        assert_eq!(replaced("qpd 86400\n", "").unwrap().logs[0].per_day, None);
        assert_eq!(replaced("contact google-ct-logs@googlegroups.com\n", "").unwrap().logs[0].contact, None);
        let list = replaced("qpd 86400\n", "origin none\nbastion https://b.example/\nqpd 86400\n").unwrap();
        assert_eq!(list, LIST.parse().unwrap());
        assert_eq!(replaced("qpd 86400\n", "qpd 86400 \r\n").unwrap(), list, "space around a line");
    }

    #[test]
    fn a_key_of_an_unknown_type_is_skipped_with_its_log() {
        // Signature type 0xfa, which signed-note keeps free for experiments.
        let unknown = "vkey a.example+00000000+\n".parse::<LogList>();
        assert!(unknown.is_err());
        let list = replaced(
            "vkey vindex.gopherwatch.org+af4f4f3a+AYlEp21ErzmKZa+aqhjC8BQteyEtsVwmLzblkzHxn8et",
            "vkey vindex.gopherwatch.org+af4f4f3a++olEp21ErzmKZa+aqhjC8BQteyEtsVwmLzblkzHxn8et",
        )
        .unwrap();
        assert_eq!((list.len(), list.skipped()), (1, 1));
        assert_eq!(list.logs[0].origin, "arche2025h1.staging.ct.transparency.dev");
        assert_eq!(list.logs[0].per_day.unwrap().to_string(), "86400");
    }

    #[test]
    fn each_rule_has_its_error() {
        use LogListProblem as E;
        for (from, to, problem) in [
            ("logs/v0\n", "logs/v1\n", E::Header),
            ("logs/v0\n", "", E::Header),
            ("gopherwatch.org\n", "gopherwatch.org", E::Unterminated),
            ("qpd 86400\n", "qpd 86400\nqpd 86400\n", E::Order),
            ("qpd 86400\ncontact", "contact x\nqpd 1\n# ", E::Order),
            ("logs/v0\n", "logs/v0\nqpd 1\n", E::Order),
            ("qpd 86400\n", "disabled\n", E::Keyword),
            ("qpd 86400", "qpd 86\u{7f}400", E::ControlCharacter),
            ("qpd 86400", "qpd 0", E::PerDay),
            ("qpd 86400", "qpd 0.0000001", E::PerDay),
            ("qpd 86400", "qpd -1", E::PerDay),
            ("qpd 86400", "qpd 1e3", E::PerDay),
            ("qpd 86400", "qpd", E::PerDay),
            ("qpd 86400", "qpd 1.", E::PerDay),
            ("qpd 86400", "qpd 9999999999999", E::PerDay),
            ("origin another/origin with spaces", "origin", E::Origin),
            ("contact admin (at) gopherwatch.org", "contact", E::Contact),
            ("vkey arche", "vkey brche", E::Key(ParseVerifierKeyError::Mismatch)),
            ("vkey arche", "vkey ", E::Key(ParseVerifierKeyError::Mismatch)),
        ] {
            assert_eq!(replaced(from, to), Err(problem), "{to}");
        }
        let long = format!("origin {}", "o".repeat(256));
        assert_eq!(replaced("origin another/origin with spaces", &long), Err(E::Origin));
        assert_eq!(LogList::parse(b"logs/v0\n\xff\n").unwrap_err().problem, E::Utf8);
        assert_eq!(LogList::parse(b"").unwrap_err().problem, E::Header);
        assert_eq!(LogList::parse(&vec![b'\n'; LogList::MAX_SIZE + 1]).unwrap_err().problem, E::TooLong);
    }
}
