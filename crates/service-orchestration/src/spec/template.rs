//! Text with references to other units and to secrets, resolved when the unit that asks is started.
//!
//! Owns: the split into literal text and references. Environment variables are gone by then: the client has put
//! their values in. A literal `${` therefore never looks like a reference.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::{SecretName, UnitName};

/// Literal text and references, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template {
    /// The parts, in reading order; two literals never stand side by side.
    parts: Vec<Part>,
}

/// One part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// Text that stands for itself.
    Literal(String),
    /// The value of something another unit has.
    Reference(Reference),
    /// The value of a secret.
    Secret {
        /// Which.
        secret: SecretName,
    },
}

/// What stands in a [`Template`] for a value that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// Of something another unit has.
    Reference(&'a Reference),
    /// Of a secret.
    Secret(&'a SecretName),
}

/// `${unit.attribute}`: something that another unit has once it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// Whose.
    pub unit: UnitName,
    /// What.
    pub attribute: Attribute,
}

/// What a reference asks of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// `${u.ip}`: its numeric address as seen by the one who asks.
    Ip,
    /// `${u.host}`: the same, or a name where one resolves.
    Host,
    /// `${u.port}`: its first port.
    Port,
    /// `${u.port.NAME}`: the port of that name.
    NamedPort(String),
    /// `${u.addr}`: `ip:port`.
    Addr,
    /// `${u.url}`: `http://ip:port`, or the scheme its port names.
    Url,
    /// `${task.NAME}`: an output of a task.
    Output(String),
}

impl Template {
    /// Text without references.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            parts: if text.is_empty() {
                vec![]
            } else {
                vec![Part::Literal(text)]
            },
        }
    }

    /// These parts, with neighbouring literals joined and empty ones dropped.
    pub fn from_parts(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (_, Part::Literal(text)) if text.is_empty() => {}
                (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        Self { parts: joined }
    }

    /// The parts, in reading order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, when there is neither a reference nor a secret in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Every reference in it, in reading order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) | Part::Secret { .. } => None,
            Part::Reference(reference) => Some(reference),
        })
    }

    /// The value of a secret, and nothing else.
    pub fn secret(name: SecretName) -> Self {
        Self {
            parts: vec![Part::Secret { secret: name }],
        }
    }

    /// Every secret in it, in reading order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) | Part::Reference(_) => None,
            Part::Secret { secret } => Some(secret),
        })
    }

    /// The text with every reference and every secret replaced by what `resolve` answers.
    ///
    /// # Errors
    /// The first error of `resolve`.
    pub fn resolve<E>(
        &self,
        mut resolve: impl FnMut(Placeholder<'_>) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Reference(reference) => {
                    text.push_str(&resolve(Placeholder::Reference(reference))?);
                }
                Part::Secret { secret } => text.push_str(&resolve(Placeholder::Secret(secret))?),
            }
        }
        Ok(text)
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self::literal(text)
    }
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        Self::literal(text)
    }
}

/// As it stood in the file: `${db.port}`, with every literal `$` escaped that would not be read as itself again.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => {
                    let mut rest = text.chars().peekable();
                    while let Some(c) = rest.next() {
                        let is_read = match rest.peek() {
                            Some(next) => matches!(next, '$' | '{'),
                            None => parts.peek().is_some(),
                        };
                        f.write_str(if c == '$' && is_read { "$" } else { "" })?;
                        f.write_char(c)?;
                    }
                }
                Part::Reference(reference) => write!(f, "{reference}")?,
                Part::Secret { secret } => write!(f, "${{secret.{secret}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}.{}}}", self.unit, self.attribute)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("ip"),
            Self::Host => f.write_str("host"),
            Self::Port => f.write_str("port"),
            Self::NamedPort(name) => write!(f, "port.{name}"),
            Self::Addr => f.write_str("addr"),
            Self::Url => f.write_str("url"),
            Self::Output(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_that_looks_like_a_reference_stays_text() {
        let template = Template::literal("${db.port}");
        assert_eq!(template.references().count(), 0);
        assert_eq!(template.to_string(), "$${db.port}");
        assert_eq!(Template::literal("$ $x $$ $").to_string(), "$ $x $$$ $");
        let before_a_reference = Template::from_parts([
            Part::Literal("$".into()),
            Part::Reference(Reference {
                unit: UnitName::new("db").expect("a legal name"),
                attribute: Attribute::Ip,
            }),
        ]);
        assert_eq!(before_a_reference.to_string(), "$$${db.ip}");
    }

    #[test]
    fn references_are_resolved_in_reading_order() {
        let unit = UnitName::new("db").expect("a legal name");
        let template = Template::from_parts([
            Part::Literal("tcp://".into()),
            Part::Reference(Reference {
                unit: unit.clone(),
                attribute: Attribute::Ip,
            }),
            Part::Literal(":".into()),
            Part::Reference(Reference {
                unit,
                attribute: Attribute::NamedPort("sql".into()),
            }),
        ]);
        assert_eq!(template.to_string(), "tcp://${db.ip}:${db.port.sql}");
        let text = template.resolve(|asked| match asked {
            Placeholder::Reference(r) => Ok::<_, ()>(r.attribute.to_string()),
            Placeholder::Secret(_) => Err(()),
        });
        assert_eq!(text, Ok("tcp://ip:port.sql".into()));
        let json = serde_json::to_string(&template).expect("plain data");
        let back: Template = serde_json::from_str(&json).expect("what was written");
        assert_eq!(back, template);
    }
}
