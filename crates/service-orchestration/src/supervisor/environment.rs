//! What may be in the environment of a program.
//!
//! Owns: which names and values are possible at all, and which variables only a stack file may set: those that make a
//! program load or run something else. What its author writes there is what is meant; what somebody's shell happened to
//! have is not.

use super::request::ApplyError;
use crate::spec::{Part, StackSpec, Template};

/// Whether every unit can be given its environment.
pub(super) fn check(stack: &StackSpec) -> Result<(), ApplyError> {
    let refuse = |unit: &str, variable: &str, reason| {
        Err(ApplyError::Variable {
            unit: unit.to_owned(),
            variable: variable.to_owned(),
            reason,
        })
    };
    for (name, value) in &stack.environment {
        if !is_name(name) {
            return refuse("the stack", name, NO_NAME);
        }
        if is_loaders(name) {
            return refuse("the stack", name, NOT_INHERITED);
        }
        if value.contains('\0') {
            return refuse("the stack", name, HAS_NUL);
        }
    }
    for (unit, spec) in &stack.units {
        for (name, value) in &spec.env {
            if !is_name(name) {
                return refuse(unit.as_str(), name, NO_NAME);
            }
            if has_nul(value) {
                return refuse(unit.as_str(), name, HAS_NUL);
            }
        }
    }
    Ok(())
}

/// Whether a program can be given this variable.
pub(super) fn is_possible(name: &str, value: &str) -> bool {
    is_name(name) && !value.contains('\0')
}

/// Whether the operating system can carry this name, and every program read it.
fn is_name(name: &str) -> bool {
    let is_possible = |c: char| c != '=' && !c.is_whitespace() && !c.is_control();
    !name.is_empty() && name.chars().all(is_possible)
}

fn has_nul(value: &Template) -> bool {
    let mut parts = value.parts().iter();
    parts.any(|part| matches!(part, Part::Literal(text) if text.contains('\0')))
}

/// Whether a variable of this name makes programs load or run what it names.
fn is_loaders(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["LD_", "DYLD_", "BASH_FUNC_"];
    const NAMES: [&str; 16] = [
        "BASH_ENV",
        "ENV",
        "IFS",
        "PS4",
        "SHELLOPTS",
        "BASHOPTS",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PERL5LIB",
        "PERL5OPT",
        "RUBYLIB",
        "RUBYOPT",
        "NODE_OPTIONS",
        "JAVA_TOOL_OPTIONS",
        "GCONV_PATH",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

const NO_NAME: &str = "that is no name of a variable";
const HAS_NUL: &str = "its value has a NUL byte";
const NOT_INHERITED: &str = "it is not inherited; a unit that needs it says so in `env`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_programs_load_something_is_not_inherited() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "BASH_ENV",
            "PYTHONPATH",
            "IFS",
        ] {
            assert!(is_loaders(name), "{name}");
        }
        for name in ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "ENVIRONMENT"] {
            assert!(!is_loaders(name), "{name}");
        }
    }

    #[test]
    fn names_that_no_program_can_read_are_refused() {
        for name in ["", "A=B", "A B", "A\nB", "A\0"] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("spring.port") && is_name("_A1"));
        assert!(has_nul(&Template::literal("a\0b")) && !has_nul(&Template::literal("a")));
    }
}
