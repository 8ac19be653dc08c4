//! The question whether an HTTP server answers as it should.
//!
//! Owns: one `GET`, without following redirects, and at most 64 KiB of its answer. What is not HTTP is not good.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use harness_http::header::{HeaderMap, HeaderName, HeaderValue};
use harness_http::{
    Address, Bytes, Excess, HttpError, HttpUrl, Limits, Request, Response, StatusCode, Uri, send,
};

use super::dial::FarPort;
use super::output::Tail;
use super::tcp::not_connected;
use super::{Answer, PrepareError, Surroundings};

#[derive(Clone, Debug)]
pub(crate) struct HttpQuestion {
    address: Address,
    path: Uri,
    headers: HeaderMap,
    /// Which are good; empty: 200 to 399.
    status: Vec<u16>,
    /// The same server, where no way leads to it from here.
    far: Option<FarPort>,
}

impl HttpQuestion {
    pub(crate) fn new<E: Error>(
        url: &str,
        status: Vec<u16>,
        headers: BTreeMap<String, String>,
    ) -> Result<Self, PrepareError<E>> {
        let parsed = HttpUrl::parse(url).map_err(PrepareError::Url)?;
        let path = parsed
            .path
            .parse()
            .map_err(|_| PrepareError::Path(parsed.path.clone()))?;
        let mut all = HeaderMap::new();
        let host = [("host".to_owned(), parsed.host)];
        // The URL's host first, so that a `Host` among the headers replaces it.
        for (name, value) in host.into_iter().chain(headers) {
            let read = || {
                Some((
                    HeaderName::try_from(&name).ok()?,
                    HeaderValue::try_from(value).ok()?,
                ))
            };
            let (name, value) = read().ok_or_else(|| PrepareError::Header(name.clone()))?;
            all.insert(name, value);
        }
        Ok(Self {
            address: parsed.address,
            path,
            headers: all,
            status,
            far: None,
        })
    }

    /// The same question, asked where the unit's port is reached from here. What the unit is asked for stays the same.
    pub(crate) fn by(mut self, from: &Surroundings) -> Self {
        if let Address::Tcp { host, port } = &mut self.address {
            match from.way(Some(host), *port) {
                Some(way) => {
                    *host = way.ip().to_string();
                    *port = way.port();
                }
                None => self.far = FarPort::of(from, Some(host), *port),
            }
        }
        self
    }

    pub(crate) async fn ask(&self, timeout: Duration) -> Answer {
        let limits = Limits {
            timeout,
            max_body_bytes: MOST_OF_A_BODY,
            excess: Excess::Cut,
        };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        let answered = match &self.far {
            None => send(&self.address, request, &limits).await,
            Some(far) => match far.connect().await {
                Ok(stream) => harness_http::request(stream, request, &limits).await,
                Err(answer) => return answer,
            },
        };
        match answered {
            Ok(response) if self.accepts(response.status()) => Answer::Good,
            Ok(response) => refused(&response),
            Err(error) => failed(&error, timeout),
        }
    }

    fn accepts(&self, status: StatusCode) -> bool {
        match self.status.as_slice() {
            [] => (200..400).contains(&status.as_u16()),
            wanted => wanted.contains(&status.as_u16()),
        }
    }
}

/// The body often says what is wrong.
fn refused(response: &Response<Bytes>) -> Answer {
    let mut body = Tail::default();
    body.push(response.body());
    Answer::bad(body.explain(&format!("status {}", response.status())))
}

fn failed(error: &HttpError, timeout: Duration) -> Answer {
    match error {
        HttpError::Connect { source, .. }
        | HttpError::Resolve { source, .. }
        | HttpError::Socket { source, .. } => not_connected(&error.to_string(), source),
        HttpError::TimedOut { step, .. } => {
            Answer::bad(format!("no answer within {timeout:?} ({step})"))
        }
        other => match other.source() {
            Some(source) => Answer::bad(format!("{other}: {source}")),
            None => Answer::bad(other.to_string()),
        },
    }
}

const MOST_OF_A_BODY: usize = 64 * 1024;
