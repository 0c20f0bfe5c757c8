//! Whom a proxy spoke for, where the operator says that it is to be believed.
//!
//! Anybody can send `X-Forwarded-For`. It counts from the proxies in [`TrustedProxies`] alone, and of it only what
//! these wrote: each appends whom it was asked by, so the list is read from its end, and the first address there
//! that is no trusted proxy is the client. What stands before it the client may have made up.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName};

use crate::Client;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an address or a network such as 10.0.0.0/8 or 2001:db8::/32, with zeros behind its prefix")]
pub struct ParseNetworkError;

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }

    /// Bits set behind the prefix are a slip: one address was meant, or another prefix.
    fn has_zeros_behind_prefix(&self) -> bool {
        match self.address {
            IpAddr::V4(own) => own.to_bits().checked_shl(self.prefix).unwrap_or(0) == 0,
            IpAddr::V6(own) => own.to_bits().checked_shl(self.prefix).unwrap_or(0) == 0,
        }
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParseNetworkError)?;
        if address.to_canonical() != address {
            return Err(ParseNetworkError); // no client has such an address here: it is one of IPv4, and is to be written so
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| ParseNetworkError)?;
        let network = Self { address, prefix };
        if prefix <= bits && network.has_zeros_behind_prefix() { Ok(network) } else { Err(ParseNetworkError) }
    }
}

/// The header by which proxies say whom they were asked by.
///
/// One of them, never both: a proxy that writes one passes on the other as the client sent it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, which nearly all of them write.
    #[default]
    XForwardedFor,
    /// `Forwarded`, [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239).
    Forwarded,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed; none unless said so.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ProxyHeader,
}

impl TrustedProxies {
    /// Those in these networks, by what they write into this header.
    #[must_use]
    pub const fn new(networks: Vec<Network>, header: ProxyHeader) -> Self {
        Self { networks, header }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Whom a request is from that came from `peer`. Where a trusted proxy wrote what is no address, or nothing,
    /// it is the proxy itself: better its limits than none.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        if !self.contains(peer) {
            return Client::at(peer);
        }
        Client::at(self.forwarded_for(headers).unwrap_or(peer))
    }

    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, parse_node),
            ProxyHeader::Forwarded => (FORWARDED, parse_element),
        };
        let mut last = None;
        for field in headers.get_all(name).iter().rev() {
            for item in field.to_str().ok()?.rsplit(',') {
                let address = read(item.trim())?;
                if !self.contains(address) {
                    return Some(address);
                }
                last = Some(address);
            }
        }
        last // all are proxies of ours: the request began at the first of them
    }
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`.
fn parse_node(node: &str) -> Option<IpAddr> {
    let bare = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || node.parse().ok().map(|address: SocketAddr| address.ip());
    node.parse().ok().or_else(bare).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// `for=192.0.2.7;proto=https`, `For="[2001:db8::7]:4711"`.
///
/// A comma within quotes would have cut it, and then a quote is left over: that is no element.
fn parse_element(element: &str) -> Option<IpAddr> {
    if !element.matches('"').count().is_multiple_of(2) {
        return None;
    }
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim();
    parse_node(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const PROXY: &str = "10.1.2.3";

    fn client(header: ProxyHeader, peer: &str, fields: &[&[u8]]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let name = if header == ProxyHeader::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name.clone(), HeaderValue::from_bytes(field).unwrap());
        }
        let proxies = TrustedProxies::new(networks.to_vec(), header);
        proxies.client(peer.parse().unwrap(), &headers).address().to_string()
    }

    fn forwarded_for(field: &str) -> String {
        client(ProxyHeader::XForwardedFor, PROXY, &[field.as_bytes()])
    }

    fn forwarded(field: &str) -> String {
        client(ProxyHeader::Forwarded, PROXY, &[field.as_bytes()])
    }

    /// Whoever wrote the header chose under whose limits it stood.
    #[test]
    fn a_stranger_is_never_believed() {
        for peer in ["192.0.2.9", "11.0.0.1", "2001:db9::1"] {
            assert_eq!(client(ProxyHeader::XForwardedFor, peer, &[b"192.0.2.7"]), peer);
        }
        let none = TrustedProxies::default();
        assert_eq!(none.client(PROXY.parse().unwrap(), &HeaderMap::new()).address().to_string(), PROXY);
    }

    /// The first address of the list is what the client sent itself.
    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        assert_eq!(forwarded_for("192.0.2.7"), "192.0.2.7");
        assert_eq!(forwarded_for("6.6.6.6, 192.0.2.7"), "192.0.2.7");
        assert_eq!(forwarded_for("6.6.6.6,192.0.2.7 ,10.9.9.9,\t10.0.0.1"), "192.0.2.7");
        assert_eq!(forwarded_for("nonsense, 192.0.2.7"), "192.0.2.7");
        assert_eq!(forwarded_for("[2a00::1]:4711, 10.9.9.9"), "2a00::1");
        assert_eq!(forwarded_for("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(forwarded_for("192.0.2.7:4711"), "192.0.2.7");
        assert_eq!(forwarded_for("10.7.7.7, 10.9.9.9"), "10.7.7.7", "from within");
        let fields: [&[u8]; 2] = [b"6.6.6.6, 192.0.2.7", b"10.9.9.9"];
        assert_eq!(client(ProxyHeader::XForwardedFor, PROXY, &fields), "192.0.2.7", "fields are one list");
        assert_eq!(client(ProxyHeader::XForwardedFor, "::ffff:10.1.2.3", &fields), "192.0.2.7");
    }

    #[test]
    fn what_is_no_address_leaves_the_proxy() {
        for field in
            ["", "unknown", "_hidden", "192.0.2.7,", "192.0.2.7, x, 10.9.9.9", "192.0.2.300", "[2a00::1"]
        {
            assert_eq!(forwarded_for(field), PROXY, "{field:?}");
        }
        assert_eq!(client(ProxyHeader::XForwardedFor, PROXY, &[]), PROXY);
        assert_eq!(client(ProxyHeader::XForwardedFor, PROXY, &[b"192.0.2.7, \xff"]), PROXY);
        assert_eq!(forwarded("192.0.2.7"), PROXY, "not in this form");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_says() {
        assert_eq!(forwarded("for=192.0.2.7;proto=https;by=10.0.0.1"), "192.0.2.7");
        assert_eq!(forwarded("proto=https; FOR=\"[2a00::1]:4711\""), "2a00::1");
        assert_eq!(forwarded("for=6.6.6.6, for=192.0.2.7, for=\"10.0.0.1:80\""), "192.0.2.7");
    }

    /// A host with a comma in it would have been another element, and its author whoever they liked.
    #[test]
    fn a_comma_within_quotes_makes_no_element() {
        assert_eq!(forwarded("for=192.0.2.7;host=\"a,for=6.6.6.6\""), PROXY);
        assert_eq!(forwarded("for=192.0.2.7;host=\"a,for=6.6.6.6;x=\""), PROXY);
        assert_eq!(
            forwarded("for=\"6.6.6.6, for=192.0.2.7"),
            "192.0.2.7",
            "what the client left open harms nobody"
        );
    }

    #[test]
    fn a_network_has_one_meaning() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.255.255") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "192.0.2.7") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1") && contains("2001:db8::/33", "2001:db8:7fff::"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::"));
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "host"]
        {
            assert_eq!(bad.parse::<Network>(), Err(ParseNetworkError), "{bad}");
        }
    }
}
