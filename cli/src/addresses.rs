//! Where servers listen, and where others reach them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use kiln_http::Uri;

/// Where a server listens: the name of this machine or one of its addresses, and a port, 0 for any free one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListenAddress {
    host: String,
    port: u16,
}

/// The text names no place to listen at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an address and port, such as 127.0.0.1:8080 or [::1]:8080")]
pub(crate) struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError)?;
        let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        // As `ss` writes it, an IPv6 address has no brackets.
        let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
        let is_host =
            format!("{host}:0").parse::<SocketAddr>().is_ok() || (!host.is_empty() && host.chars().all(name));
        let port = port.parse().ok().filter(|_| is_host).ok_or(ListenAddressError)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl ListenAddress {
    /// Whether two listeners cannot both have what they ask for, as far as their addresses tell.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.port == other.port
            && self.port != 0
            && (self.host == other.host || self.has_all_of(other) || other.has_all_of(self))
    }

    /// Whether it has all of this machine's addresses of the other's kind. IPv6's have those of IPv4 with them.
    fn has_all_of(&self, other: &Self) -> bool {
        match (self.ip(), other.ip()) {
            (Some(all), Some(one)) if all.is_unspecified() => {
                all.is_ipv6() || one.is_ipv4() || one.is_unspecified()
            }
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        let host = if self.host == "localhost" { "127.0.0.1" } else { &self.host };
        format!("{host}:0").parse::<SocketAddr>().ok().map(|address| address.ip())
    }
}

/// Where others reach a server: an http or https URL, maybe with a path that does not end with a slash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServerUrl(String);

/// The text is no URL of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a URL such as https://logs.example.com/releases, with http:// or https:// and no ? or #")]
pub(crate) struct ServerUrlError;

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let uri: Uri = text.parse().map_err(|_| ServerUrlError)?;
        let is_plain = !text.contains(['?', '#', '@']);
        let has_host = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty());
        // `Uri` has no port where what stands behind the colon is none.
        let has_port = uri
            .authority()
            .is_none_or(|authority| authority.port_u16().is_some() || authority.as_str() == authority.host());
        if !(is_plain && has_host && has_port) {
            return Err(ServerUrlError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ServerUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Empty, or it begins and does not end with a slash.
    pub(crate) fn path(&self) -> &str {
        let after_host = self.0.split_once("://").map_or("", |(_, rest)| rest);
        after_host.find('/').map_or("", |slash| &after_host[slash..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_listens_at_a_host_and_a_port() {
        for text in ["127.0.0.1:8080", "localhost:0", "[::1]:443", "[fe80::1%2]:80", "my-host.example:65535"]
        {
            assert_eq!(at(text).to_string(), text);
        }
        for bad in [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "localhost:70000",
            "[fe80::1%eth0]:80",
            "[::1]",
            "a b:1",
            "http://a:1",
        ] {
            assert_eq!(bad.parse::<ListenAddress>(), Err(ListenAddressError), "{bad}");
        }
    }

    #[test]
    fn one_place_is_for_one_listener() {
        for (one, two, excludes) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:80", "[::]:80", true),
            ("::1:80", "[::1]:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("localhost:80", "127.0.0.1:80", true),
        ] {
            assert_eq!(at(one).excludes(&at(two)), excludes, "{one} {two}");
            assert_eq!(at(two).excludes(&at(one)), excludes, "{two} {one}");
        }
    }

    #[test]
    fn others_reach_a_server_at_a_url_without_a_slash_at_its_end() {
        for (text, url, path) in [
            ("https://a.example.com", "https://a.example.com", ""),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", ""),
            ("https://[::1]:8080/a/b//", "https://[::1]:8080/a/b", "/a/b"),
        ] {
            let parsed: ServerUrl = text.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.path()), (url, path));
        }
        for bad in [
            "",
            "logs.example.com",
            "logs.example.com/a",
            "//a",
            "ftp://a",
            "s3://bucket",
            "https://",
            "https:///a",
            "https://a?b",
            "https://a#b",
            "https://me@a",
            "https://a b",
            "https://a:port",
            "https://a:70000",
        ] {
            assert_eq!(bad.parse::<ServerUrl>(), Err(ServerUrlError), "{bad}");
        }
    }
}
