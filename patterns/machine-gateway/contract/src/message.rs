use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What crosses as one JSON text.
pub trait Message: Serialize + DeserializeOwned {
    /// None when it is not understood.
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// In one line; ASCII where all its members are, so that an [`crate::Identity`] may be a header's value.
    fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// The member `v` of a message: 1, and nothing else is read. It changes when a meaning changes. A member that is new needs
/// no other version, since it is refused by whoever does not know it yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) struct Version1;

impl TryFrom<u8> for Version1 {
    type Error = &'static str;

    fn try_from(v: u8) -> Result<Self, &'static str> {
        if v == 1 { Ok(Self) } else { Err("a version that is not known") }
    }
}

impl From<Version1> for u8 {
    fn from(_: Version1) -> Self {
        1
    }
}
