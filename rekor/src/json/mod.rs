//! JSON as [protobuf] maps messages to it, as far as Sigstore's messages need it: names in both spellings,
//! `null` for what is absent, bytes in base64, enums by name or number, 64-bit numbers as strings.
//!
//! Strict in all directions, as Sigstore's own clients are: an unknown field, a field twice, or
//! anything behind the value is an error. Nesting is bounded by `serde_json` (128), size by the input.
//!
//! [protobuf]: https://protobuf.dev/programming-guides/json/

mod fields;

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use fields::{Bytes, EnumField, Int64, ProtoEnum};

/// Why bytes are not the JSON of a message, with line and column.
///
/// What it prints is short, however long the input is.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl JsonError {
    /// The line of the fault, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.0.line()
    }

    /// The column of the fault, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.0.column()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of an unknown field may be as long as the input.
        const LONGEST: usize = 200;
        let message = self.0.to_string();
        let mut shown: String = message.chars().take(LONGEST).collect();
        if shown.len() < message.len() {
            shown.push_str("...");
        }
        f.write_str(&shown)
    }
}

impl core::error::Error for JsonError {}

/// Reads one message, and nothing behind it.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice::<Message<T>>(bytes).map(|message| message.0).map_err(JsonError)
}

/// Writes a message without white space.
pub(crate) fn to_string(message: &impl Serialize) -> String {
    serde_json::to_string(message)
        .expect("the messages of this crate have string keys, and writing to memory works")
}

/// A JSON object, and nothing else. On its own, serde takes a struct from an array too.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Message<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// For a field of a type without a message of its own: an object, and nothing else.
pub(crate) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Message::deserialize(deserializer).map(|message| message.0)
}

/// The same for a repeated field, where `null` is none.
pub(crate) fn objects<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list: Option<Vec<Message<T>>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().map(|message| message.0).collect())
}

/// The same for a field that may be absent.
pub(crate) fn optional_object<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let message: Option<Message<T>> = Option::deserialize(deserializer)?;
    Ok(message.map(|message| message.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
    struct Inner {
        #[serde(alias = "raw_bytes")]
        raw_bytes: Option<Bytes>,
        number: Option<Int64>,
        child: Option<Box<Message<Inner>>>,
        list: Option<Vec<Message<Inner>>>,
    }

    fn read(json: &str) -> Result<Inner, JsonError> {
        from_slice(json.as_bytes())
    }

    #[test]
    fn both_spellings_of_a_name_are_read_and_null_is_absent() {
        let expected = Inner { raw_bytes: Some(Bytes(vec![1])), ..Inner::default() };
        for json in [r#"{"rawBytes":"AQ=="}"#, r#" {"raw_bytes":"AQ","child":null,"list":null} "#] {
            assert_eq!(read(json).unwrap(), expected, "{json}");
        }
        assert_eq!(read(r#"{"rawBytes":null}"#).unwrap(), Inner::default());
        for json in [r#"{"number":"-7"}"#, r#"{"number":-7}"#] {
            assert_eq!(read(json).unwrap().number, Some(Int64(-7)));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for json in [
            "",
            "null",
            "[]",
            "7",
            r#"["AQ=="]"#,
            r#"{"child":[]}"#,
            r#"{"child":{"child":[]}}"#,
            r#"{"list":[null]}"#,
            r#"{"list":{}}"#,
            r#"{"list":[[]]}"#,
            r#"{"other":1}"#,
            r#"{"child":{"other":1}}"#,
            r#"{"number":1,"number":1}"#,
            r#"{"rawBytes":"","raw_bytes":""}"#,
            r#"{"number":null,"number":1}"#,
            r#"{"rawBytes":7}"#,
            r#"{"rawBytes":"A"}"#,
            r#"{"rawBytes":["AQ=="]}"#,
            r#"{"number":"07"}"#,
            r#"{"number":"+7"}"#,
            r#"{"number":7.0}"#,
            r#"{"number":9223372036854775808}"#,
            "{}{}",
            "{} x",
            "{",
            r#"{"number":1,}"#,
            "{'number':1}",
            "\u{feff}{}",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(from_slice::<Inner>(b"{\"\xff\":1}").is_err());
    }

    #[test]
    fn deep_json_is_refused_and_not_followed() {
        let deep = r#"{"child":"#.repeat(100_000);
        let error = read(&deep).unwrap_err();
        assert!(error.to_string().starts_with("recursion limit"), "{error}");
        assert!(read(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_message_is_short_however_long_the_input() {
        let error = read(&format!(r#"{{"{}":1}}"#, "ü".repeat(1_000_000))).unwrap_err();
        assert!(error.to_string().len() < 500);
        assert_eq!(error.line(), 1);
        let error = read("{\n \"other\": 1}").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 8));
        assert!(error.to_string().starts_with("unknown field `other`"), "{error}");
    }
}
