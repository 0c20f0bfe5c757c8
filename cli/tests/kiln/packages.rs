//! What packages install beside the binary.

use crate::world::World;

#[test]
fn each_command_has_a_man_page() {
    let world = World::new();
    world.kiln(&["man", "share/man1"]).ok();
    for (page, words) in [
        ("kiln.1", "transparency log"),
        ("kiln-serve.1", "\\-\\-config"),
        ("kiln-rekor-upload.1", "artifact"),
    ] {
        let text = String::from_utf8(world.read(&format!("share/man1/{page}"))).unwrap();
        assert!(text.starts_with(".ie") && text.contains(".TH ") && text.contains(words), "{page}: {text}");
    }
    world.write("file", "in the way");
    world.kiln(&["man", "file"]).fails(3, &["file"]);
}

#[test]
fn shells_can_complete_every_command() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.kiln(&["completions", shell]).ok().text();
        for word in ["serve", "witness", "trust-config", "admin-listen"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
