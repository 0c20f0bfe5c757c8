"""A copy of the tree that is patched, built and run: what `bugs/run` and `survivors` have in common."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
SEEDS = ["--quiet", "--profile", "simulation", "--package", "kiln-simulator", "--bin", "seeds"]


class Copy:
    """A copy of the tree in a folder of its own below target, and in another what is built for it: for cargo two copies
    of a crate are one. From patch to patch only the changed crates are built again."""

    def __init__(self, name):
        self.tree, self.built = TARGET / name / "tree", TARGET / name / "target"
        self.seeds = self.built / "simulation" / "seeds"
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(self.built), "CARGO_PROFILE_DEV_DEBUG": "0"}
        shutil.rmtree(self.tree, ignore_errors=True)
        # Not the times of the files, by which cargo knows what changed.
        ignored = shutil.ignore_patterns("target", ".git", ".cache")
        shutil.copytree(ROOT, self.tree, ignore=ignored, copy_function=shutil.copy)

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
