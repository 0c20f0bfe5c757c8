"""Plans of the examples, as `run` leaves them in a folder."""

import json
import pathlib


class Plan:
    """An example: what is planned, and what it comes to once it is applied."""

    def __init__(self, folder, name):
        self.name = name
        self.planned = json.loads(pathlib.Path(folder, f"{name}.plan.json").read_text())
        applied = json.loads(pathlib.Path(folder, f"{name}.applied.json").read_text())
        self.root = applied["values"]["root_module"]

    def resources(self, *types):
        """Address and values of each resource of these types."""
        return [
            (resource["address"], resource["values"])
            for resource in _walk(self.root)
            if resource["mode"] == "managed" and resource["type"] in types
        ]

    def one(self, address):
        """The values of a resource."""
        return next(r["values"] for r in _walk(self.root) if r["address"] == address)

    def policy(self, address):
        """The policy of a resource, as the object that it is."""
        return json.loads(self.one(address)["policy"])

    def before_apply(self, address):
        """What a reviewer sees of a resource, before anything is done."""
        return next(c["change"]["after"] for c in self.planned["resource_changes"] if c["address"] == address)


def all_plans(folder):
    names = sorted(path.name.removesuffix(".plan.json") for path in pathlib.Path(folder).glob("*.plan.json"))
    return {name: Plan(folder, name) for name in names}


def _walk(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _walk(child)
