//! What the headers of a request say: owns looking at each of them once, which is quicker than
//! looking for each that matters. It must not know what is answered.

use hyper::Uri;
use hyper::header::{ACCEPT, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH, ORIGIN};

use super::host;

/// What matters of them; of a header that is there twice the first counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    /// Forms that the client takes.
    pub(super) accept: Option<&'a HeaderValue>,
    /// Answers that it has.
    pub(super) if_none_match: Option<&'a HeaderValue>,
    /// A web page sent it.
    pub(super) is_of_page: bool,
    /// It names a host that no client of a socket names.
    pub(super) is_elsewhere: bool,
}

impl<'a> Said<'a> {
    /// Looks at the headers of a request for `uri`.
    pub(super) fn of(uri: &Uri, headers: &'a HeaderMap) -> Self {
        let mut said = Self::default();
        // the whole address in the request's line, as HTTP/2 always has it, wins over the header
        if let Some(authority) = uri.authority() {
            said.is_elsewhere = !host::is_local(authority.as_str().as_bytes());
        }
        for (name, value) in headers {
            if *name == HOST {
                said.is_elsewhere |= !host::is_local(value.as_bytes());
            } else if *name == ACCEPT {
                said.accept = said.accept.or(Some(value));
            } else if *name == IF_NONE_MATCH {
                said.if_none_match = said.if_none_match.or(Some(value));
            } else if *name == ORIGIN {
                said.is_of_page = true;
            }
        }
        said
    }
}
