//! Turns user and group names into numbers.
//!
//! Owns: reading `/etc/passwd` and `/etc/group`, and nothing else: users that only a name service knows (LDAP and
//! the like) are given by number.

use std::io;

use rustix::process::{Gid, Uid};

/// Whom a service becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
    /// Name, home and shell, where the user has an entry.
    pub(crate) entry: Option<Entry>,
}

/// What `/etc/passwd` says of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// The account that `user` and `group` name, with the user's other groups.
pub(crate) fn resolve(user: Option<&str>, group: Option<&str>) -> io::Result<Account> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    resolve_in(&passwd, &groups, user, group)
}

fn resolve_in(
    passwd: &str,
    groups: &str,
    user: Option<&str>,
    group: Option<&str>,
) -> io::Result<Account> {
    let own = rustix::process::geteuid();
    let wanted = user.map_or_else(|| own.as_raw().to_string(), str::to_owned);
    let found = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| {
            fields.len() >= 7
                && (fields[0] == wanted || (fields[2] == wanted && wanted.parse::<u32>().is_ok()))
        });
    let uid = match (&found, wanted.parse::<u32>()) {
        (Some(fields), _) => fields[2].parse().map_err(|_| unknown("user", &wanted))?,
        (None, Ok(number)) => number,
        (None, Err(_)) => return Err(unknown("user", &wanted)),
    };
    let gid = match (group, &found) {
        (Some(group), _) => group_number(groups, group)?,
        (None, Some(fields)) => fields[3].parse().map_err(|_| unknown("group", fields[3]))?,
        (None, None) => uid,
    };
    let entry = found.map(|fields| Entry {
        name: fields[0].to_owned(),
        home: fields[5].to_owned(),
        shell: fields[6].to_owned(),
    });
    let mut all = vec![gid];
    if let Some(entry) = &entry {
        all.extend(
            groups
                .lines()
                .filter_map(|line| membership(line, &entry.name)),
        );
    }
    all.sort_unstable();
    all.dedup();
    Ok(Account {
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(gid),
        groups: all.into_iter().map(Gid::from_raw).collect(),
        entry,
    })
}

fn group_number(groups: &str, wanted: &str) -> io::Result<u32> {
    if let Ok(number) = wanted.parse() {
        return Ok(number);
    }
    let mut lines = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.len() >= 3 && fields[0] == wanted);
    found
        .and_then(|fields| fields[2].parse().ok())
        .ok_or_else(|| unknown("group", wanted))
}

fn membership(line: &str, user: &str) -> Option<u32> {
    let mut fields = line.split(':');
    let gid = fields.nth(2)?.parse().ok()?;
    fields
        .next()?
        .split(',')
        .any(|member| member == user)
        .then_some(gid)
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no {what} `{name}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndb:x:105:110:,,,:/var/lib/db:/bin/sh\n";
    const GROUP: &str = "root:x:0:\ndb:x:110:\nssl-cert:x:112:web,db\nadm:x:4:web\n";

    #[test]
    fn a_user_brings_its_group_and_its_other_groups() {
        let account = resolve_in(PASSWD, GROUP, Some("db"), None).expect("known");
        assert_eq!((account.uid.as_raw(), account.gid.as_raw()), (105, 110));
        assert_eq!(
            account
                .groups
                .iter()
                .map(|gid| gid.as_raw())
                .collect::<Vec<_>>(),
            [110, 112]
        );
        assert_eq!(
            account.entry.map(|entry| entry.home).as_deref(),
            Some("/var/lib/db")
        );
    }

    #[test]
    fn numbers_need_no_entry_and_names_do() {
        let account = resolve_in(PASSWD, GROUP, Some("4242"), Some("ssl-cert")).expect("a number");
        assert_eq!((account.uid.as_raw(), account.gid.as_raw()), (4242, 112));
        assert!(resolve_in(PASSWD, GROUP, Some("nobody-here"), None).is_err());
        assert!(resolve_in(PASSWD, GROUP, Some("db"), Some("no-group")).is_err());
    }
}
