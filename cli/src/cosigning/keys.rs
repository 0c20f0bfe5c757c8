//! The keys of who cosigns: two made at the first start, and more that were given.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tiles::{Cosigner, KeyName};
use kiln_witness::Cosigners;

use super::Role;
use crate::environment;
use crate::failure::Failure;
use crate::keys::{read_text, write_note_form};

/// The keys that are made, in the order of its answers. They share no secret: who breaks one kind has
/// nothing of the other.
const OWN: [(&str, MakeKey); 2] =
    [("ed25519", Cosigner::ed25519_from_seed), ("ml-dsa-44", Cosigner::ml_dsa_44_from_seed)];

type MakeKey = fn(KeyName, [u8; 32]) -> Cosigner;

/// The folder of keys in that of a witness or mirror.
pub(crate) fn folder(owner: &Path) -> PathBuf {
    owner.join("keys")
}

/// The keys of the witness or mirror in this folder, its own first.
///
/// They are made only where it has no state: a key that is lost later is not replaced in silence, for others know it by
/// that.
pub(crate) fn open(
    owner: &Path,
    role: &Role,
    is_new: bool,
    name: Option<&KeyName>,
    more: &[PathBuf],
) -> Result<Cosigners, Failure> {
    let folder = folder(owner);
    let mut keys = Vec::new();
    for (file, make) in OWN {
        let path = folder.join(file);
        if is_new && !path.exists() {
            make_key(&folder, &path, role, name, make)?;
        }
        keys.push(read(&path)?);
    }
    check_names(&keys, role, name)?;
    for path in more {
        keys.push(read(path)?);
    }
    Cosigners::new(keys).map_err(Failure::usage)
}

fn make_key(
    folder: &Path,
    path: &Path,
    role: &Role,
    name: Option<&KeyName>,
    make: MakeKey,
) -> Result<(), Failure> {
    let Some(name) = name else {
        let Role { name, example, .. } = role;
        return Err(Failure::usage(format!("a new {name} needs a --name, for ever, such as {example}")));
    };
    make_folder(folder).map_err(|error| Failure::file(folder, &error))?;
    let key = make(name.clone(), environment::random()?);
    // Where another process was faster, its key counts.
    write_note_form(path, &key.to_note_form()).map(drop)
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn read(path: &Path) -> Result<Cosigner, Failure> {
    let text = read_text(path)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    line.parse().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// It has one name, which is remembered in its keys.
fn check_names(own: &[Cosigner], role: &Role, name: Option<&KeyName>) -> Result<(), Failure> {
    let Some(first) = own.first().map(Cosigner::name) else { return Ok(()) };
    let names = own.iter().map(Cosigner::name).chain(name);
    match names.into_iter().find(|name| *name != first) {
        Some(other) => Err(Failure::usage(format!(
            "the name of this {} is {first}, not {other}: it is for ever, and stands in its keys",
            role.name
        ))),
        None => Ok(()),
    }
}
