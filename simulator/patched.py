"""A copy of the tree that is changed, built and run: what `bugs/run`, `mutants` and `survivors` have in common."""
import contextlib
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
SEEDS = ["--quiet", "--profile", "simulation", "--package", "kiln-simulator", "--bin", "seeds"]

# For a copy that has many changes in it, each behind a branch. Only one is taken, so the code is built once.
CHOSEN = """
/// Whether this is the change that runs.
pub fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("KILN_MUTANT").ok());
    CHOSEN.as_deref() == Some(name)
}
"""


def copy_changed(source, copy):
    """What is equal keeps its time, by which cargo knows what changed."""
    if not os.path.exists(copy) or not filecmp.cmp(source, copy, shallow=False):
        shutil.copy(source, copy)


def write_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Copy:
    """A copy of the tree in a folder of its own below target, and in another what is built for it: for cargo two copies
    of a crate are one. Only what changed is copied, and so only that is built again. `apart` is a folder that the
    caller fills."""

    def __init__(self, name, apart=None):
        self.tree, self.built = TARGET / name / "tree", TARGET / name / "target"
        self.seeds = self.built / "simulation" / "seeds"
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(self.built), "CARGO_PROFILE_DEV_DEBUG": "0"}

        def ignored(folder, names):
            inside = pathlib.Path(folder).relative_to(ROOT)
            return [name for name in names if name in ("target", ".git", ".cache") or str(inside / name) == apart]

        gone = [path for path in self.tree.rglob("*") if path.is_file() and not (ROOT / path.relative_to(self.tree)).exists()]
        for path in gone:
            path.unlink()
        shutil.copytree(ROOT, self.tree, ignore=ignored, copy_function=copy_changed, dirs_exist_ok=True)

    @contextlib.contextmanager
    def patched(self, name, diff, files, *words):
        """The copy with a patch in it, which says `words` to patch, and changes these files."""
        before = {file: (self.tree / file).read_text() for file in files}
        command = ["patch", "--fuzz=0", "--quiet", *words]
        if subprocess.run(command, cwd=self.tree, input=diff, text=True).returncode != 0:
            sys.exit(f"{name} does not fit the code any more")
        try:
            yield
        finally:
            for file, text in before.items():
                (self.tree / file).write_text(text)


# Programs that hold many modules of tests, each of which is run by itself: a red one ends the search.
WHOLE = {"whole", "faults"}
QUICK = ["load", "dedup", "rollback", "two_writers", "pipelining"]
SLOW = ["serving", "recover", "store_faults", "power_cuts", "seeds"]


def test_programs(messages):
    """The runs of the programs with tests that cargo has built, each a folder and a command; quick ones first."""
    built = [m for m in messages if m.get("executable") and m["profile"]["test"]]
    runs = []
    for program in built:
        folder, name, executable = pathlib.Path(program["manifest_path"]).parent, program["target"]["name"], program["executable"]
        if name not in WHOLE:
            runs.append((0, folder, [executable]))
            continue
        modules = [path.stem for path in (folder / "tests" / name).iterdir() if path.stem in QUICK + SLOW]
        runs += [(1 + (QUICK + ["the others"] + SLOW).index(module), folder, [executable, f"{module}::"]) for module in modules]
        skipped = [word for module in modules for word in ("--skip", f"{module}::")]
        runs.append((1 + len(QUICK), folder, [executable, *skipped]))
    return [(folder, command) for _, folder, command in sorted(runs, key=lambda run: run[0])]
