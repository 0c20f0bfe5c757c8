//! What each attack is measured by.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use kiln_http::Limits;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::common::{Server, hasty, statuses};

/// Attacks are measured one after another: they share the memory of the process, and its cores.
static TURN: Mutex<()> = Mutex::const_new(());

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// The longest that the good client waits for an answer. Without an attacker it is a millisecond; the machine is busy
/// with both sides.
const GOOD_WAIT: Duration = Duration::from_secs(2);

/// An attack that is under way.
pub(crate) struct Siege {
    pub(crate) server: Arc<Server>,
    started: Instant,
    memory: usize,
    panics: usize,
    stop: oneshot::Sender<()>,
    good: JoinHandle<usize>,
    _turn: MutexGuard<'static, ()>,
}

/// Short times, so that an attack is over soon.
pub(crate) fn limits() -> Limits {
    let time = Duration::from_millis(500);
    Limits {
        header_timeout: time,
        body_timeout: time,
        write_timeout: time,
        handshake_timeout: time,
        ..hasty()
    }
}

impl Siege {
    /// Of a server that speaks plain HTTP.
    pub(crate) async fn begin(limits: Limits) -> Self {
        let turn = TURN.lock().await;
        Self::of(Server::start(limits).await, turn)
    }

    /// Of a server that somebody started.
    pub(crate) async fn of_server(server: impl Future<Output = Server>) -> Self {
        let turn = TURN.lock().await;
        let server = server.await;
        Self::of_silent(server, turn)
    }

    fn of(server: Server, turn: MutexGuard<'static, ()>) -> Self {
        let siege = Self::of_silent(server, turn);
        let (stop, stopped) = oneshot::channel();
        let good = tokio::spawn(good_client(siege.server.clone(), stopped));
        Self { stop, good, ..siege }
    }

    /// Without the good client, who speaks plain HTTP.
    fn of_silent(server: Server, turn: MutexGuard<'static, ()>) -> Self {
        count_panics();
        let (stop, panics) = (oneshot::channel().0, PANICS.load(Ordering::Relaxed));
        let good = tokio::spawn(async { 1 });
        let (started, memory) = (Instant::now(), resident());
        Self { server: Arc::new(server), started, memory, panics, stop, good, _turn: turn }
    }

    /// How much memory the attack costs at the moment, of both sides.
    pub(crate) fn memory(&self) -> usize {
        resident().saturating_sub(self.memory)
    }

    /// The attack is over: it took no longer and no more memory than this, and the good client was served all along.
    pub(crate) async fn withstood(self, within: Duration, bytes: usize) {
        let (took, memory) = (self.started.elapsed(), self.memory());
        let _ = self.stop.send(());
        let served = self.good.await.expect("the good client was not served");
        assert!(served > 0, "the good client never asked");
        assert!(took <= within, "it took {took:?}");
        assert!(memory <= bytes, "it took {memory} bytes of memory");
        assert_eq!(PANICS.load(Ordering::Relaxed), self.panics, "something panicked");
    }
}

/// Asks again and again, on a connection that it keeps and on new ones. Returns how often.
async fn good_client(server: Arc<Server>, mut stopped: oneshot::Receiver<()>) -> usize {
    let mut kept = server.connect().await;
    for asked in 0.. {
        let start = Instant::now();
        let asking = async {
            let answer = kept.get("/").await;
            // A busy machine can leave it idle for longer than these short times allow.
            if answer.is_empty() {
                kept = server.connect().await;
            } else {
                assert_eq!(statuses(&answer), [200], "on the connection that it keeps");
            }
            assert_eq!(statuses(&server.connect().await.get("/").await), [200], "on a new connection");
        };
        timeout(GOOD_WAIT, asking).await.expect("the good client waits too long");
        assert!(start.elapsed() < GOOD_WAIT);
        tokio::select! {
            _ = &mut stopped => return asked + 1,
            () = sleep(Duration::from_millis(20)) => {}
        }
    }
    unreachable!("it asks until it is stopped")
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            usual(panic);
        }));
    });
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
