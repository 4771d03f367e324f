//! The broadcasters' calls, one after another.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use reqwest::{Client, Method as HttpMethod, Url};
use tracing::debug;

use super::address::{is_loopback, origin_of};
use super::config::Auth;
use super::error::PublishError;
use super::link::{FromServer, Link, LinkEnd, ToServer};
use crate::broadcaster::{Method, Request};

/// Makes ready to ask a server; nothing is asked yet.
pub(super) fn connect(
    base: Url,
    auth: Option<Auth>,
    max_body: usize,
    patience: Duration,
) -> Result<Link, PublishError> {
    let mut headers = HeaderMap::new();
    if let Ok(origin) = HeaderValue::try_from(origin_of(&base)) {
        headers.insert(ORIGIN, origin);
    }
    if let Some(Auth::Header { name, value }) = &auth {
        let bad = || PublishError::BadRequest { what: format!("the header {name:?}") };
        let name = HeaderName::try_from(name).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let client = Client::builder()
        .timeout(patience)
        .default_headers(headers)
        // A redirect could lead out of where the user sent us.
        .redirect(reqwest::redirect::Policy::none());
    // The environment's proxy would be told in the clear what is for this machine, and the keys
    // of the media are among it. To elsewhere it carries TLS.
    let client = if is_loopback(&base) { client.no_proxy() } else { client };
    let client =
        client.build().map_err(|error| PublishError::Unreachable { reason: reason_of(&error) })?;
    Ok(Link::spawn(move |end| carry(client, base, auth, max_body, end)))
}

async fn carry(client: Client, base: Url, auth: Option<Auth>, max_body: usize, mut end: LinkEnd) {
    while let Some(what) = end.to.recv().await {
        let ToServer::Request(request) = what else { continue };
        let is_last = request.method == Method::Delete;
        let asked = tokio::select! {
            // Who has hung up waits for no response: the last request goes at once, and how
            // long that may take is said by who closes the link.
            biased;
            () = end.from.closed(), if !is_last => continue,
            asked = ask(&client, &base, auth.as_ref(), max_body, request) => asked,
        };
        // A URL may hold a token.
        let answer = match asked.map_err(reqwest::Error::without_url) {
            Ok((status, body)) => FromServer::Response { status, body },
            Err(error) => {
                let (timed_out, reason) = (error.is_timeout(), reason_of(&error));
                debug!(reason, "a request has no response");
                FromServer::NoResponse { timed_out, reason }
            }
        };
        // The last one's is of no interest to anybody.
        let _ = end.from.send(answer).await;
    }
}

async fn ask(
    client: &Client,
    base: &Url,
    auth: Option<&Auth>,
    max_body: usize,
    request: Request,
) -> Result<(u16, String), reqwest::Error> {
    let mut url = base.clone();
    url.set_path(&request.path);
    let method = match request.method {
        Method::Delete => HttpMethod::DELETE,
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
    };
    let mut call = client.request(method, url);
    if let Some(Auth::Token(token)) = auth {
        call = call.query(&[("token", token)]);
    }
    if let Some(body) = &request.body {
        call = call.json(body);
    }
    let mut response = call.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max_body {
            // Cut off, it is no JSON, and is refused as that.
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// With its causes, the last of which is the system's.
fn reason_of(error: &reqwest::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason += &format!(": {error}");
        cause = error.source();
    }
    reason
}
