//! Bodies of requests: owns collecting one up to its limit. It must not know what is in it.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};

use super::answer::Refusal;

/// The whole body, of at most `most` bytes.
///
/// # Errors
/// [`Refusal`] for one that is longer, or does not come.
pub(super) async fn collected(body: Incoming, most: usize) -> Result<Bytes, Refusal> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_large(format!(
            "the body of a request has at most {most} bytes here"
        ))),
        Err(_) => Err(Refusal::bad("the body did not come")),
    }
}
