//! The one HTTP/1.1 client and server of the workspace, over any stream: TCP, a unix socket, a tunnel.
//!
//! Owns: connecting, one request at a time, bounds on time and size, and errors that name the step that failed. Never
//! follows a redirect, never keeps a pool, never speaks TLS, never spawns a task. Parsing is hyper's.
//!
//! | to | use |
//! |---|---|
//! | ask once, by URL | [`get`] |
//! | ask once, at a TCP address or unix socket | [`send`] |
//! | ask over a stream that is there | [`request`] |
//! | ask several times, follow a body as it comes, take the stream over | [`Connection`] |
//! | answer | [`serve_connection`] |

mod address;
mod client;
mod connection;
mod error;
mod io;
mod name;
mod server;

pub use address::{Address, HttpUrl};
pub use bytes::Bytes;
pub use client::{get, request, send};
pub use connection::{BodyStream, Connection, Excess, Limits, UpgradedStream};
pub use error::{HttpError, Step};
pub use hyper::{Method, Request, Response, StatusCode, Uri, header};
pub use name::resolve;
pub use server::{Body, ServeError, ServerLimits, serve_connection};
