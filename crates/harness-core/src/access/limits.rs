//! What a client of each role may cost.
//!
//! Owns: those figures. A deployer may run any code as the daemon's user, so bounds on its memory would protect nobody;
//! those below it send small questions, and are held to them.

use harness_wire::{Limits, Role};

/// The bounds of a connection of this role.
pub(crate) fn limits_of(role: Role) -> Limits {
    match role {
        Role::Observer | Role::Operator => Limits {
            max_message_bytes: SMALL,
            max_frame_bytes: SMALL,
            ..Limits::default()
        },
        Role::Deployer | Role::Admin => Limits::default(),
    }
}

/// Connections of one client at a time.
pub(crate) fn max_connections(role: Role) -> usize {
    match role {
        Role::Observer | Role::Operator => 32,
        Role::Deployer | Role::Admin => 512,
    }
}

/// Services that one client may have registered.
pub(crate) fn max_entries(role: Role) -> usize {
    match role {
        Role::Observer | Role::Operator => 1_000,
        Role::Deployer | Role::Admin => 20_000,
    }
}

/// Watches of the registry that one client may have open.
pub(crate) fn max_watches(role: Role) -> usize {
    match role {
        Role::Observer | Role::Operator => 256,
        Role::Deployer | Role::Admin => 2_048,
    }
}

/// What all connections of one client may have waiting together, in bytes.
pub(crate) fn max_waiting(role: Role) -> usize {
    match role {
        Role::Observer | Role::Operator => 32 * MIB,
        // Sixteen of the largest messages: enough for whoever may run anything, and still no accident.
        Role::Deployer | Role::Admin => 256 * MIB,
    }
}

/// The longest question that is no stack: a few hundred names of units.
const SMALL: usize = 256 * 1024;
const MIB: usize = 1024 * 1024;
