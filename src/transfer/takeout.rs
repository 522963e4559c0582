//! A takeout: for its time the server lets an account fetch much of its own with fewer waits. "Takeout API".

use crate::client::{Client, InvokeError};
use crate::tl::api::{enums, functions};

/// The longest file that is asked for: what an account with Premium may send.
const MAX_FILE: i64 = 4000 << 20;

/// A takeout of the account. It goes on until it is ended.
pub struct Takeout {
    client: Client,
    id: i64,
}

impl Takeout {
    /// Begins one, for files of any chat.
    ///
    /// # Errors
    ///
    /// The server's, `TAKEOUT_INIT_DELAY` among them: it wants somebody to confirm in another app, or time to pass. The connection's.
    pub async fn begin(client: &Client) -> Result<Self, InvokeError> {
        let request = functions::account::InitTakeoutSession {
            contacts: false,
            message_users: true,
            message_chats: true,
            message_megagroups: true,
            message_channels: true,
            files: true,
            file_max_size: Some(MAX_FILE),
        };
        let enums::account::Takeout::Takeout(takeout) = client.invoke(&request).await?;
        Ok(Self { client: client.clone(), id: takeout.id })
    }

    /// What calls in it are wrapped with.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Ends it. `success`: everything that was wanted was had.
    ///
    /// # Errors
    ///
    /// The server's and the connection's.
    pub async fn finish(self, success: bool) -> Result<(), InvokeError> {
        let query = functions::account::FinishTakeoutSession { success };
        self.client.invoke(&functions::InvokeWithTakeout { takeout_id: self.id, query }).await.map(|_| ())
    }
}
