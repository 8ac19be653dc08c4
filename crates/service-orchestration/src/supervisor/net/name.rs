//! Units as users name them: `api`, `api/2` for a replica, `shop:api` with the stack.
//!
//! Owns: which units a text means, and the refusal of those of other stacks.

use super::super::order::similar;
use super::super::turn::Supervisor;
use super::super::units::UnitEntry;
use crate::spec::StackName;
use crate::supervisor::{NetError, OrderError};

impl Supervisor {
    /// The instances that a text means, at least one.
    pub(super) fn meant<'a>(
        &'a self,
        stack: &'a StackName,
        text: &str,
    ) -> Result<Vec<&'a UnitEntry>, NetError> {
        let unit = match text.split_once(':') {
            Some((other, _)) if other != stack.as_str() => {
                return Err(NetError::OtherStack {
                    unit: text.to_owned(),
                    other: other.to_owned(),
                    stack: stack.to_string(),
                });
            }
            Some((_, unit)) => unit,
            None => text,
        };
        let all = self.every(stack)?;
        let is_meant =
            |entry: &&UnitEntry| entry.id.name.as_str() == unit || entry.id.local_name() == unit;
        let meant: Vec<&UnitEntry> = all.iter().copied().filter(is_meant).collect();
        if meant.is_empty() {
            let known = all.iter().map(|entry| entry.id.name.as_str());
            return Err(NetError::Order(OrderError::UnknownUnit {
                stack: stack.to_string(),
                unit: unit.to_owned(),
                similar: similar(unit, known),
            }));
        }
        Ok(meant)
    }

    /// Every unit of a stack.
    pub(super) fn every<'a>(
        &'a self,
        stack: &'a StackName,
    ) -> Result<Vec<&'a UnitEntry>, NetError> {
        if self.units.stack(stack).is_none() {
            return Err(NetError::Order(OrderError::UnknownStack {
                stack: stack.to_string(),
            }));
        }
        Ok(self.units.of_stack(stack).collect())
    }
}
