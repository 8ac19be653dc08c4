//! One request, before it is sent.
//!
//! Owns: what belongs together for a request: method, path, body, what it is about, how long it may take.

use harness_http::{Bytes, Method, Request, header};
use serde::Serialize;

use crate::error::Object;
use crate::target::Target;

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The engine only looks something up.
    Look,
    /// The engine changes something: kernel, disk and network take part.
    Change,
    /// The answer comes when something happens.
    Endless,
}

/// A request. Its body may hold secrets: it has no `Debug`.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) body: Option<Bytes>,
    pub(crate) about: Object,
    pub(crate) bound: Bound,
}

impl Call {
    pub(crate) fn get(target: Target, about: Object) -> Self {
        Self::new(Method::GET, target, about, Bound::Look)
    }

    pub(crate) fn post(target: Target, about: Object) -> Self {
        Self::new(Method::POST, target, about, Bound::Change)
    }

    pub(crate) fn delete(target: Target, about: Object) -> Self {
        Self::new(Method::DELETE, target, about, Bound::Change)
    }

    fn new(method: Method, target: Target, about: Object, bound: Bound) -> Self {
        Self {
            method,
            target,
            body: None,
            about,
            bound,
        }
    }

    pub(crate) fn with_json(mut self, body: &impl Serialize) -> Self {
        let text = serde_json::to_vec(body).expect("our own types can be JSON");
        self.body = Some(text.into());
        self
    }

    pub(crate) fn within(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    /// The request as it is sent below `prefix`.
    pub(crate) fn request(&self, prefix: &str) -> Request<Bytes> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.target.below(prefix));
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(self.body.clone().unwrap_or_default())
            .expect("an escaped path and fixed headers are a request")
    }
}
