//! What the flows of this floor need of a client.

use std::future::Future;

use crate::{
    client::{AccountRecord, Client, InvokeError},
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

    fn save_account(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        Ok(self.store().save_account(account)?)
    }

    fn account(&self) -> Result<Option<AccountRecord>, InvokeError> {
        Ok(self.store().account()?)
    }

    fn forget(&self) -> impl Future<Output = Result<(), InvokeError>> {
        self.forget()
    }
}
