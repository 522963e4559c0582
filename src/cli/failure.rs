//! Why one item of a run failed: for itself alone, or for all that would come after it.

use tdl::chat::ChatError;
use tdl::client::InvokeError;
use tdl::transfer::TransferError;

use super::exit::{CliError, explained};

/// Why one item was not transferred.
pub(crate) enum Failure {
    /// Only this one: the rest goes on.
    Item(String),
    /// Nothing more can be done.
    Run(CliError),
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Invoke(error) => error.into(),
            TransferError::Store(error) => Self::Run(error.into()),
            TransferError::Interrupted => Self::Run(CliError::interrupted().advise("give the same command again to go on")),
            other => Self::Item(other.to_string()),
        }
    }
}

impl From<InvokeError> for Failure {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::Rpc(error) if error.name == "TAKEOUT_INVALID" => Self::Run(
                CliError::from(InvokeError::Rpc(error))
                    .advise("the takeout has ended; give the same command again to go on in another"),
            ),
            InvokeError::Rpc(error) => Self::Item(format!("the server answered {}", explained(&error))),
            InvokeError::Timeout { .. } => Self::Item(error.to_string()),
            other => Self::Run(other.into()),
        }
    }
}

impl From<ChatError> for Failure {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::Invoke(error) => error.into(),
            ChatError::Store(_) => Self::Run(error.into()),
            other => Self::Item(other.to_string()),
        }
    }
}

impl From<tdl::store::Error> for Failure {
    fn from(error: tdl::store::Error) -> Self {
        Self::Run(error.into())
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::Run(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, message: &str) -> Failure {
        InvokeError::Rpc(tdl::client::RpcError::new(code, message)).into()
    }

    #[test]
    fn one_item_that_fails_is_not_the_run() {
        assert!(matches!(of(400, "FILE_REFERENCE_INVALID"), Failure::Item(_)));
        let late = InvokeError::Timeout { method: "upload.getFile", after: std::time::Duration::from_secs(1) };
        assert!(matches!(late.into(), Failure::Item(_)));
    }

    /// Everything after it would fail in the same way.
    #[test]
    fn the_end_of_a_takeout_is_the_end_of_the_run() {
        let Failure::Run(error) = of(400, "TAKEOUT_INVALID") else { panic!("one item only") };
        assert!(error.advice.is_some_and(|advice| advice.contains("in another")));
    }
}
