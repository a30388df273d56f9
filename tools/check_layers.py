#!/usr/bin/env python3
"""Checks that includes in src point down only.

A folder may include itself and the folders above it in FOLDERS; include/holdfast includes nothing of
src; headers do not include each other in a circle. Prints each offence and exits 1 when there is one.
"""
import pathlib
import re
import sys

FOLDERS = ["base", "json", "resp", "config", "lease", "log", "store", "gate", "request", "engine", "collection",
           "loop", "fetch", "leases", "strings", "object", "schedule", "lua", "session", "cache",
           "net", "admin", "command", "server"]
ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def includes_of(path):
    return INCLUDE.findall(path.read_text())


def check_public(offences):
    for path in sorted((ROOT / "include").rglob("*.h")):
        for target in includes_of(path):
            if not target.startswith("holdfast/"):
                offences.append(f"{path.relative_to(ROOT)} includes {target}: a promise that "
                                "outlives a build depends on nothing of src")


def check_source(path, offences):
    name = path.relative_to(ROOT / "src")
    folder = name.parts[0] if len(name.parts) > 1 else None
    if folder is not None and folder not in FOLDERS:
        offences.append(f"src/{name}: its folder is not in the list of tools/check_layers.py")
        return
    for target in includes_of(path):
        if target.startswith("holdfast/"):
            continue
        above = target.split("/")[0]
        if above not in FOLDERS or not (ROOT / "src" / target).exists():
            offences.append(f"src/{name} includes {target}: name it as folder/file.h")
        elif folder is not None and FOLDERS.index(above) > FOLDERS.index(folder):
            offences.append(f"src/{name} includes {target}: {above} stands below {folder}")


def check_circles(headers, offences):
    """Depth first; a header met again on the way down closes a circle."""
    finished = set()

    def visit(header, way):
        if header in way:
            offences.append("a circle: " + " -> ".join(way[way.index(header):] + [header]))
        elif header in headers and header not in finished:
            for target in headers[header]:
                visit(target, way + [header])
            finished.add(header)

    for header in sorted(headers):
        visit(header, [])


def main():
    offences = []
    source = ROOT / "src"
    check_public(offences)
    for path in sorted(source.rglob("*.[ch]")):
        check_source(path, offences)
    check_circles({str(path.relative_to(source)): includes_of(path)
                   for path in source.rglob("*.h")}, offences)
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
