//! Requests of guests: owns what the listener answers at all, and what it tells browsers of that (CORS). What is let in is
//! answered as on the socket.
//!
//! A browser sends a page's request whatever the page is, and its preflight only keeps the page from reading the answer.
//! So the origin is looked at here, before anything is done: the listener is for pages of the settings, and for programs
//! that are no browser.

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::answer::Refusal;
use super::body::Body;
use super::later::Seen;
use super::reply::Reply;
use super::route::Route;
use super::service::Service;
use crate::guest::Guest;

/// The headers that clients of flags send.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "authorization, cache-control, connect-protocol-version, connect-timeout-ms, content-type, flagd-selector, \
     grpc-timeout, if-none-match, last-event-id, x-grpc-web, x-user-agent",
);
/// And those of answers that pages may read.
const SHOWN: HeaderValue =
    HeaderValue::from_static("etag, grpc-message, grpc-status, strongroom-revision, strongroom-stale-since");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// A page of the web asks for something on this machine.
const PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const PRIVATE_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What browsers say of where a request comes from.
const SITE: &str = "sec-fetch-site";

/// Who asks, as far as answers go.
#[derive(Clone, Debug)]
enum Asking {
    /// A page of this origin, which the settings name.
    Page(HeaderValue),
    /// No browser.
    Program,
}

impl Service {
    /// Answers a guest's request.
    pub(super) fn visited(&self, guest: &Guest, request: Request<Incoming>, seen: Seen) -> Reply {
        let (mut head, body) = request.into_parts();
        let reply = |response| {
            self.connection.touch();
            Reply::now(self.finished(seen, response))
        };
        let asking = match let_in(guest, &head) {
            Ok(asking) => asking,
            Err(refusal) => return reply(refusal.into_response()),
        };
        let Some(method) = method_of(head.uri.path()) else {
            return asking.told(reply(nowhere().into_response()));
        };
        if head.method == Method::OPTIONS
            && let Asking::Page(_) = asking
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return asking.told(reply(preflight(&head.headers, method)));
        }
        // what was looked at is no matter of who answers, as on the socket
        head.headers.remove(ORIGIN);
        head.headers.remove(HOST);
        head.uri = head
            .uri
            .path_and_query()
            .cloned()
            .map(Uri::from)
            .unwrap_or_default();
        asking.told(self.reply(Request::from_parts(head, body), seen))
    }
}

/// Whether a request is looked at: it names the listener, and comes from no page that the settings do not name.
fn let_in(guest: &Guest, head: &Parts) -> Result<Asking, Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let authority = head
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let has_host = authority.is_some() || head.headers.contains_key(HOST);
    if !has_host
        || !authority.is_none_or(|host| guest.is_named(host))
        || !hosts.all(|host| guest.is_named(host))
    {
        return Err(Refusal::denied(
            "requests for other hosts are not answered: a client of this listener names its address, or `localhost` and its port",
        ));
    }
    let mut origins = head.headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if guest.admits(origin) => Ok(Asking::Page(origin.clone())),
        // browsers say it of whatever a page has them fetch
        (None, _) if !head.headers.contains_key(SITE) => Ok(Asking::Program),
        _ => Err(Refusal::denied(
            "web pages of this origin are not answered: see listener.origins in the sidecar's settings",
        )),
    }
}

/// How a path is asked for, of those there are for guests.
fn method_of(path: &str) -> Option<&'static str> {
    match Route::of(path)? {
        Route::Evaluate(_) | Route::Evaluations => Some("POST"),
        Route::FlagEvents => Some("GET"),
        // who takes definitions is told who the users are that a rule picks out
        Route::Rpc if path.starts_with("/flagd.evaluation.") => Some("POST"),
        _ => None,
    }
}

fn nowhere() -> Refusal {
    Refusal::not_found("there is no such route")
}

fn preflight(asked: &HeaderMap, method: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(method));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if asked.contains_key(PRIVATE) {
        headers.insert(PRIVATE_ALLOWED, TRUE);
    }
    response
}

impl Asking {
    /// The answer, with what lets a browser show it to the page.
    fn told(self, reply: Reply) -> Reply {
        match reply {
            Reply::Now(response) => Reply::Now(response.map(|response| self.tell(response))),
            Reply::Later(answer) => Reply::Later(Box::pin(async move { self.tell(answer.await) })),
        }
    }

    fn tell(self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if let Self::Page(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
        }
        response
    }
}
