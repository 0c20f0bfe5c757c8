#!/usr/bin/env python3
"""Rebuilds the schema of a provider, as `terraform providers schema -json` would print it.

The Python packages cdktn-provider-* are made from the providers' schemas, and say in their code of each attribute what it
is. This reads that code back, for the resources and data sources that the .tf files below a folder name. So terraform can
check them on a machine that reaches no registry of providers.

usage: schema.py WHEEL SOURCE FOLDER VALUES > schema.json
       prints the provider's version on standard error; exits 1 where it has no such resource
"""

import io
import json
import pathlib
import re
import sys
import tarfile
import zipfile

# "// name - computed: true, optional: false, required: false" stands above each attribute.
ATTRIBUTE = re.compile(r"^\s*// ([A-Za-z0-9_]+) - computed: (true|false), optional: (true|false), required: (true|false)", re.M)
# What it looks like in HCL: whether it is a block, and of what.
HCL = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.M | re.S)
FIELD = re.compile(
    r'^\s+(?:"?)([A-Za-z0-9_]+)(?:"?): \{\s*value: (.*?),\s*isBlock: (true|false),\s*type: "(\w+)",\s*storageClassType: "([^"]*)",',
    re.M | re.S,
)
CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{", re.M)
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}


class Module:
    """The code of one resource, data source, or of the provider itself."""

    def __init__(self, text, nested_attributes):
        self.nested_attributes = nested_attributes
        self.hcl = {name: fields(body) for name, body in HCL.findall(text)}
        self.classes = {}
        found = list(CLASS.finditer(text))
        for i, match in enumerate(found):
            end = found[i + 1].start() if i + 1 < len(found) else len(text)
            self.classes[match.group(1)] = (match.group(2), text[match.end() : end])

    def class_of(self, *bases):
        return next(name for name, (base, _) in self.classes.items() if base in bases)

    def attributes(self, name):
        """Yields name, computed, optional, required, and the code of the getter."""
        body = self.classes[name][1]
        found = list(ATTRIBUTE.finditer(body))
        for i, match in enumerate(found):
            end = found[i + 1].start() if i + 1 < len(found) else len(body)
            yield match.group(1), *(match.group(n) == "true" for n in (2, 3, 4)), body[match.end() : end]

    def fields_of(self, name):
        if name in self.classes and "synthesizeHclAttributes" in self.classes[name][1]:
            return fields(self.classes[name][1].split("synthesizeHclAttributes", 1)[1])
        base = re.sub(r"OutputReference$", "", name)
        return self.hcl.get(base[0].lower() + base[1:], {})

    def leaf(self, getter, field):
        """The type of an attribute that is no object."""
        if field and not field[1]:
            _, _, kind, storage = field
            if kind == "simple":
                return SIMPLE[storage]
            if kind in ("list", "set"):
                return [kind, word(re.sub(r"List$", "", storage))]
            if kind == "map":
                return ["map", word(re.sub(r"Map$", "", storage))]
        getter = getter.split("set ", 1)[0]
        kind = "set" if "Fn.tolist(" in getter else "list"
        for call, result in (
            ("getNumberListAttribute", [kind, "number"]),
            ("getListAttribute", [kind, "string"]),
            ("getStringMapAttribute", ["map", "string"]),
            ("getNumberMapAttribute", ["map", "number"]),
            ("getBooleanMapAttribute", ["map", "bool"]),
            ("getAnyMapAttribute", ["map", "dynamic"]),
            ("getStringAttribute", "string"),
            ("getNumberAttribute", "number"),
            ("getBooleanAttribute", "bool"),
        ):
            if call in getter:
                return result
        match = re.search(r"new cdktn\.(String|Number|Boolean|Any)Map(List)?\(", getter)
        if match:
            element = ["map", {"String": "string", "Number": "number", "Boolean": "bool", "Any": "dynamic"}[match.group(1)]]
            return [kind, element] if match.group(2) else element
        return "dynamic"

    def nested(self, getter):
        """The class of an attribute's objects, and how many there are: single, list, set, map."""
        match = re.search(r'new (?:\w+\.)?(\w+?)(OutputReference|List|Map)\(this, "[^"]+"(?:, (true|false))?', getter)
        if not match or match.group(1) + "OutputReference" not in self.classes:
            return None
        mode = {"OutputReference": "single", "Map": "map"}.get(match.group(2)) or ("set" if match.group(3) == "true" else "list")
        return match.group(1) + "OutputReference", mode

    def object_type(self, name, depth=0):
        out, hcl = {}, self.fields_of(name)
        for attribute, _, _, _, getter in self.attributes(name):
            nested, field = self.nested(getter), hcl.get(attribute)
            if nested and depth < 12:
                inner = self.object_type(nested[0], depth + 1)
                listed = field[2] if field and field[2] in ("list", "set", "map") else None
                out[attribute] = inner if nested[1] == "single" and not listed else [listed or nested[1], inner]
            else:
                out[attribute] = self.leaf(getter, field)
        return ["object", out]

    def block(self, name):
        attributes, blocks, hcl = {}, {}, self.fields_of(name)
        for attribute, computed, optional, required, getter in self.attributes(name):
            field, nested = hcl.get(attribute), self.nested(getter)
            if nested is None:
                out = {"type": self.leaf(getter, field)}
            elif self.nested_attributes:
                mode = (field[2] if field else nested[1]).replace("struct", "single")
                out = {"nested_type": {"attributes": self.block(nested[0])["attributes"], "nesting_mode": mode}}
            elif computed or field is None:
                # What the provider fills in is an attribute, never a block.
                inner = self.object_type(nested[0])
                mode = field[2] if field and field[2] in ("list", "set", "map") else nested[1]
                out = {"type": inner if mode == "single" else [mode, inner]}
            else:
                mode = field[2].replace("struct", "single")
                blocks[attribute] = block = {"nesting_mode": mode, "block": self.block(nested[0])}
                if mode in ("list", "set"):
                    if required:
                        block["min_items"] = 1
                    if nested[1] == "single":
                        block["max_items"] = 1
                continue
            if computed and not required:
                out["computed"] = True
            if optional:
                out["optional"] = True
            if required:
                out["required"] = True
            attributes[attribute] = out
        return {"attributes": attributes, "block_types": blocks} if blocks else {"attributes": attributes}

    def provider(self):
        attributes, blocks = {}, {}
        for name, field in self.fields_of(self.class_of("TerraformProvider")).items():
            if name == "alias":
                continue
            if not field[1]:
                attributes[name] = {"type": self.leaf("", field), "optional": True}
                continue
            base = re.sub(r"List$", "", field[3])
            inner = {
                key: {"type": "dynamic" if sub[1] else self.leaf("", sub), "optional": True}
                for key, sub in self.hcl.get(base[0].lower() + base[1:], {}).items()
            }
            mode = field[2].replace("struct", "single")
            if self.nested_attributes:
                attributes[name] = {"nested_type": {"attributes": inner, "nesting_mode": mode}, "optional": True}
            else:
                blocks[name] = {"nesting_mode": mode, "block": {"attributes": inner}}
        return {"attributes": attributes, "block_types": blocks} if blocks else {"attributes": attributes}


def fields(body):
    return {name: (value, is_block == "true", kind, storage) for name, value, is_block, kind, storage in FIELD.findall(body)}


def word(storage):
    if storage in SIMPLE:
        return SIMPLE[storage]
    for ending, kind in (("List", "list"), ("Map", "map")):
        if storage.endswith(ending):
            return [kind, word(storage[: -len(ending)])]
    return "dynamic"


def named_in(folder, prefix):
    """The types of resources and of data sources that a configuration names."""
    texts = [path.read_text() for path in sorted(pathlib.Path(folder).rglob("*.tf"))]
    of = lambda kind: {name for text in texts for name in re.findall(rf'^\s*{kind}\s+"({prefix}_\w+)"', text, re.M)}
    return of("resource"), of("data")


def modules(wheel, wanted):
    """The code of each module of a package whose folder is `wanted`. Large ones are in several files."""
    archive = zipfile.ZipFile(wheel)
    package = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
    tar = tarfile.open(fileobj=io.BytesIO(archive.read(package)), mode="r:gz")
    texts = {}
    for member in tar:
        path = member.name.split("/")
        if path[:2] == ["package", "lib"] and path[-1].endswith(".js") and len(path) > 3 and wanted(path[2]):
            texts[path[2]] = texts.get(path[2], "") + tar.extractfile(member).read().decode() + "\n"
    return texts


def main():
    wheel, source, folder, values = sys.argv[1:]
    prefix = source.rsplit("/", 1)[1]
    wanted = dict(zip(("resource", "data"), named_in(folder, prefix)))
    nested_attributes = prefix == "cloudflare"  # a provider of protocol 6, which has no blocks
    schemas = {"resource": {}, "data": {}}
    provider = version = None
    # Folders of modules split digits as they like: names are compared without separators.
    bare = {kind: {name.replace("_", "") for name in names} for kind, names in wanted.items()}

    def described(folder_name):
        kind = "data" if folder_name.startswith(f"data-{prefix}-") else "resource"
        return kind, prefix + folder_name.removeprefix(f"data-{prefix}-").replace("-", "")

    def is_wanted(folder_name):
        kind, name = described(folder_name)
        return folder_name == "provider" or name in bare[kind]

    for folder_name, text in modules(wheel, is_wanted).items():
        kind, _ = described(folder_name)
        module = Module(text, nested_attributes)
        if folder_name == "provider":
            version = re.search(r"providerVersion: '([^']+)'", text).group(1)
            provider = module.provider()
            continue
        type_name = re.search(r'tfResourceType = "(\w+)"', text).group(1)
        block = module.block(module.class_of("TerraformResource", "TerraformDataSource"))
        schemas[kind][type_name] = {"version": 0, "block": block}
    document = {
        "format_version": "1.0",
        "provider_schemas": {
            source: {
                "provider": {"version": 0, "block": provider},
                "resource_schemas": schemas["resource"],
                "data_source_schemas": schemas["data"],
            }
        },
        "x_values": json.load(open(values)),
    }
    json.dump(document, sys.stdout, sort_keys=True)
    missing = [f"{kind} {name}" for kind, names in wanted.items() for name in sorted(names - set(schemas[kind]))]
    if missing:
        sys.exit(f"{source} {version} has no " + ", ".join(missing))
    print(version, file=sys.stderr)


main()
