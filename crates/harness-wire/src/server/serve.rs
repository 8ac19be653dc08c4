//! Runs the methods of one session, several at a time, without a task of its own for each.
//!
//! Owns: the running handlers, which end with the session or with the client's cancellation. Never knows a method.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, Aborted};
use futures::stream::FuturesUnordered;

use super::session::{Incoming, Request, Session};
use crate::frame::{Id, Params};
use crate::link::LinkError;

impl Session {
    /// Runs `handler` for every request until the connection ends; handlers run concurrently, within this future.
    ///
    /// A handler that the client cancels is dropped at its next `.await`, and the client told. Handlers still running
    /// when the connection ends are dropped. Notifications that are not part of the protocol are ignored.
    ///
    /// Returns why the connection ended; [`LinkError::Closed`] and
    /// [`LinkError::Gone`] are the ordinary ends.
    pub async fn serve<H, F>(self, mut handler: H) -> LinkError
    where
        H: FnMut(Request) -> F,
        F: Future<Output = ()>,
    {
        self.serve_until(std::future::pending(), &mut handler).await
    }

    /// As [`Session::serve`], until `stop` is done: then what is queued is sent and the connection closed in order.
    pub async fn serve_until<H, F>(
        mut self,
        stop: impl Future<Output = ()>,
        mut handler: H,
    ) -> LinkError
    where
        H: FnMut(Request) -> F,
        F: Future<Output = ()>,
    {
        let mut running = FuturesUnordered::new();
        let mut handles = BTreeMap::<Id, AbortHandle>::new();
        let mut stop = pin!(stop);
        let end = poll_fn(|cx| {
            loop {
                // Handlers first: what they answer goes out in the same turn.
                while let Poll::Ready(Some((id, ended))) = running.poll_next_unpin(cx) {
                    let _: Result<(), Aborted> = ended;
                    handles.remove(&id);
                }
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(LinkError::Abandoned);
                }
                match self.poll_next(cx) {
                    Poll::Ready(Ok(Incoming::Request(request))) => {
                        let (handle, registration) = AbortHandle::new_pair();
                        let id = request.id.clone();
                        handles.insert(id.clone(), handle);
                        let work = Abortable::new(handler(request), registration);
                        running.push(async move { (id, work.await) });
                    }
                    Poll::Ready(Ok(Incoming::Cancelled { id })) => {
                        if let Some(handle) = handles.get(&id) {
                            handle.abort();
                        }
                    }
                    Poll::Ready(Ok(Incoming::Notification { method, params })) => {
                        ignore(&method, &params)
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        // A handler may have become ready while the session was polled; it has woken us then.
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
        // Shut first: what the dropped handlers leave behind must not look like an orderly end to the client.
        self.shut();
        drop(running);
        self.close_because(&end).await;
        end
    }
}

fn ignore(method: &str, _params: &Params) {
    tracing::debug!(method, "a notification nobody waits for");
}
