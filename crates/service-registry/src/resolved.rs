//! What a service is told about another.
//!
//! Owns: the values of `${db.ip}` and its like, and the names and values of the injected variables. Never decides on
//! the route: it comes with the question.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::{Endpoint, Entry, Place, Reason, Route, RouteError, Topology, route, route_to_port};

/// An instance, and how one asker reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who was found.
    pub entry: Arc<Entry>,
    /// How it is reached: at its first port, when it has any.
    pub route: Route,
    /// Where each of its endpoints is reached, in their order.
    ways: Vec<SocketAddr>,
}

impl Resolved {
    /// How `from` reaches this instance.
    ///
    /// # Errors
    /// [`RouteError`] when the topology has no way for it.
    pub fn new(entry: Arc<Entry>, from: &Place, topology: &Topology) -> Result<Self, RouteError> {
        let to_port = |endpoint| route_to_port(from, &entry.place, entry.ip, endpoint, topology);
        let ways: Vec<(SocketAddr, Reason)> = entry
            .endpoints
            .iter()
            .map(to_port)
            .collect::<Result<_, _>>()?;
        let route = match ways.first() {
            Some((way, reason)) => Route {
                address: way.ip(),
                reason: *reason,
            },
            None => route(from, &entry.place, entry.ip, topology)?,
        };
        let ways = ways.into_iter().map(|(way, _)| way).collect();
        Ok(Self { entry, route, ways })
    }

    /// This instance at the address that it was registered with, for those of whose ways to it nothing is known; `None`
    /// when that is none which leads there from elsewhere.
    pub fn declared(entry: Arc<Entry>) -> Option<Self> {
        let address = entry.ip;
        if address.is_loopback() || address.is_unspecified() {
            return None;
        }
        let way = |endpoint: &Endpoint| SocketAddr::new(address, endpoint.port);
        Some(Self {
            ways: entry.endpoints.iter().map(way).collect(),
            route: Route {
                address,
                reason: Reason::Declared,
            },
            entry,
        })
    }

    /// `${db.ip}` and `${db.host}`: the numeric address, as seen by the asker.
    pub fn ip(&self) -> IpAddr {
        self.route.address
    }

    /// `${db.port}`: the first port, if it has any.
    pub fn port(&self) -> Option<u16> {
        self.ways.first().map(SocketAddr::port)
    }

    /// `${db.port.NAME}`: the port of this name.
    pub fn named_port(&self, name: &str) -> Option<u16> {
        let mut endpoints = self.endpoints();
        endpoints
            .find(|(endpoint, _)| endpoint.name.as_deref() == Some(name))
            .map(|(_, way)| way.port())
    }

    /// `${db.addr}`: address and first port, an IPv6 address in brackets.
    pub fn addr(&self) -> Option<String> {
        self.ways.first().map(SocketAddr::to_string)
    }

    /// `${db.url}`: the first port with its scheme; `http` where none is known, as whoever asks for a URL wants one.
    pub fn url(&self) -> Option<String> {
        self.endpoints().next().map(|(first, way)| {
            let scheme = first.scheme.as_deref().unwrap_or("http");
            format!("{scheme}://{way}")
        })
    }

    /// Its endpoints, each with where it is reached.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Endpoint, SocketAddr)> {
        self.entry.endpoints.iter().zip(self.ways.iter().copied())
    }

    /// The variables that a dependent finds in its environment when it calls this service `name`: `<NAME>_HOST`, `_IP`,
    /// and with at least one port `_PORT` and `_ADDR` of the first, its `_URL` where its scheme is known, and
    /// `_PORT_<PORTNAME>` of each that has a name.
    /// Names are upper-cased, and what cannot stand in a variable's name becomes `_`.
    pub fn variables(&self, name: &str) -> BTreeMap<String, String> {
        let prefix = shout(name);
        let ip = self.ip().to_string();
        let mut told = BTreeMap::from([
            (format!("{prefix}_HOST"), ip.clone()),
            (format!("{prefix}_IP"), ip),
        ]);
        if let Some((first, way)) = self.endpoints().next() {
            told.insert(format!("{prefix}_PORT"), way.port().to_string());
            told.insert(format!("{prefix}_ADDR"), way.to_string());
            if let Some(scheme) = &first.scheme {
                told.insert(format!("{prefix}_URL"), format!("{scheme}://{way}"));
            }
        }
        for (endpoint, way) in self.endpoints() {
            if let Some(name) = &endpoint.name {
                let variable = format!("{prefix}_PORT_{}", shout(name));
                told.insert(variable, way.port().to_string());
            }
        }
        told
    }
}

fn shout(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}
