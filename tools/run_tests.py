#!/usr/bin/env python3
"""Every test of the tree: checks of the sources, then, for each build, the test programs that meson
knows (by suite) and the tests that talk to the built server (wire, clients).

Each program runs in a session of its own with a time limit. A program that writes TAP counts as the
tests it tells of, another as one. Prints a line a test, the whole output of a program that failed, and
at last `N passed, N failed`; exits 1 when something failed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
WIRE_LIMIT_S = 300
CLIENTS_LIMIT_S = 300
CHECK_LIMIT_S = 120
LONG_FACTOR = 20
NODE_VERSION_LEAST = 20
SLOWEST_SHOWN = 8

# Sanitizer builds are slower by `factor`. The thread sanitizer sees nothing in programs that have one
# thread, so of the unit tests it gets those that have several (suite `threads`).
Build = collections.namedtuple("Build", "name directory options suites factor")
BUILDS = [
    Build("release", "build", [], ["unit", "object", "sim", "fuzz", "clients"], 1),
    Build("asan", "build-asan",
          ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dwerror=false"],
          ["unit", "object", "sim", "fuzz", "clients"], 4),
    Build("tsan", "build-tsan",
          ["-Db_sanitize=thread", "-Doptimization=1", "-Dwerror=false"],
          ["threads", "clients"], 6),
]

# Wire tests that the thread sanitizer cannot run: it follows calls no deeper than 65,535, and jumps out
# of them are not undone.
TOO_DEEP_FOR_TSAN = ["test_objects_sandbox"]

# A program to run; `reports` is the path prefix under which sanitizers write for it, or None.
Job = collections.namedtuple("Job", "label command environment limit_s directory reports",
                             defaults=({}, CHECK_LIMIT_S, ROOT, None))

POINT = re.compile(r"^( *)(ok|not ok)\b *\d* *(?:- *)?(.*?)(?: *# *(SKIP|TODO)\b *(.*))?$")


def points_of(output):
    """(verdict, name, remark, its reason) of each TAP line. A line that follows deeper ones sums them
    up."""
    points = []
    depth_before = 0
    for indent, *point in (match.groups() for match in map(POINT.match, output.splitlines())
                           if match):
        if len(indent) >= depth_before or point[0] != "ok":
            points.append(point)
        depth_before = len(indent)
    return points


class Results:
    """Counts and prints; used by several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = 0
        self.seconds = {}

    def tell(self, ok, label):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if ok else 'FAIL'} {label}")

    def judge(self, label, code, output, seconds):
        """`code` is the exit code, or words that say why there is none."""
        points = points_of(output)
        with self.lock:
            self.seconds[label] = seconds
            failed_before = self.failed
            for verdict, name, remark, reason in points:
                if remark == "SKIP":
                    print(f"skip {label}: {name}: {reason or 'its output says why'}")
                else:
                    self.tell(verdict == "ok", f"{label}: {name}")
            if code != 0 and self.failed == failed_before:
                self.tell(False, f"{label}: ends with {code}")
            elif not points:
                self.tell(True, label)
            if self.failed != failed_before:
                print("".join(f"     | {line}\n" for line in output.splitlines()), end="")
            sys.stdout.flush()


def run(job):
    """(exit code or words, output, seconds). Whatever the program started ends with it."""
    environment = dict(os.environ, HOLDFAST_TIME_LIMIT=str(job.limit_s), **job.environment)
    start = time.monotonic()
    process = subprocess.Popen(job.command, cwd=job.directory, env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=job.limit_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        code = f"no result after {job.limit_s} seconds"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return code, output.decode(errors="replace"), time.monotonic() - start


def run_and_judge(job, results):
    code, output, seconds = run(job)
    results.judge(job.label, code, output, seconds)
    if job.reports is not None:
        reports = sorted(job.reports.parent.glob(job.reports.name + ".*"))
        text = "".join(path.read_text(errors="replace") for path in reports)
        results.judge(f"{job.label}: no sanitizer report", 1 if text else 0, text, 0)


def run_all(jobs, words, results):
    chosen = [job for job in jobs if all(word in job.label for word in words)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(run_and_judge, job, results) for job in chosen]:
            done.result()


def check_jobs():
    return [Job("tree check_layers", [PYTHON, "tools/check_layers.py"]),
            Job("tree check_style", [PYTHON, "tools/check_style.py"])]


def make(build, results):
    """Configures and compiles; False when that failed."""
    commands = [["ninja", "-C", build.directory]]
    if not (ROOT / build.directory / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", build.directory] + build.options)
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if done.returncode != 0:
            results.judge(f"{build.name} build", done.returncode, done.stdout, 0)
            return False
    return True


def build_environment(build, reports=None):
    """What every program of a build gets: where the server is, and how the sanitizers behave."""
    options = "halt_on_error=1:print_stacktrace=1"
    if reports is not None:
        options += f":log_path={reports}"
    environment = {"HOLDFAST_SERVER": str(ROOT / build.directory / "holdfast-server"),
                   "CMOCKA_MESSAGE_OUTPUT": "TAP",
                   "ASAN_OPTIONS": options + ":detect_leaks=1",
                   "UBSAN_OPTIONS": options,
                   "TSAN_OPTIONS": options + ":second_deadlock_stack=1"}
    if build.factor > 1:
        environment["HOLDFAST_SLOW"] = "1"
    return environment


def still_addresses(build):
    """The thread sanitizer's memory map does not survive every kernel's address randomization."""
    command = ["setarch", "--addr-no-randomize"]
    if build.name != "tsan" or shutil.which("setarch") is None:
        return []
    can = subprocess.run(command + ["true"], capture_output=True, check=False).returncode == 0
    return command if can else []


def meson_jobs(build, factor):
    told = subprocess.run(["meson", "introspect", build.directory, "--tests"], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    jobs = []
    for test in json.loads(told):
        suites = [suite.split(":")[-1] for suite in test["suite"]]
        if not set(suites) & set(build.suites):
            continue
        environment = dict(build_environment(build), **test["env"])
        jobs.append(Job(f"{build.name} {suites[0]}/{test['name']}",
                        still_addresses(build) + test["cmd"], environment,
                        test["timeout"] * factor, test["workdir"] or ROOT))
    return jobs


def wire_jobs(build, factor):
    folder = ROOT / build.directory / "sanitizer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    jobs = []
    paths = sorted((ROOT / "test" / "wire").glob("test_*.py"))
    if build.factor == 1:  # the measuring tools are the same whatever the build
        paths += sorted((ROOT / "test" / "bench").glob("test_*.py"))
    for path in paths:
        if build.name == "tsan" and path.stem in TOO_DEEP_FOR_TSAN:
            print(f"skip {build.name} wire/{path.stem}: it calls deeper than the sanitizer follows")
            continue
        reports = folder / path.stem if build.factor > 1 else None
        command = still_addresses(build) + [PYTHON, "test/support/run_wire.py", str(path)]
        jobs.append(Job(f"{build.name} {path.parent.name}/{path.stem}", command,
                        build_environment(build, reports), WIRE_LIMIT_S * factor, ROOT, reports))
    return jobs


def generated_jobs(build):
    """What is generated from the two tables stands in the tree as they would print it."""
    sample = ('diff -u conf/holdfast.conf <("$HOLDFAST_SERVER" --sample-config) && '
              '"$HOLDFAST_SERVER" conf/holdfast.conf --check-config')
    commands = ("diff -u <(sed -n '/^<!-- commands:start/,/^<!-- commands:end/p' README.md | "
                "sed '1d;$d') <(\"$HOLDFAST_SERVER\" --commands)")
    examples = ("for file in test/clients/examples/session.{mjs,py,go,php}; do "
                "/usr/bin/python3 -c 'import sys; sys.exit(open(sys.argv[1]).read() not in "
                "open(\"README.md\").read())' $file || { echo README.md does not have $file; exit 1; }; done")
    headline = ("cd tools && /usr/bin/python3 -c 'import lib_readme, pathlib, sys; text = "
                "pathlib.Path(\"../README.md\").read_text(); "
                "sys.exit(lib_readme.with_headline(text) != text)' || "
                "{ echo README.md begins with other figures than it has: tools/update_readme; exit 1; }")
    return [Job(f"{build.name} {name}", ["bash", "-c", script], build_environment(build))
            for name, script in (("conf/holdfast.conf is the sample", sample),
                                 ("README.md lists the commands", commands),
                                 ("README.md has the examples", examples),
                                 ("README.md begins with what was measured", headline))]


def class_jobs(build, factor):
    """The classes that come along, by the bench for classes."""
    files = [str(path.relative_to(ROOT)) for folder in ("conf/classes", "test/classes")
             for path in sorted((ROOT / folder).glob("*.lua"))]
    command = still_addresses(build) + [f"{build.directory}/holdfast-server", "--test", *files]
    return [Job(f"{build.name} classes", command, build_environment(build), CHECK_LIMIT_S * factor)]


def node_version():
    told = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return int(re.match(r"v(\d+)", told.stdout).group(1))


def client_jobs(build, factor, results):
    """The clients' packages are installed beside the build, from a copy of the tests."""
    source = ROOT / "test" / "clients"
    copy = ROOT / build.directory / "clients"
    tests = sorted(path.name for path in source.glob("*.test.js"))
    if not tests:
        return []
    if node_version() < NODE_VERSION_LEAST:
        print(f"skip {build.name} clients: they need node {NODE_VERSION_LEAST}")
        return []
    lock = copy / "package-lock.json"
    installed = lock.exists() and lock.read_bytes() == (source / lock.name).read_bytes()
    shutil.copytree(source, copy, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("node_modules"))
    if not (installed and (copy / "node_modules").exists()):
        install = Job(f"{build.name} clients: npm ci",
                      ["npm", "ci", "--no-audit", "--no-fund", "--prefix", str(copy)], {},
                      CLIENTS_LIMIT_S, copy)
        code, output, seconds = run(install)
        if code != 0:
            results.judge(install.label, code, output, seconds)
            return []
    return [Job(f"{build.name} clients/{pathlib.Path(name).stem}",
                ["node", "--test-reporter=tap", name], build_environment(build),
                CLIENTS_LIMIT_S * factor, copy) for name in tests]


def test_build(build, arguments, results):
    factor = build.factor * (LONG_FACTOR if arguments.long else 1)
    jobs = meson_jobs(build, factor) + wire_jobs(build, factor)
    if build.name != "tsan":  # it has one thread
        jobs += class_jobs(build, factor)
    if build.name == "release":
        jobs += generated_jobs(build)
        jobs += client_jobs(build, factor, results)
    run_all(jobs, arguments.words, results)


def main():
    parser = argparse.ArgumentParser(prog="tools/test")
    parser.add_argument("--long", action="store_true", help="longer forms of the tests")
    parser.add_argument("words", nargs="*", help="run the tests whose line has all of them")
    arguments = parser.parse_args()
    if arguments.long:
        os.environ["HOLDFAST_LONG"] = "1"

    results = Results()
    run_all(check_jobs(), arguments.words, results)
    named = [build for build in BUILDS if build.name in arguments.words]
    for build in named or BUILDS:
        if "tree" not in arguments.words and make(build, results):
            test_build(build, arguments, results)

    slowest = sorted(results.seconds.items(), key=lambda item: -item[1])[:SLOWEST_SHOWN]
    print("Slowest: " + ", ".join(f"{label} {seconds:.1f} s" for label, seconds in slowest))
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
