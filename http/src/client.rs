//! Who sent a request, as far as an address tells.

use std::net::{IpAddr, Ipv6Addr};

/// How much of an IPv6 address counts: a subscriber gets a /64 at least, and may use each address of it.
const IPV6_PREFIX: u32 = 64;

/// The address that a request came from: that of the connection, or the one that a trusted proxy names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Client(IpAddr);

impl Client {
    /// Of whom no address is known: all of them count as one.
    pub const UNKNOWN: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    /// The client at an address. An IPv4 address is the same one within IPv6, as listeners for both see it.
    #[must_use]
    pub const fn at(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// Its address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }

    /// What limits count by: the address, and of IPv6 its /64.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(v6) => {
                let prefix = v6.to_bits() >> (128 - IPV6_PREFIX) << (128 - IPV6_PREFIX);
                Ipv6Addr::from_bits(prefix).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        Client::at(address.parse().unwrap()).network().to_string()
    }

    /// A limit by address was none for who has 2^64 of them.
    #[test]
    fn the_addresses_of_a_subscriber_count_as_one() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }

    /// On a listener for both kinds all IPv4 clients would have shared one /64, and one limit.
    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_ne!(network("::ffff:192.0.2.7"), network("::ffff:192.0.2.8"));
    }
}
