//! Frames byte by byte, the table of cases, and the two ends they meet.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod ends;
pub(crate) mod frames;
pub(crate) mod table;
