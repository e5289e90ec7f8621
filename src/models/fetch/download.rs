//! One file over HTTP, into its part: resumed where that is sure, tried again where that helps.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};

use super::client::{chain, distrust};
use super::part::Part;
use super::{FetchError, News, Patience, Store};

/// The longest wait between two tries, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a download is of.
pub(super) struct Wanted<'a> {
    /// Its name in the folder.
    pub(super) file: &'a str,
    /// Where it comes from.
    pub(super) url: &'a str,
    /// Bytes, where the manifest knows them.
    pub(super) size: Option<u64>,
}

/// Why a try brought no whole file.
enum Trouble {
    /// Trying again changes nothing.
    Final(FetchError),
    /// The next try may go well, after this time at the earliest.
    Passing(String, Option<Duration>),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Trouble::Final(error)
    }
}

/// Gets what is missing of the part. A try that brings the part further than ever begins the count of tries anew.
pub(super) async fn download(
    client: &reqwest::Client,
    wanted: &Wanted<'_>,
    part: &mut Part,
    store: &Store,
    patience: &Patience,
    news: &dyn Fn(News<'_>),
) -> Result<(), FetchError> {
    let whole = wanted.size.or(part.origin().size);
    if part.len() > 0 && whole == Some(part.len()) {
        return Ok(());
    }
    let (mut furthest, mut tries) = (part.len(), 0);
    loop {
        let (fault, after) = match attempt(client, wanted, part, store, news).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(fault, after)) => (fault, after),
        };
        if part.len() > furthest {
            (furthest, tries) = (part.len(), 0);
        }
        tries += 1;
        if tries >= patience.tries {
            return Err(FetchError::Cut { url: wanted.url.to_owned(), fault, tries });
        }
        let wait = after.unwrap_or(patience.backoff * 2_u32.saturating_pow(tries - 1)).min(LONGEST_WAIT);
        news(News::Again { fault: &fault, wait });
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(
    client: &reqwest::Client,
    wanted: &Wanted<'_>,
    part: &mut Part,
    store: &Store,
    news: &dyn Fn(News<'_>),
) -> Result<(), Trouble> {
    // What a packed body unpacks to is not what was hashed.
    let mut request = client.get(wanted.url).header(ACCEPT_ENCODING, "identity");
    if part.len() > 0
        && let Some(mark) = &part.origin().mark
    {
        request = request.header(RANGE, format!("bytes={}-", part.len())).header(IF_RANGE, mark);
    }
    let mut response = request.send().await.map_err(|error| unsent(wanted, error))?;
    let whole = answered(&response, wanted, part, &store.part(wanted.file))?;
    store.room_for(whole.map_or(0, |whole| whole.saturating_sub(part.len())))?;
    news(News::Begins { file: wanted.file, url: wanted.url, from: part.len(), size: whole });
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return Err(Trouble::Passing(chain(&error.without_url()), None)),
        };
        if whole.is_some_and(|whole| part.len() + chunk.len() as u64 > whole) {
            let fault = format!("is longer than the {} bytes that were promised", whole.unwrap_or(0));
            return Err(FetchError::Wrong { url: wanted.url.to_owned(), fault }.into());
        }
        part.append(&chunk).map_err(|error| FetchError::disk(&store.part(wanted.file), &error))?;
        news(News::Bytes(part.len()));
    }
    match whole.filter(|whole| part.len() < *whole) {
        Some(whole) => Err(Trouble::Passing(format!("it ended after {} of {whole} bytes", part.len()), None)),
        None => Ok(()),
    }
}

fn unsent(wanted: &Wanted<'_>, error: reqwest::Error) -> Trouble {
    let url = wanted.url.to_owned();
    if let Some(fault) = distrust(&error) {
        return FetchError::Tls { url, fault }.into();
    }
    let error = error.without_url();
    if error.is_redirect() || error.is_builder() {
        return FetchError::Refused { url, fault: chain(&error) }.into();
    }
    Trouble::Passing(chain(&error), None)
}

/// Looks at the head of a response, and makes the part ready for its body. Gives the bytes of the whole.
fn answered(response: &Response, wanted: &Wanted<'_>, part: &mut Part, path: &Path) -> Result<Option<u64>, Trouble> {
    let headers = response.headers();
    let disk = |error| FetchError::disk(path, &error);
    let refused = |fault: String| Trouble::Final(FetchError::Refused { url: wanted.url.to_owned(), fault });
    let status = response.status();
    match status {
        StatusCode::OK => {
            let size = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
            if let (Some(size), Some(want)) = (size, wanted.size)
                && size != want
            {
                return Err(refused(format!(
                    "the server has {size} bytes, the manifest says {want}: it is another file"
                )));
            }
            part.begin(mark(headers), size).map_err(disk)?;
            Ok(wanted.size.or(size))
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = text(headers, CONTENT_RANGE.as_str()).and_then(range);
            match range {
                Some((from, whole)) if from == part.len() && wanted.size.unwrap_or(whole) == whole => Ok(Some(whole)),
                _ => {
                    part.begin(None, None).map_err(disk)?;
                    Err(Trouble::Passing("the server goes on at another place: from the beginning".to_owned(), None))
                }
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            part.begin(None, None).map_err(disk)?;
            Err(Trouble::Passing("the server's file is shorter than the part: from the beginning".to_owned(), None))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(later(status, headers)),
        _ if status.is_server_error() => Err(later(status, headers)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(refused(format!(
            "{status}: the file is not there (any more): a newer Elio may know where it is, or --mirror"
        ))),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(refused(format!("{status}: the server wants to know who asks, and Elio never says it: use --mirror")))
        }
        _ => Err(refused(format!("the server answers {status}"))),
    }
}

fn later(status: StatusCode, headers: &HeaderMap) -> Trouble {
    let after = text(headers, RETRY_AFTER.as_str()).and_then(|after| after.parse().ok()).map(Duration::from_secs);
    Trouble::Passing(format!("the server answers {status}"), after)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What `If-Range` may hold: a weak ETag promises nothing about bytes.
fn mark(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, ETAG.as_str()).filter(|etag| etag.starts_with('"'));
    etag.or_else(|| text(headers, LAST_MODIFIED.as_str())).map(str::to_owned)
}

/// `bytes FROM-TO/WHOLE`.
fn range(header: &str) -> Option<(u64, u64)> {
    let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_a_strange_one_is_not() {
        assert_eq!(range("bytes 5-9/10"), Some((5, 10)));
        for strange in ["bytes */10", "bytes 5-9/*", "items 5-9/10", "bytes 5/10", ""] {
            assert_eq!(range(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_weak_mark_is_none() {
        let headers = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), value.parse().unwrap())])
        };
        assert_eq!(mark(&headers("etag", "\"a\"")).as_deref(), Some("\"a\""));
        assert_eq!(mark(&headers("etag", "W/\"a\"")), None);
        assert_eq!(mark(&headers("last-modified", "Fri, 20 Nov 2026 20:00:00 GMT")).unwrap().len(), 29);
    }
}
