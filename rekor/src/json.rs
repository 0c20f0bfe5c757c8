//! JSON as [protobuf] maps messages to it, as far as Sigstore's messages need it: names in both spellings,
//! `null` for what is absent, bytes in base64, enums by name or number, 64-bit numbers as strings.
//!
//! Strict in all directions, as Sigstore's own clients are: an unknown field, a field twice, or
//! anything behind the value is an error. Nesting is bounded by `serde_json` (128), size by the input.
//!
//! [protobuf]: https://protobuf.dev/programming-guides/json/

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base64;

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
    serde_json::to_string(message).expect("the messages of this crate have string keys, and writing to memory works")
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

/// A field of type `bytes`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        base64::decode(text).map(Bytes).ok_or_else(|| E::custom("not base64"))
    }
}

/// A field of type `int64`: a string, as it is written, or a number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Int64(pub(crate) i64);

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Int64Visitor)
    }
}

struct Int64Visitor;

impl Visitor<'_> for Int64Visitor {
    type Value = Int64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer, as a string or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Int64, E> {
        let number = text.parse().ok().filter(|n: &i64| n.to_string() == text);
        number.map(Int64).ok_or_else(|| E::custom("not a 64-bit integer in decimal"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Int64, E> {
        Ok(Int64(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Int64, E> {
        i64::try_from(number).map(Int64).map_err(|_| E::custom("the number is above 2^63 - 1"))
    }
}

/// An enum of protobuf: its names, and the numbers behind them.
pub(crate) trait ProtoEnum {
    /// What it is, for messages.
    const WHAT: &'static str;
    fn number_of(name: &str) -> Option<i32>;
    fn name_of(number: i32) -> Option<&'static str>;
}

/// A field of an enum type. A number need not have a name: protobuf's enums are open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct EnumField<E> {
    pub(crate) number: i32,
    of: PhantomData<E>,
}

impl<E> EnumField<E> {
    pub(crate) const fn new(number: i32) -> Self {
        Self { number, of: PhantomData }
    }
}

impl<E: ProtoEnum> Serialize for EnumField<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match E::name_of(self.number) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_i32(self.number),
        }
    }
}

impl<'de, E: ProtoEnum> Deserialize<'de> for EnumField<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnumVisitor::<E>(PhantomData)).map(Self::new)
    }
}

struct EnumVisitor<E>(PhantomData<E>);

impl<P: ProtoEnum> Visitor<'_> for EnumVisitor<P> {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by name or number", P::WHAT)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<i32, E> {
        P::number_of(name).ok_or_else(|| E::custom(format_args!("no name of {}", P::WHAT)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::custom("the number of an enum has 32 bits"))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::custom("the number of an enum has 32 bits"))
    }
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
            "", "null", "[]", "7", r#"["AQ=="]"#, r#"{"child":[]}"#, r#"{"child":{"child":[]}}"#,
            r#"{"list":[null]}"#, r#"{"list":{}}"#, r#"{"list":[[]]}"#,
            r#"{"other":1}"#, r#"{"child":{"other":1}}"#,
            r#"{"number":1,"number":1}"#, r#"{"rawBytes":"","raw_bytes":""}"#, r#"{"number":null,"number":1}"#,
            r#"{"rawBytes":7}"#, r#"{"rawBytes":"A"}"#, r#"{"rawBytes":["AQ=="]}"#,
            r#"{"number":"07"}"#, r#"{"number":"+7"}"#, r#"{"number":7.0}"#, r#"{"number":9223372036854775808}"#,
            "{}{}", "{} x", "{", r#"{"number":1,}"#, "{'number':1}", "\u{feff}{}",
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
