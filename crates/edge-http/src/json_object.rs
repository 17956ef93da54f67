use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A JSON object, read into the struct `T`; `Json<JsonObject<T>>` in a handler.
///
/// serde alone also reads a struct from an array of its members in their order, which no API means.
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnlyMap(PhantomData))
    }
}

struct OnlyMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
    type Value = JsonObject<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<JsonObject<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(JsonObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Pair {
        a: u8,
        b: u8,
    }

    #[test]
    fn an_object_is_read_and_an_array_of_its_members_is_not() {
        let read = |json| serde_json::from_str::<JsonObject<Pair>>(json).map(|JsonObject(pair)| (pair.a, pair.b));
        assert_eq!(read(r#"{"b":2,"a":1}"#).unwrap(), (1, 2));
        assert!(serde_json::from_str::<Pair>("[1,2]").is_ok());
        assert!(read("[1,2]").is_err());
        assert!(read(r#"{"a":1,"a":1,"b":2}"#).is_err());
    }
}
