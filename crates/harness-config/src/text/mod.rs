//! Variables and references in text.
//!
//! Owns: the syntax of `${…}`, what a variable's value is, and environment files.

mod dotenv;
mod expand;
mod expression;
mod substitute;

pub(crate) use dotenv::dotenv;
pub(crate) use expand::{Expanded, expanded, raw};
pub(crate) use expression::is_variable_name;
pub(crate) use substitute::{ReferenceUse, Substitution, Variables, substitute};
