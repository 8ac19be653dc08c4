//! What one connection may cost.
//!
//! Owns: the figures and their defaults. Never counts connections: the accept loop of the daemon does.

use std::time::Duration;

use crate::account::Account;

/// Bounds of one connection, for either side.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte to the end of `hello`.
    pub handshake: Duration,
    /// The largest message accepted or sent, in bytes.
    pub max_message_bytes: usize,
    /// The largest WebSocket frame accepted, in bytes.
    pub max_frame_bytes: usize,
    /// How deeply arrays and objects may nest.
    pub max_depth: usize,
    /// Messages read in a second, control frames included, over any longer time; a peer that sends more is read later.
    pub messages_per_second: u32,
    /// Messages that may come at once, before that is counted.
    pub message_burst: u32,
    /// Requests being worked on at once, and subscriptions open at once; more are refused as overload.
    pub max_in_flight: usize,
    /// Bytes of unsent answers after which the reader counts as lost and the connection is closed.
    pub max_queued_bytes: usize,
    /// Messages of any kind waiting to be sent, likewise.
    pub max_queued_messages: usize,
    /// Bytes of unsent messages above which subscription items are refused as lagging.
    pub max_queued_event_bytes: usize,
    /// What this connection shares with others: requests being worked on, and messages waiting to be sent. A request that
    /// does not fit is refused as overload; an answer that does not, ends the connection.
    pub account: Option<Account>,
    /// Silence after which the peer is asked for a sign of life.
    pub ping_after: Duration,
    /// Silence after which the peer counts as gone.
    pub lost_after: Duration,
    /// Time without progress in writing after which the peer counts as gone.
    pub stalled_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            max_message_bytes: 16 * MIB,
            max_frame_bytes: 16 * MIB,
            max_depth: 64,
            // A quarter of what one core could do: no client notices it, and no flood takes the core.
            messages_per_second: 10_000,
            message_burst: 20_000,
            max_in_flight: 256,
            // Two of the largest answers: one on its way and one waiting.
            max_queued_bytes: 32 * MIB,
            max_queued_messages: 4096,
            max_queued_event_bytes: MIB,
            account: None,
            ping_after: Duration::from_secs(15),
            lost_after: Duration::from_secs(45),
            stalled_after: Duration::from_secs(30),
        }
    }
}

/// Items a new subscription may send before the first `$/credit`. Part of the protocol: both sides must agree.
pub const INITIAL_CREDIT: u32 = 256;

/// Bytes that come with an item cost as much credit as another item, for each so many begun: a slow reader never has
/// more than 4 MiB of them waiting, and one message. Part of the protocol: both sides must agree.
pub const BYTES_PER_CREDIT: usize = 16 * 1024;

/// The credit that an item with so many bytes costs.
pub(crate) fn cost(bytes: usize) -> u32 {
    let more = bytes.div_ceil(BYTES_PER_CREDIT);
    u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1)
}

const MIB: usize = 1024 * 1024;
