//! The ports of containers, in the short form that engines know.
//!
//! Owns: which texts it takes, and that a range is as many ports as it names.

use std::net::IpAddr;

use service_orchestration::spec::{PortNumber, PortSpec, Protocol, Published};

use super::port;

/// How many ports a unit may have; a range of more is a mistake, and each of them is something to bind and to keep.
pub(crate) const MOST_PORTS: usize = 1000;

/// The ports of `5432`, `5433:5432`, `127.0.0.1:5433:5432`, `127.0.0.1::5432`, `8000-8010:9000-9010` or `53:53/udp`. Without
/// a port outside, a free one is chosen; without an address, only this machine reaches it. Of a range outside for one port
/// inside (`8000-8010:80`) the first is taken.
pub(crate) fn published_ports(text: &str) -> Result<Vec<PortSpec>, String> {
    const EXPECTED: &str =
        "expected `5432`, `5433:5432`, `127.0.0.1:5433:5432`, a range, or one of these with `/udp`";
    let wrong = || EXPECTED.to_owned();
    let (ports, protocol) = with_protocol(text)?;
    let (front, inside) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (address, outside) = match front.rsplit_once(':') {
        Some((address, outside)) => (Some(address), outside),
        None => (None, front),
    };
    let address = match address {
        None => None,
        Some(text) => {
            let bare = text
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let address: IpAddr = bare.unwrap_or(text).parse().map_err(|_| wrong())?;
            if address.is_ipv6() != bare.is_some() {
                return Err(wrong());
            }
            Some(address)
        }
    };
    let inside = range(inside).ok_or_else(wrong)?;
    let outside = match outside {
        "" => None,
        text => Some(range(text).ok_or_else(wrong)?),
    };
    expand(inside, outside, address, protocol)
}

/// The ports of `3000`, `3000-3005` or `53/udp`, which are not published.
pub(crate) fn exposed_ports(text: &str) -> Result<Vec<PortSpec>, String> {
    let (ports, protocol) = with_protocol(text)?;
    let (first, count) =
        range(ports).ok_or("expected a port, a range of them, or one of these with `/udp`")?;
    let ports = few(first, count)?;
    Ok(ports.map(|port| inside_only(port, protocol)).collect())
}

/// Each port inside with the one outside that it is reached by.
pub(crate) fn expand(
    inside: (u16, u16),
    outside: Option<(u16, u16)>,
    address: Option<IpAddr>,
    protocol: Protocol,
) -> Result<Vec<PortSpec>, String> {
    let first = match outside {
        Some((_, count)) if count != inside.1 && inside.1 != 1 => {
            return Err("the two ranges are not of one length".into());
        }
        Some((first, _)) => Some(first),
        None => None,
    };
    let ports = few(inside.0, inside.1)?.enumerate();
    let ports = ports.map(|(n, port)| {
        let offset = u16::try_from(n).expect("a range has at most 65,535 ports");
        let outside = first.map_or(PortNumber::Auto, |first| PortNumber::Fixed(first + offset));
        PortSpec {
            published: Some(Published {
                address,
                port: outside,
            }),
            ..inside_only(port, protocol)
        }
    });
    Ok(ports.collect())
}

/// A port and how many from it on: `80` or `8000-8010`.
pub(crate) fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first).ok()?, port(last).ok()?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

/// What stands before `/udp` or `/tcp`, and which it is.
pub(crate) fn with_protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, "tcp")) => Ok((ports, Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some(_) => Err("expected `/tcp` or `/udp`".into()),
    }
}

fn few(first: u16, count: u16) -> Result<impl Iterator<Item = u16>, String> {
    if usize::from(count) > MOST_PORTS {
        return Err(format!("expected at most {MOST_PORTS} ports"));
    }
    Ok(first..=first + (count - 1))
}

fn inside_only(port: u16, protocol: Protocol) -> PortSpec {
    PortSpec {
        protocol,
        ..PortSpec::new(PortNumber::Fixed(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let ports = published_ports(text).expect(text);
        let shown = ports.iter().map(|port| {
            let published = port.published.expect("it is published");
            let address = published.address.map(|address| format!("{address} "));
            let number = |port| match port {
                PortNumber::Fixed(number) => number.to_string(),
                PortNumber::Auto => "auto".to_owned(),
            };
            format!(
                "{}{}>{}{}",
                address.unwrap_or_default(),
                number(published.port),
                number(port.port),
                if port.protocol == Protocol::Udp {
                    "/udp"
                } else {
                    ""
                },
            )
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn short_forms_are_taken_apart() {
        for (text, expected) in [
            ("5432", "auto>5432"),
            ("5433:5432", "5433>5432"),
            ("127.0.0.1:5433:5432", "127.0.0.1 5433>5432"),
            ("127.0.0.1::5432", "127.0.0.1 auto>5432"),
            ("0.0.0.0:1:2/tcp", "0.0.0.0 1>2"),
            ("[::1]:1:2", "::1 1>2"),
            ("[::1]::2", "::1 auto>2"),
            ("53:53/udp", "53>53/udp"),
            ("8000-8001:9000-9001", "8000>9000, 8001>9001"),
            ("8000-8010:80", "8000>80"),
            ("8000-8001", "auto>8000, auto>8001"),
            ("65535:65535", "65535>65535"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for text in [
            "http",
            "0",
            "65536",
            "1:2:3:4",
            "1-2:3-5",
            "5-4",
            "a:1:2",
            "1/x",
            "",
            ":",
            "1:",
            "1/sctp",
            "1-2000",
            "1-65535:1-65535",
            "[::1:1:2",
            "::1:1:2",
            "[127.0.0.1]:1:2",
            "+1",
        ] {
            assert!(published_ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exposed_ports_are_not_published() {
        let ports = exposed_ports("53-54/udp").expect("a range");
        assert_eq!(ports.len(), 2);
        assert!(
            ports
                .iter()
                .all(|port| port.published.is_none() && port.protocol == Protocol::Udp)
        );
        assert!(exposed_ports("1:2").is_err());
    }
}
