//! How many bytes a server holds for strangers at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes, for all requests of a server together. Clones share them.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    bytes: usize,
    left: Arc<Semaphore>,
}

/// Bytes of a [`ByteBudget`], given back when this is dropped.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

/// The bytes of a budget are all in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many bytes are held for others at the moment")]
pub struct BudgetExhausted;

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { bytes, left: Arc::new(Semaphore::new(bytes)) }
    }

    /// A share of no bytes, which may [grow](Share::grow).
    #[must_use]
    pub fn empty_share(&self) -> Share {
        let none = self.left.clone().try_acquire_many_owned(0);
        Share(none.expect("nothing can always be had: the semaphore is never closed"))
    }

    /// Waits for a share of so many bytes. Who wants more than there are gets all of them: one request
    /// is answered whatever its length.
    pub async fn share(&self, bytes: usize) -> Share {
        let bytes = permits(bytes.min(self.bytes));
        let share = self.left.clone().acquire_many_owned(bytes).await;
        Share(share.expect("the semaphore is never closed"))
    }
}

impl Share {
    /// Takes more bytes, if they can be had at once.
    ///
    /// # Errors
    /// Where they cannot.
    pub fn grow(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        let budget = self.0.semaphore().clone();
        let more = budget.try_acquire_many_owned(permits(bytes)).map_err(|_| BudgetExhausted)?;
        self.0.merge(more);
        Ok(())
    }

    /// Gives back all above so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        drop(self.0.split(self.0.num_permits().saturating_sub(bytes)));
    }
}

/// 4 GiB at once are as good as all there are: nothing that is held in one piece is near it.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_while_there_is_something_left() {
        let budget = ByteBudget::new(10);
        let [mut one, mut other] = [budget.empty_share(), budget.empty_share()];
        assert_eq!((one.grow(6), other.grow(5), other.grow(4)), (Ok(()), Err(BudgetExhausted), Ok(())));
        one.shrink_to(2);
        assert_eq!((other.grow(4), other.grow(1)), (Ok(()), Err(BudgetExhausted)));
        drop(other);
        assert_eq!(one.grow(8), Ok(()));
    }

    #[tokio::test]
    async fn who_wants_more_than_there_is_waits_for_all_of_it() {
        let budget = ByteBudget::new(10);
        let all = budget.share(100).await;
        assert_eq!(budget.empty_share().grow(1), Err(BudgetExhausted));
        drop(all);
        assert_eq!(budget.empty_share().grow(10), Ok(()));
    }
}
