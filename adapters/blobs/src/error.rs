//! Errors of the store, in the domain's words.

use connexus_domain::Error;
use object_store::Error as StoreError;

/// Absence is told apart before: it is not an error.
pub fn domain(error: StoreError) -> Error {
    match error {
        // trying again will not cure what was set wrongly
        StoreError::InvalidPath { .. }
        | StoreError::NotSupported { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::PermissionDenied { .. }
        | StoreError::Unauthenticated { .. }
        | StoreError::UnknownConfigurationKey { .. } => Error::internal(error),
        _ => Error::unavailable(error),
    }
}

/// `None` for what is not there.
pub fn present<T>(result: object_store::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(domain(error)),
    }
}
