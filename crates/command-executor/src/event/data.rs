//! Text for people, with the bytes kept.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What an event says: reads like a string, and has the exact bytes.
///
/// Bytes that are not UTF-8 show as `U+FFFD` in the text; [`bytes`](Self::bytes) has them as they were. Clones are
/// cheap.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct EventData {
    text: Arc<str>,
    /// Only where the text is not the same.
    raw: Option<Arc<[u8]>>,
}

impl EventData {
    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// The text, with what is not UTF-8 replaced.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the text is all there is, byte for byte.
    pub fn is_utf8(&self) -> bool {
        self.raw.is_none()
    }
}

impl From<&[u8]> for EventData {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::from(text),
            Err(_) => Self {
                text: String::from_utf8_lossy(bytes).into(),
                raw: Some(bytes.into()),
            },
        }
    }
}

impl From<&str> for EventData {
    fn from(text: &str) -> Self {
        Self {
            text: text.into(),
            raw: None,
        }
    }
}

impl From<String> for EventData {
    fn from(text: String) -> Self {
        Self {
            text: text.into(),
            raw: None,
        }
    }
}

impl From<EventData> for String {
    fn from(data: EventData) -> Self {
        data.as_str().to_owned()
    }
}

impl Deref for EventData {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for EventData {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl PartialEq<str> for EventData {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for EventData {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_utf8_shows_replaced_and_keeps_its_bytes() {
        let data = EventData::from(b"caf\xe9!".as_slice());
        assert_eq!(data, "caf\u{fffd}!");
        assert_eq!(data.bytes(), b"caf\xe9!");
        assert!(!data.is_utf8());
    }

    #[test]
    fn it_reads_like_a_string() {
        let data = EventData::from("ready on 8080");
        assert_eq!(
            format!("{data} {data:?}"),
            "ready on 8080 \"ready on 8080\""
        );
        assert!(data.contains("ready") && data.ends_with("8080"));
        assert_eq!(data.bytes(), b"ready on 8080");
        assert_eq!(String::from(data), "ready on 8080");
    }
}
