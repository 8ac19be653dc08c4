//! What a service is told about another.
//!
//! Owns: the values of `${db.ip}` and its like, and the names and values of the injected variables. Never decides on
//! the route: it comes with the question.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::{Endpoint, Entry, Route};

/// An instance, and how one asker reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who was found.
    pub entry: Arc<Entry>,
    /// How it is reached.
    pub route: Route,
}

impl Resolved {
    /// `${db.ip}` and `${db.host}`: the numeric address, as seen by the asker.
    pub fn ip(&self) -> IpAddr {
        self.route.address
    }

    /// `${db.port}`: the first port, if it has any.
    pub fn port(&self) -> Option<u16> {
        self.entry.endpoints.first().map(|first| first.port)
    }

    /// `${db.port.NAME}`: the port of this name.
    pub fn named_port(&self, name: &str) -> Option<u16> {
        let mut endpoints = self.entry.endpoints.iter();
        endpoints
            .find(|endpoint| endpoint.name.as_deref() == Some(name))
            .map(|endpoint| endpoint.port)
    }

    /// `${db.addr}`: address and first port, an IPv6 address in brackets.
    pub fn addr(&self) -> Option<String> {
        self.port().map(|port| addr(&self.route, port))
    }

    /// `${db.url}`: the first port with its scheme.
    pub fn url(&self) -> Option<String> {
        self.entry
            .endpoints
            .first()
            .map(|first| url(&self.route, first))
    }

    /// The variables that a dependent finds in its environment when it calls this service `name`.
    pub fn variables(&self, name: &str) -> BTreeMap<String, String> {
        variables(name, &self.route, &self.entry.endpoints)
    }
}

/// `<NAME>_HOST`, `_IP`, and with at least one port `_PORT`, `_ADDR`, `_URL` of the first and `_PORT_<PORTNAME>` of
/// each that has a name. Names are upper-cased, and what cannot stand in a variable's name becomes `_`.
pub fn variables(name: &str, route: &Route, endpoints: &[Endpoint]) -> BTreeMap<String, String> {
    let prefix = shout(name);
    let ip = route.address.to_string();
    let mut told = BTreeMap::from([
        (format!("{prefix}_HOST"), ip.clone()),
        (format!("{prefix}_IP"), ip),
    ]);
    if let Some(first) = endpoints.first() {
        told.insert(format!("{prefix}_PORT"), first.port.to_string());
        told.insert(format!("{prefix}_ADDR"), addr(route, first.port));
        told.insert(format!("{prefix}_URL"), url(route, first));
    }
    for endpoint in endpoints {
        if let Some(name) = &endpoint.name {
            let variable = format!("{prefix}_PORT_{}", shout(name));
            told.insert(variable, endpoint.port.to_string());
        }
    }
    told
}

fn addr(route: &Route, port: u16) -> String {
    SocketAddr::new(route.address, port).to_string()
}

fn url(route: &Route, endpoint: &Endpoint) -> String {
    format!("{}://{}", endpoint.scheme, addr(route, endpoint.port))
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
