//! The addresses of the interfaces, as the kernel lists them.
//!
//! Owns: one question (`RTM_GETADDR`) and the reading of its answer.

use std::io;
use std::net::IpAddr;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// One address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) index: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

pub(super) fn addresses() -> io::Result<Vec<Address>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let mut request = Vec::with_capacity(24);
    request.extend_from_slice(&24u32.to_ne_bytes());
    request.extend_from_slice(&RTM_GETADDR.to_ne_bytes());
    request.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request.resize(24, 0);
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (read, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if read == 0 || take(&buffer[..read], &mut found) {
            return Ok(found);
        }
    }
}

/// Reads one datagram; whether it was the last.
fn take(mut bytes: &[u8], found: &mut Vec<Address>) -> bool {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if matches!(kind, DONE | ERROR) || length < MESSAGE_HEAD || length > bytes.len() {
            return true;
        }
        if kind == RTM_NEWADDR {
            found.extend(address(&bytes[MESSAGE_HEAD..length]));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn address(body: &[u8]) -> Option<Address> {
    let (prefix, index) = (*body.get(1)?, u32_at(body, 4)?);
    let mut attributes = body.get(8..)?;
    let mut address = None;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let value = attributes.get(4..length)?;
        let read = || match value.len() {
            4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
            _ => None,
        };
        // On a link between two, IFA_ADDRESS is the other one's.
        match kind {
            IFA_LOCAL => address = read(),
            IFA_ADDRESS if address.is_none() => address = read(),
            _ => {}
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Some(Address {
        index,
        address: address?,
        prefix,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into();
    bytes.ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into();
    bytes.ok().map(u32::from_ne_bytes)
}

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x301;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const MESSAGE_HEAD: usize = 16;
