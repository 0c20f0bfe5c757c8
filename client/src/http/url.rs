//! The address of a log.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// The URL below which a log's resources stand, without a slash at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogUrl {
    base: String,
    uri: Uri,
}

/// Why a text is not the URL of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL.
    #[error("not a URL")]
    Syntax,
    /// Not `http` or `https`.
    #[error("the URL of a log begins with https:// or http://")]
    Scheme,
    /// It has a user name, a password, a query or a fragment.
    #[error("the URL of a log has no user name, query or fragment")]
    Parts,
}

impl LogUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let base = url.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| UrlError::Syntax)?;
        let host = uri.host().filter(|host| !host.is_empty());
        match uri.scheme_str() {
            Some("http" | "https") => host.ok_or(UrlError::Syntax)?,
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') || uri.query().is_some() || url.contains('#') {
            return Err(UrlError::Parts);
        }
        Ok(Self { base: base.to_owned(), uri })
    }

    /// The URL of a resource below; `None` where the path cannot be part of one.
    pub(crate) fn join(&self, path: &str) -> Option<Uri> {
        format!("{}/{path}", self.base).parse().ok()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether what is sent there can be read only by who may read it: TLS, or this machine.
    pub(crate) fn is_private(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let loopback = address.map_or_else(|| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback());
        self.is_https() || loopback
    }
}

impl fmt::Display for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_stand_below_the_url() {
        for base in ["https://example.com/log", "https://example.com/log/", "https://example.com/log//"] {
            let uri = LogUrl::parse(base).unwrap().join("tile/0/000.p/1").unwrap();
            assert_eq!(uri.to_string(), "https://example.com/log/tile/0/000.p/1");
        }
        let uri = LogUrl::parse("http://[::1]:8080").unwrap().join("checkpoint").unwrap();
        assert_eq!(uri.to_string(), "http://[::1]:8080/checkpoint");
    }

    #[test]
    fn what_is_no_log_url_is_refused() {
        for (url, error) in [
            ("", UrlError::Syntax),
            ("example.com", UrlError::Scheme),
            ("ftp://example.com", UrlError::Scheme),
            ("/srv/log", UrlError::Scheme),
            ("https://", UrlError::Syntax),
            ("https://u:p@example.com", UrlError::Parts),
            ("https://example.com/?a=b", UrlError::Parts),
            ("https://example.com/#a", UrlError::Parts),
        ] {
            assert_eq!(LogUrl::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        for url in ["https://a.example", "http://localhost:1", "http://127.0.0.9/x", "http://[::1]:80"] {
            assert!(LogUrl::parse(url).unwrap().is_private(), "{url}");
        }
        for url in [
            "http://a.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.nip.io",
            "http://10.0.0.1",
        ] {
            assert!(!LogUrl::parse(url).unwrap().is_private(), "{url}");
        }
    }
}
