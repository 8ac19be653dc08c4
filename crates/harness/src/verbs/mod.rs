//! One file for each verb: its arguments, its help, what it does.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod daemon;
mod daemon_access;
mod daemon_log;
mod daemon_restart;
mod daemon_run;
mod definition;
mod dispatch;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
mod exec_attend;
pub(crate) mod exec_failure;
mod foreground;
pub(crate) mod graph;
pub(crate) mod import;
mod lines;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod net;
mod orphans;
mod output;
pub(crate) mod resolve;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod up;
pub(crate) mod validate;
pub(crate) mod wait;
pub(crate) mod why;

pub(crate) use dispatch::dispatch;
