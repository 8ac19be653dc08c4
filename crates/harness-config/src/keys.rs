//! The tables: every key of the stack file, what it takes and what it means.
//!
//! Owns: the format itself. A new key is one line here and one place in [`crate::decode`] that gives it its effect.

mod container;
mod container_formats;
mod formats;
mod limits;
mod mount;
mod policy;
mod ports;
mod probe;
mod published;
mod secret;
mod stack;
mod target;
mod unit;
mod unit_check;

pub(crate) use container::BUILD;
pub(crate) use container_formats::{cpus, extra_host, image_name, octal, tmpfs, tmpfs_option};
pub(crate) use formats::{name, port, signal};
pub(crate) use limits::{DEPLOY, DEPLOY_LIMITS, DEVICE, LIMITS, RESOURCES, ULIMIT};
pub(crate) use mount::{MOUNT, MOUNT_BIND, MOUNT_TMPFS, VOLUME};
pub(crate) use policy::{BACKOFF, CRASH_LOOP, LOG, RESTART, STOP};
pub(crate) use ports::{CONTAINER_PORT, EXPOSED_PORT};
pub(crate) use probe::{HTTP, PROBE, TCP};
pub(crate) use published::{
    MOST_PORTS, expand, exposed_ports, published_ports, range, with_protocol,
};
pub(crate) use secret::{SECRET, SECRET_VALUE};
pub(crate) use stack::{NETWORK, SETTINGS, STACK};
pub(crate) use target::{ENV_FILE, LATER, PORT, TYPES, TargetType};
pub(crate) use unit::{COMMON, DEPENDENCY, DEPENDENCY_ITEM, MEMBER, SERVICE, TASK};
pub(crate) use unit_check::{Form, check_unit, form_of};

/// One spelling for each key, for laying files over each other.
pub(crate) fn canonical(key: &str) -> String {
    let tables = [COMMON, SERVICE, TASK];
    let field = crate::table::find(&tables, key);
    match (field, key) {
        (Some(field), _) => field.key.to_owned(),
        (None, "environment") => "env".to_owned(),
        (None, key) => key.to_owned(),
    }
}
