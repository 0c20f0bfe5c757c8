//! The types of fields that JSON has no type for.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base64;

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
