//! What a unit speaks at its ports, as far as its definition tells.
//!
//! Owns: that a port which is asked for the unit's health by HTTP speaks HTTP. Asks nobody, and guesses nothing.

use super::units::UnitEntry;
use crate::spec::{Attribute, Placeholder, ProbeAction, Template};

impl UnitEntry {
    /// Whether the unit is asked for its health by HTTP at this port of its own.
    pub(crate) fn speaks_http(&self, port: u16) -> bool {
        let spec = self.described();
        let probes = [&spec.readiness, &spec.liveness, &spec.startup];
        let mut probes = probes.into_iter().flatten();
        probes.any(|probe| match &probe.action {
            ProbeAction::Http { url, .. } => self.port_asked(url) == Some(port),
            _ => false,
        })
    }

    /// The port of a URL of the unit's own; none where another unit stands in it.
    fn port_asked(&self, url: &Template) -> Option<u16> {
        let first = || self.numbered_ports().next().map(|(_, _, number)| number);
        let named = |name: &str| {
            let mut ports = self.numbered_ports();
            ports.find(|(_, port, _)| port.name.as_deref() == Some(name))
        };
        let fill = |placeholder: Placeholder<'_>| {
            let Placeholder::Reference(asked) = placeholder else {
                return Err(());
            };
            let port = match &asked.attribute {
                Attribute::Ip | Attribute::Host => return Ok(String::from("own")),
                Attribute::Port | Attribute::Addr | Attribute::Url => first(),
                Attribute::NamedPort(name) => named(name).map(|(_, _, number)| number),
                Attribute::Output(_) => None,
            };
            let port = port.filter(|_| asked.unit == self.id.name).ok_or(())?;
            Ok(match &asked.attribute {
                Attribute::Addr => format!("own:{port}"),
                Attribute::Url => format!("http://own:{port}"),
                _ => port.to_string(),
            })
        };
        let url = url.resolve(fill).ok()?;
        let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
        let host_and_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        match host_and_port.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
            _ => Some(80),
        }
    }
}
