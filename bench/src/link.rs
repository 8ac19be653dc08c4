//! What a link carries: bytes a second, and the time of a round trip.
//!
//! Owns: both ends of it. They run on hosts, as commands of the program that measures.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::figures::Figures;

/// Listens, and does for each that connects what its first byte says, until it is killed.
///
/// # Errors
/// When it cannot listen.
pub fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    let listener = listener.map_err(Failure::io("listen"))?;
    for connection in listener.incoming().flatten() {
        // One that breaks is told at its other end.
        std::thread::spawn(move || attend(connection).ok());
    }
    Ok(())
}

fn attend(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut wish = [0];
    connection.read_exact(&mut wish)?;
    if wish == ECHO {
        let mut byte = [0];
        loop {
            connection.read_exact(&mut byte)?;
            connection.write_all(&byte)?;
        }
    }
    let mut taken = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        match connection.read(&mut buffer)? {
            0 => break,
            length => taken += length as u64,
        }
    }
    connection.write_all(&taken.to_be_bytes())
}

/// Sends for so long over one connection; the bytes a second that arrived.
///
/// # Errors
/// When the connection breaks.
pub fn send(to: SocketAddr, time: Duration) -> Result<f64, Failure> {
    let measured = || {
        let mut connection = TcpStream::connect(to)?;
        connection.write_all(&SINK)?;
        let (chunk, begun) = (vec![0; CHUNK], Instant::now());
        while begun.elapsed() < time {
            connection.write_all(&chunk)?;
        }
        connection.shutdown(std::net::Shutdown::Write)?;
        let mut taken = [0; 8];
        connection.read_exact(&mut taken)?;
        Ok(u64::from_be_bytes(taken) as f64 / begun.elapsed().as_secs_f64())
    };
    measured().map_err(Failure::io(format!("send to {to}")))
}

/// Asks so often over one connection, a byte each time; the median of the round trips in microseconds.
///
/// # Errors
/// When the connection breaks.
pub fn ask(to: SocketAddr, times: usize) -> Result<f64, Failure> {
    let measured = || {
        let mut connection = TcpStream::connect(to)?;
        connection.set_nodelay(true)?;
        connection.write_all(&ECHO)?;
        let (mut took, mut byte) = (Figures::new(), [1]);
        for _ in 0..times {
            let begun = Instant::now();
            connection.write_all(&byte)?;
            connection.read_exact(&mut byte)?;
            took.add(begun.elapsed().as_secs_f64() * 1e6);
        }
        Ok(took.median())
    };
    measured().map_err(Failure::io(format!("ask {to}")))
}

const ECHO: [u8; 1] = [b'e'];
const SINK: [u8; 1] = [b's'];
const CHUNK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_counted_and_a_byte_comes_back() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = listener.local_addr().expect("it listens");
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || attend(connection).ok());
            }
        });
        let rate = send(at, Duration::from_millis(20)).expect("it is sent");
        assert!(rate > CHUNK as f64, "{rate}");
        assert!(ask(at, 20).expect("it answers") > 0.0);
    }
}
