//! What a value may look like.
//!
//! Owns: the vocabulary of the tables.

use super::Format;

/// What a value may look like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Any scalar, as text; references may stand in it.
    Text,
    /// The same, and only the unit itself sees it: secrets may stand in it too.
    Private,
    /// Any scalar, as text, or nothing at all; references and secrets may stand in it.
    Scalar,
    /// A scalar that is read by a format; known when the file is read.
    Known(&'static Format),
    /// A scalar that is read by a format when it has no references.
    KnownOrReference(&'static Format),
    /// One of these words; case does not matter.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A list.
    List(&'static Shape),
    /// A mapping with keys of one's own.
    Map(&'static Shape),
    /// A mapping with these keys.
    Object(&'static Object),
    /// The first of these that fits the kind of value (scalar, list or mapping).
    Either(&'static [Shape]),
    /// Whatever it is, somebody else reads it.
    Any,
    /// A service or a task: its keys depend on its type.
    Unit(UnitForm),
    /// Known, but nothing acts on it yet: why, and what to do instead.
    NotBuilt(&'static str),
}

/// Which of the two forms a unit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitForm {
    Service,
    Task,
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// What it is, for messages: `a probe`.
    pub(crate) what: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A key.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    /// Other spellings of the same.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) shape: Shape,
    pub(crate) is_required: bool,
    /// A field of a target that may also stand beside `target:`.
    pub(crate) is_beside: bool,
    /// Whether it is left out where fields are listed.
    pub(crate) is_unlisted: bool,
    pub(crate) doc: &'static str,
}

/// A key with what it takes and what it means.
pub(crate) const fn field(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        key,
        aliases: &[],
        shape,
        is_required: false,
        is_beside: false,
        is_unlisted: false,
        doc,
    }
}

impl Field {
    /// Also spelt like this.
    pub(crate) const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Cannot be left out.
    pub(crate) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// May also stand beside `target:`.
    pub(crate) const fn beside(mut self) -> Self {
        self.is_beside = true;
        self
    }

    /// Whether it is named among those that fit: one that takes a single value so far says nothing.
    pub(crate) fn is_listed(&self) -> bool {
        !self.is_unlisted && !matches!(self.shape, Shape::NotBuilt(_))
    }

    /// Is not named among those that fit.
    pub(crate) const fn unlisted(mut self) -> Self {
        self.is_unlisted = true;
        self
    }

    /// Whether this key is a spelling of the field.
    pub(crate) fn is_called(&self, key: &str) -> bool {
        self.key == key || self.aliases.contains(&key)
    }
}
