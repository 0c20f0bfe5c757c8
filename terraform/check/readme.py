#!/usr/bin/env python3
"""Makes the tables in the READMEs of modules and examples from their .tf files; with --check it says which are stale.

usage: readme.py [--check]
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent
BEGIN, END = "<!-- made by terraform/check/readme.py -->\n", "<!-- to here -->\n"


def blocks(folder, kind):
    """The blocks of a kind: name and body, as `terraform fmt` indents them."""
    text = "".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    return re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', text, re.M | re.S)


def argument(body, name):
    """An argument of a block, which may go over several lines; None where it has none."""
    match = re.search(rf"^  {name}\s+= (.*?)(?=^  \w+\s+=|^  \w+ \{{|^\n|\Z)", body, re.M | re.S)
    return match and re.sub(r"\s+", " ", match[1]).strip()


def words(text):
    return text.strip('"').replace('\\"', '"').replace("|", "\\|")


def variables(folder):
    rows = ["| variable | | type | default |", "|---|---|---|---|"]
    # What has to be said comes first.
    for name, body in sorted(blocks(folder, "variable"), key=lambda block: argument(block[1], "default") is not None):
        kind, default = argument(body, "type"), argument(body, "default")
        rows.append(f"| `{name}` | {words(argument(body, 'description'))} | `{kind}` | {f'`{default}`' if default else '**required**'} |")
    return rows


def outputs(folder):
    rows = ["| output | |", "|---|---|"]
    for name, body in blocks(folder, "output"):
        secret = " Sensitive." if argument(body, "sensitive") == "true" else ""
        rows.append(f"| `{name}` | {words(argument(body, 'description'))}{secret} |")
    return rows


def needs(folder):
    text = (folder / "versions.tf").read_text()
    terraform = re.search(r'required_version = "(.*)"', text)[1]
    providers = re.findall(r'source\s+= "(.*)"\s+version\s+= "(.*)"', text)
    return ["Needs terraform `" + terraform + "`, " + ", ".join(f"{source} `{version}`" for source, version in providers) + "."]


def made(folder):
    tables = [needs(folder), variables(folder), outputs(folder)]
    return "\n".join("\n".join(rows) + "\n" for rows in tables)


def main():
    check, failed = sys.argv[1:] == ["--check"], 0
    for folder in sorted([*ROOT.glob("modules/*"), *ROOT.glob("examples/*")]):
        name, path = folder.relative_to(ROOT), folder / "README.md"
        text = path.read_text() if path.exists() else ""
        if text.count(BEGIN) != 1 or text.count(END) != 1:
            print(f"FAILED  {name}/README.md has no place for its tables")
            failed += 1
            continue
        before, rest = text.split(BEGIN)
        new = before + BEGIN + made(folder) + END + rest.split(END)[1]
        if check and new != text:
            print(f"FAILED  {name}/README.md is stale: run terraform/check/readme.py")
            failed += 1
        else:
            print(f"ok      {name}/README.md")
        if not check and new != text:
            path.write_text(new)
    sys.exit(1 if failed else 0)


main()
