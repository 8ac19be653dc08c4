//! Questions about addresses.
//!
//! Owns: their parameters, and how their refusals look on the wire. The answer is
//! [`NetView`](service_orchestration::report::NetView).

use serde::{Deserialize, Serialize};
use serde_json::json;
use service_orchestration::spec::StackName;
use service_orchestration::supervisor::NetError;

use super::{ApiError, ErrorCode};

/// Parameters of `net.resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetParams {
    /// The stack.
    pub stack: StackName,
    /// Who asks: `api`, or `api/2` for a replica; absent: the daemon's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<String>,
    /// Who is asked for; absent: every unit of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Parameters of `net.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetStatusParams {
    /// The stack.
    pub stack: StackName,
}

/// Parameters of `net.rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetRotateParams {
    /// The stack.
    pub stack: StackName,
}

impl From<NetError> for ApiError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Order(error) => error.into(),
            NetError::OtherStack {
                ref unit,
                ref other,
                ref stack,
            } => {
                let data = json!({ "unit": unit, "other": other, "stack": stack });
                Self::new(ErrorCode::OtherStack, error.to_string()).with_data(data)
            }
            error => Self::new(ErrorCode::Internal, error.to_string()),
        }
    }
}
