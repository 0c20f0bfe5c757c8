//! Names of objects in a store: none leads out of it.
#![no_main]

use std::path::{Component, Path};

use kiln_storage::ObjectPath;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(path) = text.parse::<ObjectPath>() else { return };
    assert_eq!(path.as_str(), text, "a second spelling");
    let plain = |component| matches!(component, Component::Normal(_));
    assert!(Path::new(text).components().all(plain), "{text:?} leads elsewhere");
});
