//! Logs behind http:// and https:// URLs: reading, and submitting.

mod answer;
mod api;
mod retry;
mod source;
mod submit;
mod transport;
mod url;

pub use answer::HttpAnswer;
pub use api::ApiClient;
pub use source::HttpSource;
pub use submit::{SubmitError, Submitter, TokenError, Wait, batches};
pub use transport::{HttpError, HttpOptions, HttpSetupError, Retry};
pub use url::UrlError;
