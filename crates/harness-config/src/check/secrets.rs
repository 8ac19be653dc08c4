//! Values that look like secrets and stand in the file.
//!
//! Owns: which values are worth a warning. A guess by the variable's name and the look of its value.

use crate::render::is_secret_name;
use crate::report::{Code, Sink};
use crate::source::Span;

/// Warns of a variable whose value is written out and looks like a secret.
pub(crate) fn in_clear(name: &str, value: &str, span: Span, sink: &mut Sink) {
    if is_secret_name(name) && names_a_value(name) && looks_like_a_value(value) {
        sink.warning(
            Code::SecretInClear,
            span,
            format!("`{name}` looks like a secret, in clear"),
        )
        .help(format!(
            "write `{name}: {{secret: {{file: …}}}}` (or `env`, `command`), or take it from the environment: `${{{name}}}`"
        ));
    }
}

/// `TOKEN` and `AWS_SECRET_ACCESS_KEY`, but not what only tells about one: `TOKEN_TTL`, `KEY_FILE`.
fn names_a_value(name: &str) -> bool {
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or(name);
    is_secret_name(last)
}

/// Neither a switch, a small number, a path nor a placeholder.
fn looks_like_a_value(value: &str) -> bool {
    let is_switch = ["true", "false", "yes", "no", "none", "null"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    let is_count = value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = value.starts_with(['/', '.', '~']);
    let is_placeholder = value.starts_with('<') && value.ends_with('>');
    !value.is_empty() && !is_switch && !is_count && !is_path && !is_placeholder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tells_about_a_secret_is_none() {
        let warns = |name: &str, value: &str| {
            let mut files = crate::source::SourceMap::default();
            let file = files.add("stack.yaml".into(), None, true, "");
            let mut sink = Sink::default();
            in_clear(name, value, Span::whole(file), &mut sink);
            !sink.finish(&files).is_empty()
        };
        for (name, value) in [
            ("POSTGRES_PASSWORD", "hunter2"),
            ("API_TOKEN", "abc123"),
            ("PIN_SECRET", "1234"),
        ] {
            assert!(warns(name, value), "{name}");
        }
        for (name, value) in [
            ("TOKEN_TTL", "3600"),
            ("SSH_KEY", "/home/me/.ssh/id"),
            ("API_KEY", ""),
            ("USE_TOKEN", "true"),
            ("MONKEY", "banana"),
            ("PASSWORD", "<yours>"),
        ] {
            assert!(!warns(name, value), "{name}");
        }
    }
}
