//! Lines that came from mirrors, on their way to the one who publishes.

use kiln_tiles::{NoteSignature, TreeHead};
use tokio::sync::{Mutex, mpsc};

/// So many wait: one a mirror and checkpoint. What comes beyond is dropped, and comes again with the next.
const WAITING: usize = 64;

type Lines = (TreeHead, Vec<NoteSignature>);

/// Lines under published checkpoints.
#[derive(Debug)]
pub(crate) struct LateLines {
    sender: mpsc::Sender<Lines>,
    receiver: Mutex<mpsc::Receiver<Lines>>,
}

impl Default for LateLines {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl LateLines {
    /// Hands on lines that were made for the tree of this head.
    pub(crate) fn add(&self, head: TreeHead, lines: Vec<NoteSignature>) {
        let _ = self.sender.try_send((head, lines));
    }

    /// The next lines: of all that wait, those for the largest tree, together. To publish some costs a read and a write,
    /// for which the next round waits. It may be dropped and called again.
    pub(crate) async fn next(&self) -> Lines {
        let mut receiver = self.receiver.lock().await;
        let next = receiver.recv().await;
        let (mut head, mut lines) = next.expect("the sender stands beside the receiver");
        while let Ok((later, more)) = receiver.try_recv() {
            if later.size() > head.size() {
                (head, lines) = (later, Vec::new());
            }
            lines.extend(more.into_iter().filter(|_| later == head));
        }
        (head, lines)
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::{Checkpoint, Cosigner, Hash};

    use super::*;

    /// Many mirrors answer at once: each of their lines was published by itself, and the next round waited meanwhile.
    #[tokio::test]
    async fn what_waits_is_published_together() {
        let late = LateLines::default();
        let line = |size: u64, seed: u8| {
            let head = TreeHead::new(size, Hash::leaf(b"x")).unwrap();
            let cosigner = Cosigner::ed25519_from_seed("m.example/m".parse().unwrap(), [seed; 32]);
            let line = cosigner.cosign(&Checkpoint::new("example.com/log", head).unwrap(), 5).unwrap();
            (head, vec![line])
        };
        let of = [line(4, 1), line(5, 1), line(5, 2), line(4, 2), line(5, 3)];
        of.iter().cloned().for_each(|(head, lines)| late.add(head, lines));
        let (head, lines) = late.next().await;
        assert_eq!((head.size(), lines.len()), (5, 3));
    }
}
