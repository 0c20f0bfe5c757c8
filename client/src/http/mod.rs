//! Logs behind http:// and https:// URLs: reading, and submitting.

mod retry;
mod source;
mod submit;
mod transport;
mod url;

pub use source::HttpSource;
pub use submit::{SubmitError, Submitter, TokenError, Wait, batches};
pub use transport::{HttpError, HttpOptions, HttpSetupError};
pub use url::UrlError;
