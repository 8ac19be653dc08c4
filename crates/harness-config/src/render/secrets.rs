//! What is masked when a stack is shown.
//!
//! Owns: which names look secret. It is a guess by name, on the safe side: a value that is not secret may be masked. The
//! values of declared secrets are not in a stack, so they are never shown: where they come from is.

use service_orchestration::spec::{MASK, Part, SecretSource, SecretSpec, StackSpec, Template};

use super::literal;
use super::value::{Map, Yaml};

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Secrets {
    /// As `***`.
    #[default]
    Mask,
    /// As they are.
    Show,
}

const WORDS: [&str; 11] = [
    "PASSWORD",
    "PASSWD",
    "PASS",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "MNEMONIC",
    "PASSPHRASE",
    "SEED",
];

/// Whether a name says that its value is secret: one of its words is `PASSWORD`, `SECRET`, `TOKEN`, `KEY` or the like.
pub fn is_secret_name(name: &str) -> bool {
    let mut words = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push('_');
        }
        words.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        });
        before = c;
    }
    words.split('_').any(|word| {
        WORDS.contains(&word)
            || word.ends_with("PASSWORD")
            || word.ends_with("SECRET")
            || word.ends_with("APIKEY")
    })
}

/// Where a secret comes from.
pub(super) fn source(secret: &SecretSpec) -> Yaml {
    let mut map = Map::default();
    match &secret.source {
        SecretSource::File(path) => map.put("file", literal(&path.to_string_lossy())),
        SecretSource::Env(variable) => map.put("env", literal(variable)),
        SecretSource::Command(words) => {
            let words = words.iter().map(|word| literal(word)).collect();
            map.put("command", Yaml::List(words));
        }
        // A source of a later version has no spelling here yet.
        _ => {}
    }
    Yaml::Map(map)
}

/// The value of a variable as it may be shown.
pub(super) fn shown_variable(
    stack: &StackSpec,
    name: &str,
    value: &Template,
    secrets: Secrets,
) -> Yaml {
    if let [Part::Secret { secret }] = value.parts() {
        let mut map = Map::default();
        match stack.secrets.get(secret) {
            Some(spec) if !secret.is_declared() => map.put("secret", source(spec)),
            Some(_) | None => map.put("secret", secret.as_str()),
        }
        return Yaml::Map(map);
    }
    shown(name, value, secrets).into()
}

/// The value of this name as it may be shown.
pub(super) fn shown(name: &str, value: &Template, secrets: Secrets) -> String {
    match secrets {
        Secrets::Show => value.to_string(),
        // A reference alone tells where the value comes from, and nothing of it.
        Secrets::Mask
            if is_secret_name(name)
                && value.parts().iter().any(|p| matches!(p, Part::Literal(_))) =>
        {
            MASK.into()
        }
        Secrets::Mask => mask_urls(&value.to_string()),
    }
}

/// Text that has no name, such as an argument.
pub(super) fn shown_text(value: &Template, secrets: Secrets) -> String {
    match secrets {
        Secrets::Show => value.to_string(),
        Secrets::Mask => mask_urls(&value.to_string()),
    }
}

/// `scheme://user:password@host` without the password.
fn mask_urls(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, tail) = rest.split_at(at + 3);
        masked.push_str(scheme);
        let authority_end = tail
            .find(['/', '?', '#', ' ', '"', '\''])
            .unwrap_or(tail.len());
        let authority = &tail[..authority_end];
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
        {
            Some((user, host)) => masked.push_str(&format!("{user}:{MASK}@{host}")),
            None => masked.push_str(authority),
        }
        rest = &tail[authority_end..];
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_secret_are_known() {
        for name in [
            "POSTGRES_PASSWORD",
            "apiKey",
            "GITHUB_TOKEN",
            "deployer_key",
            "PGPASSWORD",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["MONKEY", "POSTGRES_DB", "KEYBOARD", "PATH", "COMPASS"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        assert_eq!(
            mask_urls("a postgres://u:p@ss@db/x?y and http://h/"),
            "a postgres://u:***@db/x?y and http://h/"
        );
        assert_eq!(mask_urls("http://user@h"), "http://user@h");
    }
}
