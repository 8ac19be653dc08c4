//! Hosts on which our program does not run, served by their own `sh`.
//!
//! Owns: the agent's half of a connection, here instead of there: whoever asks speaks to an agent as ever, and each request
//! becomes a line for a shell on the host, over one session of SSH. What outlives the connection there is `runner.sh`, and
//! `verbs.sh` what is asked; both are constant. Start reading at [`bridge`] for the requests, at [`shell`] for the session.
//!
//! Invariant: no value of an environment and no argument of a service stands in the arguments of a process but its own.

mod attempt;
mod beside;
mod bridge;
mod connector;
mod facts;
mod index;
mod log;
mod order;
mod put;
mod record;
mod reply;
mod shell;
mod tcp;
mod watch;
mod way;

pub use connector::ShAgent;
