//! The same names where there is no Unix: everything answers [`EmbeddedError::Unsupported`].

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
};

use super::{Binaries, EmbeddedError, EmbeddedOptions, Step};

/// `.headwater` in the current directory.
pub fn default_data_dir() -> PathBuf {
    PathBuf::from(".headwater")
}

/// Always [`EmbeddedError::Unsupported`].
pub fn find_binaries(_: &EmbeddedOptions, _: &dyn Fn(Step)) -> Result<Binaries, EmbeddedError> {
    Err(EmbeddedError::Unsupported)
}

/// Always [`EmbeddedError::Unsupported`].
pub fn reset(_: &Path) -> Result<(), EmbeddedError> {
    Err(EmbeddedError::Unsupported)
}

/// Cannot exist here.
#[derive(Debug)]
pub struct EmbeddedPostgres(Infallible);

impl EmbeddedPostgres {
    /// Always [`EmbeddedError::Unsupported`].
    pub fn start(_: &EmbeddedOptions, _: &dyn Fn(Step)) -> Result<Self, EmbeddedError> {
        Err(EmbeddedError::Unsupported)
    }

    /// Never called.
    pub fn admin_url(&self, _: &str) -> String {
        match self.0 {}
    }

    /// Never called.
    pub fn socket_dir(&self) -> &Path {
        match self.0 {}
    }

    /// Never called.
    pub fn port(&self) -> u16 {
        match self.0 {}
    }

    /// Never called.
    pub fn log_path(&self) -> &Path {
        match self.0 {}
    }

    /// Never called.
    pub fn binaries(&self) -> &Binaries {
        match self.0 {}
    }

    /// Never called.
    pub fn pid(&self) -> u32 {
        match self.0 {}
    }

    /// Never called.
    pub fn is_running(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn restart(&mut self) -> Result<(), EmbeddedError> {
        match self.0 {}
    }

    /// Never called.
    pub fn kill9(&mut self) {
        match self.0 {}
    }

    /// Never called.
    pub fn stop(self) -> Result<(), EmbeddedError> {
        match self.0 {}
    }
}
