//! Packages in their places on this machine: which versions of a service there are, and which one is to run.
//!
//! A slot is the place of one service:
//!
//! ```text
//! ROOT/SLOT/lock                              flock(2) of whoever changes anything here, and who that is
//! ROOT/SLOT/upload/SHA256                     an archive that was brought, until it is unpacked
//! ROOT/SLOT/versions/NAME/VERSION-SHA256/     unpacked; whole from the moment it has its name
//! ROOT/SLOT/about/SHA256.json                 what the version says of itself; there before it is
//! ROOT/SLOT/setup/SHA256.log                  what its setup script said last
//! ROOT/SLOT/history                           which versions were current, the last one last
//! ROOT/SLOT/current -> versions/NAME/…        the one to run; replaced by one rename
//! ```
//!
//! Owns: this layout, and the rule that only who has the lock changes it. Never runs anything of a package.

mod error;
mod history;
mod lock;
mod room;
mod slot;
mod take;
mod version;

pub use error::StoreError;
pub use lock::Holder;
pub use slot::{Offered, Slot, Switched};
pub use take::Taken;
pub use version::{Place, SlotName, Version, current, list, slots};
