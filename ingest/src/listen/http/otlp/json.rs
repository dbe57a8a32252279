//! OTLP's JSON (protobuf's JSON mapping with OTLP's exceptions: ids in hex, enums as numbers) into protobuf bytes, along
//! a table of the messages. Unknown names are passed over, as the specification asks for. serde_json's bound on nesting
//! is the bound here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field's JSON name, its number, and what it is.
type Row = (&'static str, u32, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Hex,
    Base64,
    Bool,
    Double,
    Fixed32,
    Fixed64,
    /// int32, int64, uint32 and enums.
    Varint,
    Message(&'static Shape),
}

struct Shape(&'static [Row]);

static REQUEST: Shape = Shape(&[("resourceLogs", 1, Kind::Message(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape = Shape(&[("resource", 1, Kind::Message(&RESOURCE)), ("scopeLogs", 2, Kind::Message(&SCOPE_LOGS))]);
static RESOURCE: Shape = Shape(&[("attributes", 1, Kind::Message(&KEY_VALUE))]);
static SCOPE_LOGS: Shape = Shape(&[("scope", 1, Kind::Message(&SCOPE)), ("logRecords", 2, Kind::Message(&LOG_RECORD))]);
static SCOPE: Shape = Shape(&[("name", 1, Kind::Text), ("version", 2, Kind::Text), ("attributes", 3, Kind::Message(&KEY_VALUE))]);
static LOG_RECORD: Shape = Shape(&[
    ("timeUnixNano", 1, Kind::Fixed64),
    ("observedTimeUnixNano", 11, Kind::Fixed64),
    ("severityNumber", 2, Kind::Varint),
    ("severityText", 3, Kind::Text),
    ("body", 5, Kind::Message(&ANY_VALUE)),
    ("attributes", 6, Kind::Message(&KEY_VALUE)),
    ("droppedAttributesCount", 7, Kind::Varint),
    ("flags", 8, Kind::Fixed32),
    ("traceId", 9, Kind::Hex),
    ("spanId", 10, Kind::Hex),
    ("eventName", 12, Kind::Text),
]);
static KEY_VALUE: Shape = Shape(&[("key", 1, Kind::Text), ("value", 2, Kind::Message(&ANY_VALUE))]);
static ANY_VALUE: Shape = Shape(&[
    ("stringValue", 1, Kind::Text),
    ("boolValue", 2, Kind::Bool),
    ("intValue", 3, Kind::Varint),
    ("doubleValue", 4, Kind::Double),
    ("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
    ("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
    ("bytesValue", 7, Kind::Base64),
]);
static ARRAY_VALUE: Shape = Shape(&[("values", 1, Kind::Message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Shape = Shape(&[("values", 1, Kind::Message(&KEY_VALUE))]);

/// An ExportLogsServiceRequest in protobuf.
pub(super) fn to_protobuf(text: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.deserialize_map(Members { shape: &REQUEST, out: &mut out })?;
    deserializer.end()?;
    Ok(out)
}

/// Writes the members of an object.
struct Members<'o> {
    shape: &'static Shape,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of OTLP")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(row) = map.next_key_seed(Name(self.shape))? {
            match row {
                Some(&(_, tag, kind)) => map.next_value_seed(Field { tag, kind, out: &mut *self.out })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Finds a member's row by its name.
struct Name(&'static Shape);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Row>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Row>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|(known, ..)| *known == name))
    }
}

/// Writes one field; an array repeats it.
struct Field<'o> {
    tag: u32,
    kind: Kind,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Text => "a text",
            Kind::Hex => "a text in hex",
            Kind::Base64 => "a text in base64",
            Kind::Bool => "true or false",
            Kind::Double | Kind::Fixed32 | Kind::Fixed64 | Kind::Varint => "a number",
            Kind::Message(_) => "an object",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(shape) = self.kind else { return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)) };
        let mut inner = Vec::new();
        Members { shape, out: &mut inner }.visit_map(map)?;
        self.bytes(&inner);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Field { tag: self.tag, kind: self.kind, out: &mut *self.out })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let misfit = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
        match self.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Hex => {
                let bytes = from_hex(text).ok_or_else(misfit)?;
                self.bytes(&bytes);
            }
            Kind::Base64 => {
                let bytes = BASE64.decode(text).map_err(|_| misfit())?;
                self.bytes(&bytes);
            }
            Kind::Double => {
                let number = text.parse().map_err(|_| misfit())?;
                self.double(number);
            }
            Kind::Fixed32 | Kind::Fixed64 | Kind::Varint => {
                let number = text.parse().map_err(|_| misfit())?;
                return self.integer(number);
            }
            Kind::Bool | Kind::Message(_) => return Err(misfit()),
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        if !matches!(self.kind, Kind::Bool) {
            return Err(E::invalid_type(serde::de::Unexpected::Bool(truth), &self));
        }
        self.varint(u64::from(truth));
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.integer(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.integer(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.kind {
            Kind::Double => {
                self.double(number);
                Ok(())
            }
            // Some senders write large integers as 1.5e18.
            Kind::Fixed64 | Kind::Varint if number.fract() == 0.0 => self.integer(number as i128),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }

    /// `null` is a field that is not there.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Field<'_> {
    fn integer<E: Error>(self, number: i128) -> Result<(), E> {
        let misfit = |field: &Self| E::custom(format_args!("{number} is no value for {}", Expecting(field)));
        match self.kind {
            Kind::Varint => match i64::try_from(number) {
                Ok(number) => self.varint(number.cast_unsigned()),
                Err(_) => return Err(misfit(&self)),
            },
            Kind::Fixed64 => match u64::try_from(number) {
                Ok(number) => self.fixed64(number),
                Err(_) => return Err(misfit(&self)),
            },
            Kind::Fixed32 => match u32::try_from(number) {
                Ok(number) => {
                    encode_key(self.tag, WireType::ThirtyTwoBit, self.out);
                    self.out.extend_from_slice(&number.to_le_bytes());
                }
                Err(_) => return Err(misfit(&self)),
            },
            Kind::Double => self.double(number as f64),
            Kind::Text | Kind::Hex | Kind::Base64 | Kind::Bool | Kind::Message(_) => return Err(misfit(&self)),
        }
        Ok(())
    }

    fn varint(self, number: u64) {
        encode_key(self.tag, WireType::Varint, self.out);
        encode_varint(number, self.out);
    }

    fn fixed64(self, number: u64) {
        encode_key(self.tag, WireType::SixtyFourBit, self.out);
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    fn double(self, number: f64) {
        self.fixed64(number.to_bits());
    }

    fn bytes(self, bytes: &[u8]) {
        encode_key(self.tag, WireType::LengthDelimited, self.out);
        encode_varint(bytes.len() as u64, self.out);
        self.out.extend_from_slice(bytes);
    }
}

struct Expecting<'f>(&'f Field<'f>);

impl fmt::Display for Expecting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
