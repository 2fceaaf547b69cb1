//! [`ApiQuery`]: the query string, read strictly.
//!
//! Promises that a parameter which is unknown, given twice, badly encoded or of the wrong kind is a 400 that names it:
//! a mistyped filter must not mean "everything".

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_path_to_error::Segment;

use super::json::reword;
use crate::error::ApiError;

/// Extractor: the query parameters as a `T`, a struct without `#[serde(flatten)]`. Several values of one parameter are
/// comma-separated and read as a `Vec`.
#[derive(Debug, Clone)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let mut pairs: Vec<(String, Part)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).map_err(|detail| invalid(name, detail))?;
        let value = decode(value).map_err(|detail| invalid(&name, detail))?;
        if value.contains('\0') {
            return Err(invalid(&name, "must not contain NUL characters"));
        }
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(invalid(&name, "is given twice"));
        }
        pairs.push((name, Part(value)));
    }
    serde_path_to_error::deserialize(MapDeserializer::new(pairs.into_iter())).map_err(|error| {
        let name = error.path().iter().find_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
        });
        let message = error.inner().to_string();
        if let Some(missing) = message.strip_prefix("missing field `") {
            return invalid(missing.trim_end_matches('`'), "is required");
        }
        let detail = if message.starts_with("unknown field") { UNKNOWN.to_owned() } else { reword(&message) };
        invalid(&name.unwrap_or_default(), &detail)
    })
}

const UNKNOWN: &str = "there is no such parameter";

fn invalid(name: &str, detail: &str) -> ApiError {
    // The name is the caller's: bounded, and nothing that could break a line.
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    ApiError::invalid_request(format!("query:{name}"), detail)
}

/// Undoes percent-encoding and `+`, refusing what is not the encoding of text.
fn decode(text: &str) -> Result<String, &'static str> {
    let plus = text.replace('+', " ");
    for (at, _) in plus.match_indices('%') {
        let hex = plus.as_bytes().get(at + 1..at + 3);
        if !hex.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("a % must be followed by two hexadecimal digits");
        }
    }
    let decoded = percent_encoding::percent_decode_str(&plus).decode_utf8().map_err(|_| "is not UTF-8")?;
    if decoded.contains('\0') {
        return Err("must not contain NUL characters");
    }
    Ok(decoded.into_owned())
}

/// One value, read as whatever the field wants.
struct Part(String);

impl IntoDeserializer<'_, ValueError> for Part {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $wanted:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(ValueError::custom(concat!("must be ", $wanted))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Part {
    type Error = ValueError;

    numbers! {
        deserialize_bool visit_bool "true or false";
        deserialize_i8 visit_i8 "a whole number";
        deserialize_i16 visit_i16 "a whole number";
        deserialize_i32 visit_i32 "a whole number";
        deserialize_i64 visit_i64 "a whole number";
        deserialize_u8 visit_u8 "a whole number, not negative";
        deserialize_u16 visit_u16 "a whole number, not negative";
        deserialize_u32 visit_u32 "a whole number, not negative";
        deserialize_u64 visit_u64 "a whole number, not negative";
        deserialize_f32 visit_f32 "a number";
        deserialize_f64 visit_f64 "a number";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let items = self.0.split(',').map(|item| Part(item.trim().to_owned()));
        visitor.visit_seq(SeqDeserializer::new(items.collect::<Vec<_>>().into_iter()))
    }

    /// Reached for parameters that the type does not know, whether it denies them or not.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
        Err(ValueError::custom(UNKNOWN))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
    }
}
