//! How many connections each client has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Client;

/// The connections that are open, by client. As long as the connections, and no longer: its memory is bounded by
/// theirs.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    network: IpAddr,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for one more connection of a client; `None` where it has all that it may.
    pub(crate) fn enter(self: &Arc<Self>, client: Client) -> Option<Place> {
        let network = client.network();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        // At the limit there is at least one, so no empty entry stays.
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_leaves_nothing_behind() {
        let crowd = Crowd::new(2);
        let enter = |address: &str| crowd.enter(Client::at(address.parse().unwrap()));
        let places = [enter("192.0.2.7"), enter("192.0.2.7")];
        assert!(places.iter().all(Option::is_some));
        assert!(enter("192.0.2.7").is_none());
        assert!(enter("192.0.2.8").is_some());
        drop(places);
        assert!(crowd.open.lock().unwrap().is_empty());
        let one = enter("2001:db8::1");
        assert!(one.is_some() && enter("2001:db8::2").is_some(), "places come back");
    }
}
