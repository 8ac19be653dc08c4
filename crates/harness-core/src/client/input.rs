//! The standard input of a task, from here.
//!
//! Owns: that what is given arrives once and in order, or not at all: nothing is ever sent twice, so that an input does not
//! outlive the connection that it was opened over.

use harness_wire::Subscription as Items;

use super::connection::Connection;
use super::recover::Departure;
use super::{ClientError, HarnessClient};
use crate::protocol::method::{GiveInput, OpenInput};
use crate::protocol::{Done, InputOpened, InputParams, InputTaken, Method, OpenInputParams};

/// The way to the standard input of a unit's next run. Dropping it ends that input.
#[derive(Debug)]
pub struct TaskInput {
    connection: Connection,
    input: u64,
    _open: Items<Done>,
}

impl HarnessClient {
    /// Opens the standard input of the next run of a unit, which is to be started after this.
    ///
    /// # Errors
    /// [`ClientError`]. A daemon that is older than this does not know the call.
    pub async fn open_input(&self, params: &OpenInputParams) -> Result<TaskInput, ClientError> {
        let mut connection = self.connection().await?;
        loop {
            match TaskInput::open(connection, params).await {
                Err(error @ ClientError::Lost { .. }) => {
                    connection = self.reconnect(Departure::of(&error)).await?;
                }
                opened => return opened,
            }
        }
    }
}

impl TaskInput {
    async fn open(connection: Connection, params: &OpenInputParams) -> Result<Self, ClientError> {
        let opening = connection.client().subscribe(OpenInput::NAME, params);
        let opened = connection.drive(opening).await;
        let open: Items<Done> =
            opened.map_err(|error| ClientError::of_call(error, OpenInput::NAME))?;
        let greeting: InputOpened = open.greeting().map_err(|source| ClientError::Unreadable {
            method: OpenInput::NAME.to_owned(),
            source,
        })?;
        Ok(Self {
            connection,
            input: greeting.input,
            _open: open,
        })
    }

    /// Gives these bytes (none: that was all), and returns when more may come: false when no more is wanted.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the daemon is gone: what it had not passed on is lost, and the input has ended.
    ///
    /// # Cancellation
    /// Dropping the future leaves open whether they were given.
    pub async fn give(&self, bytes: Vec<u8>) -> Result<bool, ClientError> {
        let params = InputParams {
            input: self.input,
            base64: bytes,
        };
        let client = self.connection.client();
        let asked = client.call::<InputParams, InputTaken>(GiveInput::NAME, &params);
        let taken = self.connection.drive(asked).await;
        let taken = taken.map_err(|error| ClientError::of_call(error, GiveInput::NAME))?;
        Ok(taken.open)
    }
}
