//! Which crate of the workspace may import which: the map, and the test that keeps it.
//!
//! A crate that is not on the map fails the test, and so does an import that the map has no arrow for.
//! `KILN_BLESS=1 cargo test -p kiln --test architecture` draws the graph in `docs/architecture.md` anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// Each crate, and the crates it may import. Readers (the client and what is built on it) never import
/// writers (the sequencer and what is built on it): who verifies trusts no code that serves.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("kiln-tiles", &[]),
    ("kiln-http", &[]),
    ("kiln-storage", &["kiln-tiles"]),
    ("kiln-sequencer", &["kiln-tiles", "kiln-storage", "kiln-http"]),
    ("kiln-kms", &["kiln-tiles", "kiln-storage", "kiln-sequencer"]),
    ("kiln-witness", &["kiln-tiles", "kiln-storage", "kiln-http", "kiln-client"]),
    ("kiln-client", &["kiln-tiles", "kiln-storage"]),
    ("kiln-rekor", &["kiln-tiles"]),
    ("kiln-rekor-server", &["kiln-tiles", "kiln-storage", "kiln-http", "kiln-sequencer", "kiln-rekor"]),
    // The binary is wiring: it imports all that runs.
    (
        "kiln",
        &[
            "kiln-tiles",
            "kiln-storage",
            "kiln-http",
            "kiln-sequencer",
            "kiln-client",
            "kiln-kms",
            "kiln-rekor",
            "kiln-rekor-server",
            "kiln-witness",
        ],
    ),
    // Nobody imports these but tests.
    ("kiln-simulator", &["kiln-tiles", "kiln-storage", "kiln-http", "kiln-sequencer", "kiln-client"]),
    ("kiln-bench", &["kiln-tiles", "kiln-storage", "kiln-http", "kiln-sequencer", "kiln-client"]),
    ("round-model", &[]),
];

/// Imports that only a feature may turn on: who verifies through HTTP has no use for a writer's store.
const OPTIONAL: &[(&str, &str)] = &[("kiln-client", "kiln-storage"), ("kiln-kms", "kiln-storage")];

/// Crates for tests and measurements: never published, never a normal dependency.
const TEST_ONLY: &[&str] = &["kiln-simulator", "kiln-bench", "round-model"];

/// Crates without clock, network, randomness and async.
const PURE: &[&str] = &["kiln-tiles", "kiln-rekor"];

/// What brings one of these in.
const IMPURE: &[&str] = &[
    "async-std",
    "chrono",
    "coarsetime",
    "futures",
    "getrandom",
    "hyper",
    "instant",
    "jiff",
    "mio",
    "quanta",
    "rand",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "web-time",
];

const BEGIN: &str = "<!-- imports:begin -->\n";
const END: &str = "<!-- imports:end -->";
const HOW_TO_BLESS: &str = "run `KILN_BLESS=1 cargo test -p kiln --test architecture` and look at the change";

/// The manifests alone: no resolution, so no network.
fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap()
}

/// The crates of the workspace on which `package` depends in one of these ways, itself left out: a crate
/// whose tests turn on its own features has no circle.
fn imports<'a>(
    workspace: &'a Metadata,
    package: &'a Package,
    counts: impl Fn(&Dependency) -> bool + 'a,
) -> impl Iterator<Item = &'a Dependency> + 'a {
    let is_ours = |name: &str| workspace.workspace_packages().iter().any(|ours| ours.name.as_str() == name);
    let dependencies =
        package.dependencies.iter().filter(move |d| d.name != package.name.as_str() && counts(d));
    dependencies.filter(move |dependency| is_ours(&dependency.name))
}

fn is_normal(dependency: &Dependency) -> bool {
    dependency.kind != DependencyKind::Development
}

fn allowed(package: &Package) -> &'static [&'static str] {
    let entry = MAY_IMPORT.iter().find(|(name, _)| *name == package.name.as_str());
    entry.unwrap_or_else(|| panic!("{} is not on the map: add it to MAY_IMPORT", package.name)).1
}

#[test]
fn the_map_has_every_crate_and_no_other() {
    let workspace = workspace();
    let packages = workspace.workspace_packages();
    let real: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mapped: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    assert_eq!(real, mapped, "the workspace (left) and MAY_IMPORT (right) differ");
}

#[test]
fn imports_follow_the_arrows() {
    let workspace = workspace();
    for package in workspace.workspace_packages() {
        for import in imports(&workspace, package, is_normal) {
            let known = allowed(package).contains(&import.name.as_str());
            assert!(known, "{} must not import {}", package.name, import.name);
            let optional = OPTIONAL.contains(&(package.name.as_str(), &import.name));
            assert!(
                import.optional || !optional,
                "{} must import {} by a feature",
                package.name,
                import.name
            );
        }
    }
}

#[test]
fn what_is_for_tests_is_imported_by_tests_and_not_published() {
    let workspace = workspace();
    for package in workspace.workspace_packages() {
        let test_only = TEST_ONLY.contains(&package.name.as_str());
        let published = package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
        assert_eq!(test_only, !published, "{}: publish", package.name);
        for import in imports(&workspace, package, is_normal) {
            assert!(!TEST_ONLY.contains(&import.name.as_str()), "{} imports {}", package.name, import.name);
        }
    }
}

/// A dev-dependency with a version must be published before the crate that has it; one without is left
/// out of what is published, so it may lead back.
#[test]
fn what_must_be_published_first_is_no_circle() {
    let workspace = workspace();
    let needs = |package| imports(&workspace, package, |d| is_normal(d) || d.req.to_string() != "*");
    let packages = workspace.workspace_packages();
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> =
        packages.iter().map(|p| (p.name.as_str(), needs(p).map(|d| d.name.as_str()).collect())).collect();
    while !waiting.is_empty() {
        let ready = waiting.iter().find(|(_, needs)| !needs.iter().any(|need| waiting.contains_key(need)));
        let ready = *ready.unwrap_or_else(|| panic!("a circle among {waiting:?}")).0;
        waiting.remove(ready);
    }
}

/// Over the whole tree of normal dependencies, with all features, on the machine that runs the test.
#[test]
fn pure_crates_have_nothing_impure_below_them() {
    for pure in PURE {
        let below = dependencies_below(pure);
        assert!(below.contains("sha2"), "{pure}: the list of dependencies was not read");
        let impure: Vec<_> = IMPURE.iter().filter(|&&name| below.contains(name)).collect();
        assert!(impure.is_empty(), "{pure} must stay pure, but below it are {impure:?}");
    }
}

fn dependencies_below(package: &str) -> BTreeSet<String> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.current_dir(env!("CARGO_MANIFEST_DIR"));
    tree.args([
        "tree",
        "--edges",
        "normal,build",
        "--all-features",
        "--prefix",
        "none",
        "--package",
        package,
    ]);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The drawing in the documentation is the one of the code.
#[test]
fn the_graph_in_the_documentation_is_true() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/architecture.md"));
    let graph = graph(&workspace());
    if std::env::var_os("KILN_BLESS").is_some() {
        let page = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("{BEGIN}{END}\n"));
        let (before, _, after) =
            split(&page).expect("the page has no place for the graph, between its markers");
        std::fs::write(&path, format!("{before}{BEGIN}{graph}{END}{after}")).unwrap();
    }
    let page = std::fs::read_to_string(&path);
    let page = page.unwrap_or_else(|error| panic!("docs/architecture.md: {error}; {HOW_TO_BLESS}"));
    let (_, drawn, _) =
        split(&page).unwrap_or_else(|| panic!("no {BEGIN:?} and {END:?} in docs/architecture.md"));
    assert_eq!(drawn, graph, "the graph in docs/architecture.md is out of date; {HOW_TO_BLESS}");
}

/// What stands before, between and after the markers.
fn split(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (drawn, after) = rest.split_once(END)?;
    Some((before, drawn, after))
}

/// Mermaid: an arrow points at what is imported, a dotted one where a feature turns it on.
fn graph(workspace: &Metadata) -> String {
    let mut packages = workspace.workspace_packages();
    packages.sort_by_key(|package| package.name.to_string());
    let mut graph = "```mermaid\ngraph TD\n".to_owned();
    for package in packages {
        writeln!(graph, "    {}", package.name).unwrap();
        let edges = imports(workspace, package, is_normal);
        let edges: BTreeMap<&str, bool> =
            edges.map(|import| (import.name.as_str(), import.optional)).collect();
        for (import, optional) in edges {
            let arrow = if optional { "-.->" } else { "-->" };
            writeln!(graph, "    {} {arrow} {import}", package.name).unwrap();
        }
    }
    graph + "```\n"
}
