//! From a request to its answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::access::{Access, Claim, Denied};
use super::body::{FileBody, Piece};
use super::budget::Budget;
use super::conditional::{Conditions, Verdict};
use super::pages::{self, Place};
use super::path::{self, PathError, Query, Target};
use super::range::{self, ByteRange};
use super::shelf::{FindError, Item, Shelf};
use super::source::SourceError;

/// What the connections share.
pub(super) struct State {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) access: Access,
    pub(super) budget: Budget,
    pub(super) observer: Option<Observer>,
}

/// A request that is over: answered, or cut off.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who asked.
    pub peer: SocketAddr,
    /// GET, HEAD, or what else was tried.
    pub method: String,
    /// The path without its token.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the body that were handed to the connection.
    pub sent: u64,
    /// Whether that is all of it: the client did not hang up, and the file could be read.
    pub whole: bool,
    /// Why not, where it is known.
    pub error: Option<String>,
    /// From the head of the request on.
    pub took: Duration,
}

/// Gets to know each request when it is over.
pub type Observer = Arc<dyn Fn(&Answered) + Send + Sync>;

/// The body of an answer, which reports its end.
pub(super) struct Reply {
    content: Content,
    log: Option<(Observer, Answered, Instant)>,
}

enum Content {
    Text(Bytes),
    File(FileBody),
}

impl Content {
    fn left(&self) -> u64 {
        match self {
            Self::Text(bytes) => bytes.len() as u64,
            Self::File(body) => body.left(),
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let frame = match &mut self.content {
            Content::Text(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Text(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::File(body) => Pin::new(body).poll_frame(cx),
        };
        if let Some((_, log, _)) = &mut self.log {
            match &frame {
                Poll::Ready(Some(Ok(frame))) => log.sent += frame.data_ref().map_or(0, |d| d.len() as u64),
                Poll::Ready(Some(Err(error))) => log.error = Some(error.to_string()),
                _ => {}
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.content.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.left())
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some((observer, mut log, began)) = self.log.take() {
            log.whole = log.method == "HEAD" || self.content.left() == 0;
            log.took = began.elapsed();
            observer(&log);
        }
    }
}

type Answer = Response<Content>;

/// Answers one request. Dropping the future ends what is done for it.
pub(super) async fn respond<B>(state: Arc<State>, peer: SocketAddr, request: Request<B>) -> Response<Reply> {
    let began = Instant::now();
    let (head, _) = request.into_parts();
    let query = Query::parse(head.uri.query());
    let mut shown = String::from("…");
    let answer = match admitted(&state, &head, &query) {
        Err(denied) => denial(denied),
        Ok(path) => {
            shown = path.to_owned();
            // What the list's links begin with: the token again, where it came in the path or the query.
            let root = match (state.access.token(), head.headers.contains_key(header::AUTHORIZATION)) {
                (Some(token), false) => format!("/{}/", token.reveal()),
                _ => "/".to_owned(),
            };
            let base = format!("http://{}{root}", host_of(&head).unwrap_or_default());
            let asked = Asked { state: &state, head: &head, path, query: &query, root: &root, base: &base };
            asked.answer().await
        }
    };
    let answer = finished(answer, head.method == Method::HEAD);
    let status = answer.status().as_u16();
    let log = state.observer.clone().map(|observer| {
        let method = head.method.to_string();
        let log = Answered { peer, method, path: shown, status, sent: 0, whole: false, error: None, took: Duration::ZERO };
        (observer, log, began)
    });
    answer.map(|content| Reply { content, log })
}

/// What every answer says, and its length.
fn finished(mut answer: Answer, head_only: bool) -> Answer {
    let left = answer.body().left();
    let status = answer.status();
    let fields = answer.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    if status != StatusCode::NOT_MODIFIED {
        fields.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(left));
    }
    if head_only {
        *answer.body_mut() = Content::Text(Bytes::new());
    }
    answer
}

fn admitted<'a>(state: &State, head: &'a hyper::http::request::Parts, query: &'a Query) -> Result<&'a str, Denied> {
    state.access.admit(&Claim {
        host: host_of(head),
        path: head.uri.path(),
        token: query.token.as_deref(),
        authorization: text(&head.headers, &header::AUTHORIZATION),
        fetch_site: text(&head.headers, &HeaderName::from_static("sec-fetch-site")),
    })
}

/// The host that is meant. With two of them it is unclear which.
fn host_of(head: &hyper::http::request::Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A list that may be spread over several fields of one name.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |all, next| Cow::Owned(format!("{all}, {next}"))))
}

/// A request that is to be answered.
struct Asked<'a> {
    state: &'a State,
    head: &'a hyper::http::request::Parts,
    path: &'a str,
    query: &'a Query,
    root: &'a str,
    base: &'a str,
}

impl Asked<'_> {
    async fn answer(&self) -> Answer {
        if self.head.method != Method::GET && self.head.method != Method::HEAD {
            let mut answer = note(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let target = match path::parse(self.path, self.query) {
            Ok(target) => target,
            Err(error) => return bad_path(&error),
        };
        match &target {
            Target::File(path) => match self.state.shelf.find(path).await {
                Ok(item) => self.file(item).await,
                Err(error) => not_found(&error),
            },
            Target::Index | Target::Json | Target::Playlist => self.list(&target).await,
        }
    }

    async fn list(&self, target: &Target) -> Answer {
        let pages = self.state.shelf.pages().max(1);
        let place = Place { page: self.query.page, pages };
        if place.page > pages {
            return note(StatusCode::NOT_FOUND, "the list has no such page");
        }
        let files = match self.state.shelf.page(place.page).await {
            Ok(files) => files,
            Err(error) => return not_found(&error),
        };
        let (kind, body) = match target {
            Target::Json => ("application/json", pages::json(&files, self.root, &place)),
            Target::Playlist => ("application/vnd.apple.mpegurl", pages::playlist(&files, self.base)),
            _ => ("text/html; charset=utf-8", pages::html(&files, self.root, &place)),
        };
        let mut answer = Response::new(Content::Text(body.into()));
        let fields = answer.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::POLICY));
        answer
    }

    async fn file(&self, item: Item) -> Answer {
        let headers = &self.head.headers;
        let (if_match, if_none_match) = (list(headers, &header::IF_MATCH), list(headers, &header::IF_NONE_MATCH));
        let conditions = Conditions {
            if_match: if_match.as_deref(),
            if_unmodified_since: text(headers, &header::IF_UNMODIFIED_SINCE),
            if_none_match: if_none_match.as_deref(),
            if_modified_since: text(headers, &header::IF_MODIFIED_SINCE),
            if_range: text(headers, &header::IF_RANGE),
        };
        let validators = item.info.validators();
        let size = item.source.size();
        let mut fields = HeaderMap::new();
        fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        put(&mut fields, header::ETAG, &validators.etag);
        if let Some(modified) = validators.modified {
            put(&mut fields, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
        let verdict = validators.judge(&conditions);
        if verdict != Verdict::Proceed {
            let mut answer = match verdict {
                Verdict::Failed => note(StatusCode::PRECONDITION_FAILED, "the file is another one than the request wants"),
                _ => with_status(StatusCode::NOT_MODIFIED, Content::Text(Bytes::new())),
            };
            answer.headers_mut().extend(fields);
            return answer;
        }
        // A range is defined for GET only (RFC 9110, section 14.2).
        let asked =
            text(headers, &header::RANGE).filter(|_| self.head.method == Method::GET && validators.range_counts(&conditions));
        let ranges = match asked.map(|field| range::parse(field, size)) {
            Some(Ok(ranges)) => ranges,
            Some(Err(error)) if !error.is_ignored() => {
                let mut answer = note(StatusCode::RANGE_NOT_SATISFIABLE, &error.to_string());
                put(&mut fields, header::CONTENT_RANGE, &format!("bytes */{size}"));
                answer.headers_mut().extend(fields);
                return answer;
            }
            _ => Vec::new(),
        };
        let kind = item.info.content_type();
        put(&mut fields, header::CONTENT_DISPOSITION, &item.info.disposition(self.query.download));
        if !item.info.is_harmless() {
            fields.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
        }
        let (status, kind, pieces) = match ranges.as_slice() {
            [] if size == 0 => (StatusCode::OK, kind, Vec::new()),
            [] => (StatusCode::OK, kind, vec![Piece::Range(ByteRange { start: 0, end: size })]),
            [range] => {
                put(&mut fields, header::CONTENT_RANGE, &content_range(*range, size));
                (StatusCode::PARTIAL_CONTENT, kind, vec![Piece::Range(*range)])
            }
            several => {
                let boundary = format!("{:032x}", rand::random::<u128>());
                let pieces = multipart(several, size, &kind, &boundary);
                (StatusCode::PARTIAL_CONTENT, format!("multipart/byteranges; boundary={boundary}"), pieces)
            }
        };
        put(&mut fields, header::CONTENT_TYPE, &kind);
        let mut body = FileBody::new(item.source, self.state.budget.share(), pieces);
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.left()));
        if self.head.method == Method::GET
            && let Err(error) = body.begin().await
        {
            return no_bytes(&error);
        }
        let mut answer = with_status(status, Content::File(body));
        *answer.headers_mut() = fields;
        answer
    }
}

fn content_range(range: ByteRange, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// Several ranges in one body (RFC 9110, section 14.6).
fn multipart(ranges: &[ByteRange], size: u64, kind: &str, boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(ranges.len() * 2 + 1);
    for (at, range) in ranges.iter().enumerate() {
        let line = if at == 0 { "" } else { "\r\n" };
        let range_line = content_range(*range, size);
        let head = format!("{line}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {range_line}\r\n\r\n");
        pieces.push(Piece::Bytes(head.into()));
        pieces.push(Piece::Range(*range));
    }
    pieces.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

/// A field whose value is ours, or has been made safe: what still cannot be one is left out.
fn put(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}

fn with_status(status: StatusCode, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    answer
}

/// An answer of one line.
fn note(status: StatusCode, text: &str) -> Answer {
    let mut answer = with_status(status, Content::Text(format!("{text}\n").into()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn denial(denied: Denied) -> Answer {
    let status = match denied {
        Denied::NoHost => StatusCode::BAD_REQUEST,
        Denied::NoToken => StatusCode::UNAUTHORIZED,
        Denied::ForeignHost | Denied::CrossSite | Denied::WrongToken => StatusCode::FORBIDDEN,
    };
    let mut answer = note(status, &denied.to_string());
    if denied == Denied::NoToken {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tdl\""));
    }
    answer
}

fn bad_path(error: &PathError) -> Answer {
    let status = match error {
        PathError::TooLong => StatusCode::URI_TOO_LONG,
        PathError::Relative | PathError::Escape => StatusCode::BAD_REQUEST,
        PathError::Unknown | PathError::Chat(_) | PathError::Message(_) | PathError::File(_) | PathError::Link(_) => {
            StatusCode::NOT_FOUND
        }
    };
    note(status, &error.to_string())
}

fn not_found(error: &FindError) -> Answer {
    match error {
        FindError::NoChat(_) | FindError::NoMessage | FindError::NoFile { .. } => {
            note(StatusCode::NOT_FOUND, &error.to_string())
        }
        FindError::Source(error) => no_bytes(error),
    }
}

fn no_bytes(error: &SourceError) -> Answer {
    let status = match error {
        SourceError::Wait { .. } => StatusCode::SERVICE_UNAVAILABLE,
        SourceError::Gone => StatusCode::NOT_FOUND,
        SourceError::Length { .. } | SourceError::Failed(_) => StatusCode::BAD_GATEWAY,
    };
    let mut answer = note(status, &error.to_string());
    if let SourceError::Wait { seconds } = error {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    answer
}
