//! Both stores of this crate keep every promise of the contract.

use kiln_storage::{Folder, Memory, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract() {
    contract::check(|| async { Memory::new() }).await;
    contract::check_partials(|| async { Memory::new() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_keeps_the_contract() {
    let parent = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    let empty = || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Folder::open(&parent.path().join(number.to_string()), "a test".into()).unwrap()
    };
    contract::check(empty).await;
    contract::check_partials(empty).await;
}
