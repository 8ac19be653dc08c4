//! Users and groups by name or number.
//!
//! Owns: the reading of `/etc/passwd` and `/etc/group`. Never becomes anybody: the shim does.

use std::fs;
use std::io;

/// Who a probe runs as; `None`: who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
}

/// Why there is no such account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no user `{0}`")]
    UnknownUser(String),
    #[error("there is no group `{0}`")]
    UnknownGroup(String),
    #[error("cannot read {path}")]
    Unreadable {
        path: &'static str,
        #[source]
        source: io::Error,
    },
}

/// The numbers of a user and a group; without a group, the user's own.
pub(crate) fn find(user: Option<&str>, group: Option<&str>) -> Result<Account, AccountError> {
    let mut account = Account::default();
    if let Some(user) = user {
        let known = read("/etc/passwd")?;
        let line = field_lines(&known)
            .find(|fields| fields.first() == Some(&user) || fields.get(2) == Some(&user));
        match (line, user.parse()) {
            (Some(fields), _) => {
                account.user = fields.get(2).and_then(|number| number.parse().ok());
                account.group = fields.get(3).and_then(|number| number.parse().ok());
            }
            (None, Ok(number)) => account.user = Some(number),
            (None, Err(_)) => return Err(AccountError::UnknownUser(user.to_owned())),
        }
    }
    if let Some(group) = group {
        let known = read("/etc/group")?;
        let line = field_lines(&known).find(|fields| fields.first() == Some(&group));
        let number = line.and_then(|fields| fields.get(2).and_then(|number| number.parse().ok()));
        let number = number.or_else(|| group.parse().ok());
        account.group = Some(number.ok_or_else(|| AccountError::UnknownGroup(group.to_owned()))?);
    }
    Ok(account)
}

fn read(path: &'static str) -> Result<String, AccountError> {
    fs::read_to_string(path).map_err(|source| AccountError::Unreadable { path, source })
}

fn field_lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let zero = Account {
            user: Some(0),
            group: Some(0),
        };
        assert_eq!(find(Some("root"), None).expect("root exists"), zero);
        assert_eq!(find(Some("0"), None).expect("root exists"), zero);
        assert_eq!(find(None, None).expect("nobody asked"), Account::default());
    }

    #[test]
    fn a_number_without_an_entry_is_taken_as_it_is() {
        let account = find(Some("3999999"), Some("3999998")).expect("numbers need no entry");
        assert_eq!(
            (account.user, account.group),
            (Some(3_999_999), Some(3_999_998))
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(find(Some("no-such-user"), None).is_err());
        assert!(find(None, Some("no-such-group")).is_err());
    }
}
