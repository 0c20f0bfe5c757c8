//! The bytes of uploads that are held for clients: all together, and for each of them no more than a part. A few that
//! send slowly what unpacks to much would otherwise leave no room for all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_http::{BudgetExhausted, ByteBudget, Client, Share};

/// A client may have so much of all: one part of four.
const PARTS: usize = 4;

/// A budget of which no client gets all.
#[derive(Debug)]
pub(crate) struct FairBudget {
    each: usize,
    all: ByteBudget,
    /// Of each client that has an upload, how many, and what is left for it.
    clients: Mutex<HashMap<IpAddr, (usize, ByteBudget)>>,
}

/// Bytes of a [`FairBudget`], given back when this is dropped.
#[derive(Debug)]
pub(crate) struct FairShare {
    own: Share,
    of_all: Share,
    _place: Place,
}

/// An upload that counts until this is dropped.
#[derive(Debug)]
struct Place {
    budget: Arc<FairBudget>,
    network: IpAddr,
}

impl FairBudget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { each: bytes / PARTS, all: ByteBudget::new(bytes), clients: Mutex::default() })
    }

    /// A share of no bytes for a client, which may grow.
    pub(crate) fn empty_share(self: &Arc<Self>, client: Client) -> FairShare {
        let network = client.network();
        let own = {
            let mut clients = self.lock();
            let (uploads, budget) = clients.entry(network).or_insert_with(|| (0, ByteBudget::new(self.each)));
            *uploads += 1;
            budget.empty_share()
        };
        FairShare { own, of_all: self.all.empty_share(), _place: Place { budget: self.clone(), network } }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, (usize, ByteBudget)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FairShare {
    /// Takes more bytes, if they can be had at once. Where they cannot, the upload is at its end.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.own.grow(bytes)?;
        self.of_all.grow(bytes)
    }

    /// Gives back all above so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.own.shrink_to(bytes);
        self.of_all.shrink_to(bytes);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.budget.lock();
        if let Some((uploads, _)) = clients.get_mut(&self.network) {
            *uploads -= 1;
            if *uploads == 0 {
                clients.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_part_and_leaves_the_others_theirs() {
        let budget = FairBudget::new(40);
        let share = |address: &str| budget.empty_share(Client::at(address.parse().unwrap()));
        let mut of_one = [share("192.0.2.7"), share("192.0.2.7")];
        assert!(of_one[0].grow(6).is_ok() && of_one[1].grow(4).is_ok() && of_one[0].grow(1).is_err());
        let mut others: Vec<_> = ["192.0.2.8", "192.0.2.9", "2001:db8::1"].into_iter().map(share).collect();
        assert!(others.iter_mut().all(|other| other.grow(10).is_ok()));
        assert!(share("192.0.2.10").grow(1).is_err(), "all is in use");
        drop((of_one, others));
        assert!(share("192.0.2.10").grow(10).is_ok());
        assert!(budget.lock().is_empty());
    }
}
