//! Why a call was refused or failed, the same on both sides of the wire.
//!
//! Owns: the codes with their JSON-RPC numbers and exit codes, and the way from the supervisor's refusals to them.
//! Never holds a connection's own failures: those are the client's.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_orchestration::manager::SignalError;
use service_orchestration::supervisor::{
    ApplyError, BeginError, ForgetError, OneOffLeft, OrderError,
};

use harness_wire::{RpcError, code};

/// Why a call was refused or failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// One line for people.
    pub message: String,
    /// Details for programs; an object whose keys belong to the code, or null.
    #[serde(default)]
    pub data: Value,
    /// What a program that gives up over it exits with.
    pub exit_code: u8,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:expr, exit $exit:literal;)*) => {
        /// The kinds of failure. As text: lower-case kebab.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $name,)*
            /// One that only a newer daemon knows; the message and the exit code are its.
            #[serde(other)]
            Unrecognised,
        }

        impl ErrorCode {
            /// The number in JSON-RPC.
            pub fn number(self) -> i64 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unrecognised => code::INTERNAL_ERROR,
                }
            }

            /// What a program that gives up over it exits with.
            pub fn exit_code(self) -> u8 {
                match self {
                    $(Self::$name => $exit,)*
                    Self::Unrecognised => 70,
                }
            }

            fn of_number(number: i64) -> Self {
                match number {
                    $(number if number == $number => Self::$name,)*
                    _ => Self::Unrecognised,
                }
            }
        }
    };
}

codes! {
    /// There is no such stack. `stack`.
    UnknownStack = code::FIRST_APPLICATION, exit 4;
    /// There is no such service or task. `stack`, `unit`, `similar`.
    UnknownUnit = code::FIRST_APPLICATION + 1, exit 4;
    /// Units that run need those that shall stop. `units`, `dependents`.
    Needed = code::FIRST_APPLICATION + 2, exit 1;
    /// A wanted unit has a target that cannot be run here. `unit`, `reason`.
    Unsupported = code::FIRST_APPLICATION + 3, exit 69;
    /// Units need each other in a circle. `units`.
    DependencyCycle = code::FIRST_APPLICATION + 4, exit 78;
    /// A dependency is not in the stack. `unit`, `dependency`.
    UnknownDependency = code::FIRST_APPLICATION + 5, exit 78;
    /// The definition says something that cannot be.
    InvalidDefinition = code::FIRST_APPLICATION + 20, exit 78;
    /// Units of the stack still run. `units`.
    StillRunning = code::FIRST_APPLICATION + 6, exit 1;
    /// The daemon is about to end and takes no more orders.
    ShuttingDown = code::FIRST_APPLICATION + 7, exit 5;
    /// A log cannot be read. `unit`.
    LogUnreadable = code::FIRST_APPLICATION + 8, exit 1;
    /// The reader was too slow; subscribe again after the last item seen.
    Lagged = code::FIRST_APPLICATION + 9, exit 1;
    /// There is no such client. `client`.
    UnknownClient = code::FIRST_APPLICATION + 10, exit 4;
    /// Another client has the name, or is invited under it.
    NameTaken = code::FIRST_APPLICATION + 11, exit 1;
    /// The client is the owner of the daemon's files, and stays admin.
    OwnerIsAdmin = code::FIRST_APPLICATION + 12, exit 1;
    /// The daemon does not know by which address others reach it.
    AddressNeeded = code::FIRST_APPLICATION + 13, exit 2;
    /// The record of changes cannot be read.
    AuditUnreadable = code::FIRST_APPLICATION + 14, exit 1;
    /// Units that must run have no process. `units`.
    NotRunning = code::FIRST_APPLICATION + 15, exit 1;
    /// A unit was not signalled. `unit`.
    NotSignalled = code::FIRST_APPLICATION + 16, exit 1;
    /// A stack is forgotten, and something of it could not be removed. `stack`.
    Leftover = code::FIRST_APPLICATION + 21, exit 1;
    /// A unit of another stack was asked for. `unit`, `other`, `stack`.
    OtherStack = code::FIRST_APPLICATION + 22, exit 1;
    /// Nothing of that name is listed. `name`.
    UnknownService = code::FIRST_APPLICATION + 23, exit 4;
    /// It is listed, and whoever asks cannot reach it. `name`, `code`.
    NoRoute = code::FIRST_APPLICATION + 24, exit 1;
    /// The name is another client's, or the daemon's own. `name`, `owner`.
    ServiceTaken = code::FIRST_APPLICATION + 25, exit 1;
    /// A later run of the service has been seen, or the end of this one. `name`, `known`.
    StaleRun = code::FIRST_APPLICATION + 26, exit 1;
    /// Nothing is registered under the lease any more: register again. `lease`.
    NoLease = code::FIRST_APPLICATION + 27, exit 1;
    /// As many are registered, or watched, as may be. `most`.
    TooMany = code::FIRST_APPLICATION + 28, exit 1;
    /// A one-off run cannot be made ready. `unit`, where its definition forbids it.
    CannotRun = code::FIRST_APPLICATION + 29, exit 125;
    /// The client's role does not allow it. `needed`, `role`.
    Forbidden = code::FORBIDDEN, exit 6;
    /// The client cancelled it.
    Cancelled = code::CANCELLED, exit 1;
    /// Too many requests at once on this connection.
    Overloaded = code::OVERLOADED, exit 1;
    /// The daemon knows no such method: it is older, or the client is.
    UnknownMethod = code::METHOD_NOT_FOUND, exit 70;
    /// The parameters do not fit the method.
    InvalidParams = code::INVALID_PARAMS, exit 70;
    /// The answer is larger than a message may be.
    AnswerTooLarge = code::ANSWER_TOO_LARGE, exit 70;
    /// The daemon failed.
    Internal = code::INTERNAL_ERROR, exit 70;
}

impl ErrorCode {
    /// As text: lower-case kebab.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            Ok(_) | Err(_) => unreachable!("a unit variant is a string in JSON"),
        }
    }
}

impl ApiError {
    /// A failure of this kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Value::Null,
            exit_code: code.exit_code(),
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// How an [`ApiError`] lies in the `data` of a JSON-RPC error.
#[derive(Serialize, Deserialize)]
struct Details {
    code: ErrorCode,
    exit_code: u8,
    #[serde(default)]
    details: Value,
}

impl From<ApiError> for RpcError {
    fn from(error: ApiError) -> Self {
        let details = Details {
            code: error.code,
            exit_code: error.exit_code,
            details: error.data,
        };
        let data =
            serde_json::to_value(details).expect("names, numbers and JSON values always serialise");
        Self::new(error.code.number(), error.message).with_data(data)
    }
}

impl From<RpcError> for ApiError {
    fn from(error: RpcError) -> Self {
        let details = error.data.clone().map(serde_json::from_value::<Details>);
        match details {
            Some(Ok(Details {
                code,
                exit_code,
                details,
            })) => Self {
                code,
                message: error.message,
                data: details,
                exit_code,
            },
            // Made by the wire itself: only the number tells.
            Some(Err(_)) | None => Self::new(ErrorCode::of_number(error.code), error.message)
                .with_data(error.data.unwrap_or_default()),
        }
    }
}

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        let (code, data) = match error {
            ApplyError::Cycle { units } => (ErrorCode::DependencyCycle, json!({ "units": units })),
            ApplyError::UnknownDependency { unit, dependency } => (
                ErrorCode::UnknownDependency,
                json!({ "unit": unit, "dependency": dependency }),
            ),
            ApplyError::SecretSeen { .. } | ApplyError::Variable { .. } => {
                (ErrorCode::InvalidDefinition, Value::Null)
            }
            ApplyError::Ended => return Self::shutting_down(),
            _ => (ErrorCode::Internal, Value::Null),
        };
        Self::new(code, message).with_data(data)
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        let message = error.to_string();
        let (code, data) = match error {
            OrderError::UnknownStack { stack } => {
                (ErrorCode::UnknownStack, json!({ "stack": stack }))
            }
            OrderError::UnknownUnit {
                stack,
                unit,
                similar,
            } => (
                ErrorCode::UnknownUnit,
                json!({ "stack": stack, "unit": unit, "similar": similar }),
            ),
            OrderError::Needed { units, dependents } => (
                ErrorCode::Needed,
                json!({ "units": units, "dependents": dependents }),
            ),
            OrderError::Unsupported { unit, reason } => (
                ErrorCode::Unsupported,
                json!({ "unit": unit, "reason": reason }),
            ),
            OrderError::Ended => return Self::shutting_down(),
            _ => (ErrorCode::Internal, Value::Null),
        };
        Self::new(code, message).with_data(data)
    }
}

impl From<ForgetError> for ApiError {
    fn from(error: ForgetError) -> Self {
        let message = error.to_string();
        let (code, data) = match error {
            ForgetError::StillRunning { units } => {
                (ErrorCode::StillRunning, json!({ "units": units }))
            }
            ForgetError::UnknownStack { stack } => {
                (ErrorCode::UnknownStack, json!({ "stack": stack }))
            }
            ForgetError::Leftover { stack, reason: _ } => {
                (ErrorCode::Leftover, json!({ "stack": stack }))
            }
            ForgetError::Ended => return Self::shutting_down(),
            _ => (ErrorCode::Internal, Value::Null),
        };
        Self::new(code, message).with_data(data)
    }
}

impl From<BeginError> for ApiError {
    fn from(error: BeginError) -> Self {
        let message = service_orchestration::error_chain(&error);
        let data = match error {
            BeginError::Order(error) => return error.into(),
            BeginError::Unfit { unit, .. } => json!({ "unit": unit }),
            _ => Value::Null,
        };
        Self::new(ErrorCode::CannotRun, message).with_data(data)
    }
}

impl From<OneOffLeft> for ApiError {
    fn from(error: OneOffLeft) -> Self {
        Self::new(ErrorCode::Leftover, error.to_string())
    }
}

impl From<SignalError> for ApiError {
    fn from(error: SignalError) -> Self {
        // The cause travels in the message: what is behind it stays here.
        let message = service_orchestration::error_chain(&error);
        let (code, data) = match error {
            SignalError::Order(error) => return error.into(),
            SignalError::NotRunning { units } => (ErrorCode::NotRunning, json!({ "units": units })),
            SignalError::Refused { unit, .. } => (ErrorCode::NotSignalled, json!({ "unit": unit })),
            _ => (ErrorCode::Internal, Value::Null),
        };
        Self::new(code, message).with_data(data)
    }
}

impl ApiError {
    pub(crate) fn shutting_down() -> Self {
        Self::new(
            ErrorCode::ShuttingDown,
            "the daemon is ending and takes no more orders",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let unknown = OrderError::UnknownUnit {
            stack: "s".into(),
            unit: "ap".into(),
            similar: Some("api".into()),
        };
        let error = ApiError::from(unknown);
        assert_eq!(
            (error.code.name().as_str(), error.exit_code),
            ("unknown-unit", 4)
        );
        assert_eq!(ApiError::from(RpcError::from(error.clone())), error);
    }

    #[test]
    fn an_error_of_the_wire_itself_has_a_code_too() {
        let error = ApiError::from(RpcError::method_not_found("x"));
        assert_eq!(error.code, ErrorCode::UnknownMethod);
    }

    #[test]
    fn a_code_from_the_future_keeps_its_message_and_exit_code() {
        let rpc = RpcError::new(4711, "too new")
            .with_data(json!({ "code": "quota", "exit_code": 9, "details": null }));
        let error = ApiError::from(rpc);
        assert_eq!(
            (error.code, error.exit_code, error.message.as_str()),
            (ErrorCode::Unrecognised, 9, "too new")
        );
    }
}
