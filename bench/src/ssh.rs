//! Other hosts, and what somebody does with them by hand: a loop of `ssh HOST COMMAND`.
//!
//! Owns: how a program is started and ended so, over a new connection each time or over one that is shared; and how many
//! connections there are. The hosts are those of `docker-test-env/hosts`.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use crate::contender::run;
use crate::failure::Failure;
use crate::hosts::Hosts;

/// A loop over hosts.
#[derive(Debug)]
pub struct Loop<'a> {
    hosts: &'a Hosts,
    /// Where the connections of all hosts are shared, if they are.
    sockets: Option<PathBuf>,
}

impl<'a> Loop<'a> {
    /// A new connection for each command.
    #[must_use]
    pub fn new(hosts: &'a Hosts) -> Self {
        let sockets = None;
        Self { hosts, sockets }
    }

    /// One connection per host (`ControlMaster`), whose sockets lie in this directory.
    #[must_use]
    pub fn shared(hosts: &'a Hosts, sockets: PathBuf) -> Self {
        let sockets = Some(sockets);
        Self { hosts, sockets }
    }

    /// Starts `sleep` on a host and leaves it there; its process id.
    ///
    /// # Errors
    /// When that fails.
    pub fn start(&self, host: &str) -> Result<u32, Failure> {
        let line = "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!";
        let said = run(self.ssh(host).arg(line))?.stdout;
        let said = String::from_utf8_lossy(&said);
        let wrong = || Failure::Wrong(format!("{host} said `{said}`"));
        said.trim().parse().map_err(|_| wrong())
    }

    /// Ends one that was started.
    ///
    /// # Errors
    /// When that fails.
    pub fn stop(&self, host: &str, pid: u32) -> Result<(), Failure> {
        run(self.ssh(host).arg(format!("kill {pid}"))).map(drop)
    }

    /// Closes what is shared.
    ///
    /// # Errors
    /// When that fails.
    pub fn close(&self, host: &str) -> Result<(), Failure> {
        match self.sockets {
            Some(_) => run(self.ssh("-Oexit").arg(host)).map(drop),
            None => Ok(()),
        }
    }

    fn ssh(&self, first: &str) -> Command {
        let mut command = Command::new("ssh");
        command
            .arg("-F")
            .arg(self.hosts.directory().join("ssh_config"));
        if let Some(sockets) = &self.sockets {
            let path = format!("ControlPath={}/%C", sockets.display());
            let options = ["ControlMaster=auto", "ControlPersist=60", &path];
            command.args(options.iter().flat_map(|option| ["-o", option]));
        }
        command.arg(first);
        command
    }
}

/// How many connections to the sshd of these addresses this machine has.
///
/// # Errors
/// When the kernel does not tell.
pub fn connections(to: &[Ipv4Addr]) -> Result<usize, Failure> {
    let table = fs::read_to_string("/proc/net/tcp").map_err(Failure::io("read /proc/net/tcp"))?;
    let ends: Vec<String> = to.iter().map(|address| end(*address)).collect();
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace().skip(2);
        let (far, state) = (words.next(), words.next());
        state == Some(ESTABLISHED) && far.is_some_and(|far| ends.iter().any(|end| end == far))
    };
    Ok(table.lines().filter(is_one).count())
}

/// As the kernel writes it.
fn end(address: Ipv4Addr) -> String {
    let number = u32::from_ne_bytes(address.octets());
    format!("{number:08X}:{SSH:04X}")
}

const ESTABLISHED: &str = "01";
const SSH: u16 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_those_to_the_port_of_sshd() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = own.local_addr().expect("bound");
        let before = connections(&[Ipv4Addr::LOCALHOST]).expect("told");
        let _other = std::net::TcpStream::connect(at).expect("it listens");
        let after = connections(&[Ipv4Addr::LOCALHOST]).expect("told");
        assert_eq!(before, after, "another port");
        if cfg!(target_endian = "little") {
            assert_eq!(end(Ipv4Addr::new(10, 0, 1, 2)), "0201000A:0016");
        }
    }
}
