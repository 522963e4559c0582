//! What the tool can do about a finding itself.

use crate::account::{EndError, end_authorization};
use crate::client::{Client, InvokeError, Persistence, PersistenceError};
use crate::ids::DcId;
use crate::tl::api::functions;

use super::counted;

/// A remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Forget a key that its server has forgotten: the next one who needs it makes a new one.
    ForgetKey {
        /// Its DC.
        dc: i32,
        /// Its id.
        key_id: i64,
    },
    /// Forget a temporary key that has ended.
    ForgetTemporaryKey {
        /// Its DC.
        dc: i32,
        /// Its id.
        key_id: i64,
    },
    /// Say once more who we are.
    Introduce,
    /// End authorizations that nobody uses.
    EndAuthorizations {
        /// Their numbers.
        hashes: Vec<i64>,
    },
}

/// Why a remedy did not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// An authorization could not be ended.
    #[error(transparent)]
    End(#[from] EndError),
    /// The server did not answer.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PersistenceError),
}

impl Fix {
    /// What it does, as a clause.
    pub fn what(&self) -> String {
        match self {
            Self::ForgetKey { dc, .. } => format!("the key of DC{dc} is dropped; a new one is made when it is needed"),
            Self::ForgetTemporaryKey { dc, .. } => {
                format!("the temporary key of DC{dc} is dropped; the next command makes a new one")
            }
            Self::Introduce => {
                "the server has been told once more who we are; the copy of the key is still out there".to_owned()
            }
            Self::EndAuthorizations { hashes } => format!("{} ended", counted(hashes.len(), "authorization")),
        }
    }

    /// Does it. `client` is one that introduces itself, over `store`.
    ///
    /// # Errors
    ///
    /// See [`FixError`].
    pub async fn apply(&self, client: &Client, store: &dyn Persistence) -> Result<(), FixError> {
        match self {
            Self::ForgetKey { dc, key_id } => store.forget_dc_auth(DcId(*dc), *key_id)?,
            Self::ForgetTemporaryKey { dc, key_id } => store.forget_temp_auth(DcId(*dc), *key_id)?,
            Self::Introduce => {
                client.invoke(&functions::help::GetNearestDc {}).await?;
            }
            Self::EndAuthorizations { hashes } => {
                for hash in hashes {
                    match end_authorization(client, *hash).await {
                        // Somebody else was faster.
                        Ok(()) | Err(EndError::Unknown) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}
