//! Values that must not be seen, their names, and where they come from.
//!
//! Owns: [`Secret`], which shows itself as `***` wherever it is printed or serialised, and [`SecretValues`], the values of
//! a stack apart from its specification. A specification names secrets and never holds one. Values travel and are kept
//! only through [`exposed`], which whoever uses it must name.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroize;

use super::{NameError, Origin, UnitName};

/// What stands for a secret wherever it is shown.
pub const MASK: &str = "***";

/// A value that must not be seen. It is wiped from memory when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever asks answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(MASK)
    }
}

impl<T: Zeroize> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// The name of a secret: one that the stack file declares (`db_password`), or the variable whose value it is
/// (`api/DB_PASSWORD`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(String);

impl SecretName {
    /// The name of a declared secret.
    ///
    /// # Errors
    /// [`NameError`] when it is none: the rules are those of units.
    pub fn declared(name: &str) -> Result<Self, NameError> {
        UnitName::new(name).map(|name| Self(name.to_string()))
    }

    /// The name of the secret that is the value of one variable of one unit.
    pub fn of_variable(unit: &UnitName, variable: &str) -> Self {
        Self(format!("{unit}/{variable}"))
    }

    /// Whether the stack file declares it by this name.
    pub fn is_declared(&self) -> bool {
        !self.0.contains('/')
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Where a secret comes from, and where the stack file says so. Read by the client, never by the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// Where it comes from.
    pub source: SecretSource,
    /// Where it stands in the stack file.
    pub origin: Origin,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecretSource {
    /// What a file holds, without one newline at its end.
    File(PathBuf),
    /// A variable of the environment of whoever starts the stack.
    Env(String),
    /// What a program prints, without one newline at its end: the program and its arguments.
    Command(Vec<String>),
}

/// The values of a stack's secrets, apart from its specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretValues(BTreeMap<SecretName, Secret<String>>);

impl SecretValues {
    /// The value of this name.
    pub fn get(&self, name: &SecretName) -> Option<&Secret<String>> {
        self.0.get(name)
    }

    /// Sets the value of a name.
    pub fn insert(&mut self, name: SecretName, value: Secret<String>) {
        self.0.insert(name, value);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over these values; they win over those of the same name.
    pub fn extend(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// Forgets every value whose name is not kept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&SecretName) -> bool) {
        self.0.retain(|name, _| is_kept(name));
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.0.keys()
    }
}

/// The form in which values are sent to the daemon and sealed in its state, and no other: for `#[serde(with)]`.
pub mod exposed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Secret, SecretName, SecretValues};

    /// Writes the values themselves.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        values: &SecretValues,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let values = values.0.iter();
        serializer.collect_map(values.map(|(name, value)| (name, value.expose())))
    }

    /// Reads the values themselves.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretValues, D::Error> {
        let values = BTreeMap::<SecretName, String>::deserialize(deserializer)?;
        let values = values.into_iter();
        Ok(SecretValues(
            values
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_as_stars_everywhere() {
        let secret = Secret::new("hunter2".to_owned());
        let mut values = SecretValues::default();
        values.insert(
            SecretName::declared("db").expect("a legal name"),
            secret.clone(),
        );
        let shown = format!(
            "{secret} {secret:?} {:?} {values:?} {}",
            Some(&secret),
            serde_json::to_string(&secret).expect("plain data")
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn values_travel_only_in_the_form_that_is_named_for_it() {
        #[derive(Serialize, Deserialize)]
        struct Sent(#[serde(with = "exposed")] SecretValues);
        let mut values = SecretValues::default();
        let unit = UnitName::new("api").expect("a legal name");
        let name = SecretName::of_variable(&unit, "TOKEN");
        assert!(!name.is_declared());
        values.insert(name, Secret::new("t".into()));
        let text = serde_json::to_string(&Sent(values.clone())).expect("plain data");
        assert_eq!(text, r#"{"api/TOKEN":"t"}"#);
        let Sent(back) = serde_json::from_str(&text).expect("what was written");
        assert_eq!(back, values);
    }
}
