//! What clients give to tasks on their standard input.
//!
//! Owns: which input is whose. Each is as long as the subscription that opened it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness_wire::Responder;
use service_orchestration::executors::InputGiver;
use service_orchestration::spec::UnitId;

use super::serve::Caller;
use super::shared::Shared;
use crate::protocol::{InputOpened, InputParams, InputTaken, OpenInputParams};

/// The inputs that are open.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    // A lock, because the calls of a session run on any thread. It is held for a look.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    all: BTreeMap<u64, Given>,
}

/// One of them.
#[derive(Debug)]
struct Given {
    client: String,
    giver: InputGiver,
}

/// One of them, until it is dropped.
struct Place<'a> {
    inputs: &'a Inputs,
    number: u64,
}

impl Inputs {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, client: &str, giver: InputGiver) -> Place<'_> {
        let mut open = self.open();
        open.last += 1;
        let number = open.last;
        let client = client.to_owned();
        open.all.insert(number, Given { client, giver });
        Place {
            inputs: self,
            number,
        }
    }

    /// The way into it, if it is this client's.
    fn of(&self, client: &str, number: u64) -> Option<InputGiver> {
        let open = self.open();
        let given = open.all.get(&number);
        let given = given.filter(|given| given.client == client);
        given.map(|given| given.giver.clone())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.inputs.open().all.remove(&self.number);
    }
}

/// Opens an input and keeps it open until the client wants it no longer, or is gone.
pub(super) async fn open(
    shared: &Shared,
    caller: &Caller,
    params: OpenInputParams,
    responder: Responder,
) {
    let OpenInputParams { stack, unit } = params;
    let giver = shared.manager.open_input(UnitId::single(stack, unit)).await;
    let place = shared.inputs.enter(&caller.identity.name, giver);
    let mut publisher = responder.subscribe(&InputOpened {
        input: place.number,
    });
    publisher.closed().await;
}

/// Takes one piece, once there is room for it.
pub(super) async fn take(shared: &Shared, caller: &Caller, params: InputParams) -> InputTaken {
    let InputParams { input, base64 } = params;
    let open = match shared.inputs.of(&caller.identity.name, input) {
        Some(giver) if base64.is_empty() => giver.end().await,
        Some(giver) => giver.give(base64).await,
        None => false,
    };
    InputTaken { open }
}
