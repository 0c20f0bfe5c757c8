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

    /// The next lines. It may be dropped and called again.
    pub(crate) async fn next(&self) -> Lines {
        let next = self.receiver.lock().await.recv().await;
        next.expect("the sender stands beside the receiver")
    }
}
