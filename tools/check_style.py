#!/usr/bin/env python3
"""Checks what of the style a machine can check; prints one TAP line a rule and exits 1 on offences.

Headers compile alone, clang-format leaves every file as it is, files and functions keep their sizes,
and each source file begins by saying what it is.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 900
FUNCTION_LINES_MAX = 70
# Other versions of clang-format break a few lines elsewhere.
CLANG_FORMAT_VERSION = "14"
LUA = subprocess.run(["pkg-config", "--cflags", "lua5.4"], stdout=subprocess.PIPE, text=True,
                     check=False).stdout.split()
COMPILE = ["gcc", *LUA, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter",
           "-Werror", "-fsyntax-only", "-Iinclude", "-Isrc", "-Itest", "-x", "c"]


def files(*patterns):
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns
                  for path in ROOT.glob(pattern))


def run(command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return "" if done.returncode == 0 else done.stdout or f"{command[0]} failed\n"


def lines_of(name):
    return (ROOT / name).read_text().splitlines()


def each_header_compiles_alone(sources):
    headers = [name for name in sources if name.endswith(".h") and not name.startswith("test/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(lambda name: run(COMPILE + [name]), headers))


def clang_format():
    for program in (f"clang-format-{CLANG_FORMAT_VERSION}", "clang-format"):
        path = shutil.which(program)
        if path is None:
            continue
        version = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout
        if re.search(rf"version {CLANG_FORMAT_VERSION}\.", version):
            return path
    return None


def clang_format_changes_nothing(sources):
    path = clang_format()
    if path is None:
        return None
    told = run([path, "--dry-run", "-Werror"] + sources)
    return "".join(f"{name}: clang-format -i would change it\n" for name in sources
                   if f"{name}:" in told)


def files_keep_their_size(sources):
    return "".join(f"{name}: {len(lines_of(name))} lines, {FILE_LINES_MAX} at most\n"
                   for name in sources
                   if name.startswith("src/") and len(lines_of(name)) > FILE_LINES_MAX)


def functions_keep_their_size(sources):
    offences = ""
    for name in sources:
        start = None
        for number, line in enumerate(lines_of(name), 1):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                size = number - start + 1
                if size > FUNCTION_LINES_MAX and name.startswith("src/"):
                    offences += (f"{name}:{start}: a function of {size} lines, "
                                 f"{FUNCTION_LINES_MAX} at most\n")
                start = None
    return offences


def sources_begin_by_saying_what_they_are(sources):
    return "".join(f"{name}: does not begin with a comment\n" for name in sources
                   if lines_of(name)[:1] != ["/*"])


def comments_end_at_column_100(sources):
    """clang-format leaves comments alone, so that it cannot break a diagram."""
    said, within = [], False
    for name in sources:
        for number, line in enumerate(lines_of(name), 1):
            within = within or "/*" in line.split('"')[0]
            if within and len(line.expandtabs(8)) > 100:
                said.append(f"{name}:{number}: a comment beyond column 100\n")
            within = within and "*/" not in line
    return "".join(said)


COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
NAME = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
NAMES_OF_OTHERS = {"serde_json"}


def known_names(sources):
    """Every word of the code, comments left out, and the files' own names."""
    known = {pathlib.Path(name).stem for name in sources}
    for name in sources:
        known |= set(re.findall(r"\w+", COMMENT.sub(" ", (ROOT / name).read_text())))
    return known | NAMES_OF_OTHERS


def comments_name_what_there_is(sources):
    known = known_names(sources)
    return "".join(f"{name}: a comment speaks of {word}\n"
                   for name in sources
                   for comment in COMMENT.findall((ROOT / name).read_text())
                   for word in sorted(set(NAME.findall(comment)) - known))


def architecture_names_what_there_is(sources):
    known, text = known_names(sources), (ROOT / "ARCHITECTURE.md").read_text()
    offences = sorted(set(NAME.findall(text)) - known)
    for name in re.findall(r"`([a-z_/]+\.[chy]p?)`", text):
        if not any(path.endswith("/" + name) for path in sources) and not (ROOT / name).exists():
            offences.append(name)
    return "".join(f"ARCHITECTURE.md: speaks of {word}\n" for word in offences)


def architecture_leads_where_it_says(sources):
    """Of the chapter of ways: each line names a file and a function that is in it."""
    chapter = (ROOT / "ARCHITECTURE.md").read_text().split("## Three ways", 1)[1].split("\n## ")[0]
    steps = re.findall(r"^ ([a-z_]+/[a-z_]+\.c) +([a-z_]+) ", chapter, re.MULTILINE)
    offences = [] if len(steps) > 30 else ["ARCHITECTURE.md: the three ways have lost their steps\n"]
    for file, function in steps:
        path = ROOT / "src" / file
        defined = rf"^[a-z][a-z_0-9 *]*\b{function}\("
        if not path.exists() or not re.search(defined, path.read_text(), re.MULTILINE):
            offences.append(f"ARCHITECTURE.md: no {function} in {file}\n")
    return "".join(offences)


RULES = [each_header_compiles_alone, clang_format_changes_nothing, files_keep_their_size,
         functions_keep_their_size, sources_begin_by_saying_what_they_are, comments_end_at_column_100,
         comments_name_what_there_is, architecture_names_what_there_is,
         architecture_leads_where_it_says]


def main():
    sources = files("include/**/*.h", "src/**/*.[ch]", "test/**/*.[ch]")
    sources = [name for name in sources if "node_modules" not in name]
    failed = False
    for number, rule in enumerate(RULES, 1):
        offences = rule(sources)
        if offences is None:
            print(f"ok {number} - {rule.__name__} # SKIP needs clang-format-{CLANG_FORMAT_VERSION}")
            continue
        print(f"{'not ok' if offences else 'ok'} {number} - {rule.__name__}")
        for line in offences.splitlines():
            print(f"# {line}")
        failed = failed or bool(offences)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
