//! What the flows of this floor need of a client.

use std::future::Future;

use crate::{
    client::{AccountRecord, Client, InvokeError},
    ids::DcId,
    tl::RemoteCall,
};

/// A client as the login flows see it. [`Client`] is one; tests have one that follows a script.
pub trait Api {
    /// Calls a method at the account's home.
    fn invoke<R: RemoteCall>(&self, request: &R) -> impl Future<Output = Result<R::Return, InvokeError>>;

    /// The application's id and hash.
    fn application(&self) -> (i32, &str);

    /// Notes that a login has succeeded.
    ///
    /// # Errors
    ///
    /// The store's.
    fn logged_in(&self, account: &AccountRecord) -> Result<(), InvokeError>;

    /// Whether a login is on record. Asks nobody.
    ///
    /// # Errors
    ///
    /// The store's.
    fn is_authorized(&self) -> Result<bool, InvokeError>;

    /// Whether there is a key for the account's home. Before a login there is one only if an earlier login got as far as that.
    ///
    /// # Errors
    ///
    /// The store's.
    fn has_key(&self) -> Result<bool, InvokeError>;

    /// Moves the account's home, as a login token demands ("Login via QR code", `auth.loginTokenMigrateTo`).
    ///
    /// # Errors
    ///
    /// The store's.
    fn set_home(&self, dc: DcId) -> Result<(), InvokeError>;

    /// Brings the record of the account up to date, without any other effect.
    ///
    /// # Errors
    ///
    /// The store's.
    fn save_account(&self, account: &AccountRecord) -> Result<(), InvokeError>;

    /// The record of the account, if there is one.
    ///
    /// # Errors
    ///
    /// The store's.
    fn account(&self) -> Result<Option<AccountRecord>, InvokeError>;

    /// Forgets keys, account and peers.
    fn forget(&self) -> impl Future<Output = Result<(), InvokeError>>;

    /// Random bytes from which a secret may be made.
    fn random_seed(&self) -> [u8; 32];

    /// Unix time in seconds by the server's clock, as far as it is known.
    fn server_time(&self) -> i64;
}

impl Api for Client {
    fn invoke<R: RemoteCall>(&self, request: &R) -> impl Future<Output = Result<R::Return, InvokeError>> {
        self.invoke(request)
    }

    fn application(&self) -> (i32, &str) {
        (self.config().api_id, &self.config().api_hash)
    }

    fn logged_in(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        self.logged_in(account)
    }

    fn is_authorized(&self) -> Result<bool, InvokeError> {
        self.is_authorized()
    }

    fn has_key(&self) -> Result<bool, InvokeError> {
        Ok(self.store().dc_auth(self.home_dc())?.is_some())
    }

    fn set_home(&self, dc: DcId) -> Result<(), InvokeError> {
        Ok(self.set_home_dc(dc)?)
    }

    fn save_account(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        Ok(self.store().save_account(account)?)
    }

    fn account(&self) -> Result<Option<AccountRecord>, InvokeError> {
        Ok(self.store().account()?)
    }

    fn forget(&self) -> impl Future<Output = Result<(), InvokeError>> {
        self.forget()
    }

    fn random_seed(&self) -> [u8; 32] {
        self.random_seed()
    }

    fn server_time(&self) -> i64 {
        self.server_time()
    }
}
