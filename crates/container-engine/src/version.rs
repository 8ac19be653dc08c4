//! Which version of the API is spoken.
//!
//! Owns: the choice, from what the engine offers.

use std::fmt;

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// 1, as long as anybody can see.
    pub major: u16,
    /// What counts.
    pub minor: u16,
}

impl ApiVersion {
    /// What this library is written for.
    const WANTED: Self = Self {
        major: 1,
        minor: 41,
    };

    /// What it can do with: docker 19.03.
    const LEAST: Self = Self {
        major: 1,
        minor: 40,
    };

    /// The version to speak with an engine that offers `newest` down to `oldest`: the wanted one, or the nearest to it.
    ///
    /// An engine that no longer speaks the wanted one gets its oldest: what is used here has not changed since.
    pub(crate) fn agree(newest: &str, oldest: Option<&str>) -> Option<Self> {
        let newest = Self::parse(newest)?;
        let oldest = oldest.and_then(Self::parse);
        let version = newest.min(oldest.map_or(Self::WANTED, |oldest| oldest.max(Self::WANTED)));
        (version >= Self::LEAST && newest.major == 1).then_some(version)
    }

    pub(crate) fn prefix(self) -> String {
        format!("/v{self}")
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        // podman's own version has three parts.
        let minor = minor.split('.').next().unwrap_or(minor);
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_version_or_the_nearest_is_spoken() {
        let agreed = |newest, oldest| ApiVersion::agree(newest, oldest).map(|v| v.to_string());
        assert_eq!(agreed("1.41", Some("1.12")).as_deref(), Some("1.41"));
        assert_eq!(agreed("1.40", Some("1.24")).as_deref(), Some("1.40"));
        assert_eq!(agreed("1.47", Some("1.24")).as_deref(), Some("1.41"));
        assert_eq!(agreed("1.52", Some("1.44")).as_deref(), Some("1.44"));
        assert_eq!(agreed("1.43", None).as_deref(), Some("1.41"));
        assert_eq!(agreed("1.39", None), None);
        assert_eq!(agreed("2.0", None), None);
        assert_eq!(agreed("", None), None);
    }
}
