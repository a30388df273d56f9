"""What tools/bench and tools/compare share: servers to measure, load runs, words about a machine.

A load run is one process of memtier_benchmark or redis-benchmark against one endpoint, bounded in
time or in requests. Error replies fail the measurement, for an error is a fast reply; the processor
time that the server spent meanwhile is read from /proc. A probe is requests of our own at fixed
times, for servers that stand still now and then.
"""

import collections
import contextlib
import csv
import dataclasses
import io
import json
import math
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

KEYS = 200_000
VALUE_BYTES = 128
START_SECONDS_MAX = 60
LOADING_SECONDS_MAX = 600
STOP_SECONDS_MAX = 60
PRELOAD_BATCH = 1_000
REPLY_SECONDS_MAX = 10
KEY_PREFIX = "key:"  # redis-benchmark's own
KEY = "__key__"  # memtier's own: the word of a command in whose place a key goes
PROGRAMS = {"memtier": "memtier_benchmark", "redis-benchmark": "redis-benchmark"}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """One line for the user; the tools print it and exit with 1."""


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    command: str  # SET, GET, or another with its words
    connections: int
    pipeline: int
    words: tuple = ()  # of another command, after its name; KEY among them is a key at random
    each_key_once: bool = False  # no key at random, and the load ends with the last one


WORKLOADS = (
    Workload("SET c50", "SET", 50, 1),
    Workload("SET c50 P16", "SET", 50, 16),
    Workload("GET c50", "GET", 50, 1),
    Workload("GET c50 P16", "GET", 50, 16),
    Workload("SET c1", "SET", 1, 1),
    Workload("GET c1", "GET", 1, 1),
)


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a server listens; a unix socket, when named, goes before host and port."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    password: str = ""

    def connect(self, seconds_max=10.0):
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(seconds_max)
            connection.connect(self.path)
        else:
            connection = socket.create_connection((self.host, self.port), seconds_max)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.password:
            connection.sendall(encode("AUTH", self.password))
            if connection.recv(4096)[:1] != b"+":
                raise BenchError("the server refused the password")
        return connection


@dataclasses.dataclass(frozen=True)
class Load:
    """How long, over how many keys, and with which program a workload is driven."""

    tool: str
    seconds: int = 3
    requests: int = 0  # 0: bounded by the time
    keys: int = KEYS
    value_bytes: int = VALUE_BYTES
    requests_per_second: int = 0  # 0: as fast as it goes
    cpus: frozenset = frozenset()  # empty: wherever the kernel puts it


@dataclasses.dataclass(frozen=True)
class Figures:
    """One measurement, or medians of several. Latencies in milliseconds, CPU in microseconds."""

    ops: float
    mean: float
    p50: float
    p99: float
    p999: float
    slowest: float
    cpu_us: float  # of the server process per operation; NaN where it cannot be read


def median(figures):
    columns = zip(*(dataclasses.astuple(one) for one in figures))
    return Figures(*(statistics.median(column) for column in columns))


def choose_tool(name):
    """`auto` is memtier_benchmark where it is on the PATH, else redis-benchmark."""
    wanted = PROGRAMS if name == "auto" else {name: PROGRAMS[name]}
    for tool, program in wanted.items():
        if shutil.which(program):
            return tool
    raise BenchError("not on the PATH: " + " or ".join(wanted.values()))


def select_workloads(pattern):
    chosen = [w for w in WORKLOADS if re.search(pattern, w.name, re.IGNORECASE)]
    if not chosen:
        names = ", ".join(w.name for w in WORKLOADS)
        raise BenchError(f"no workload matches {pattern!r}; there are: {names}")
    return chosen


# -------------------------------------------------------------------------------------------------
# One load run


def run_load(load, endpoint, workload, server_pid=0):
    """Drives one workload and returns its Figures."""
    with LoadRun(load, endpoint, workload, server_pid) as run:
        return run.figures()


class LoadRun:
    """A load process under way, so that two can run at once. Leaving the block ends the process."""

    def __init__(self, load, endpoint, workload, server_pid=0):
        self.load, self.workload, self.server_pid = load, workload, server_pid
        self.directory = tempfile.TemporaryDirectory(prefix="holdfast-load-")
        self.json_path = os.path.join(self.directory.name, "figures.json")
        self.cpu_before = process_cpu_seconds(server_pid)
        make = memtier_command if load.tool == "memtier" else redis_benchmark_command
        self.process = subprocess.Popen(
            make(load, endpoint, workload, self.json_path),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=pin_to(load.cpus))
        self.seconds_max = 60 + 3 * load.seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.directory.cleanup()

    def figures(self):
        try:
            output, errors = self.process.communicate(timeout=self.seconds_max)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.workload.name}: the load did not end in time") from None
        cpu = process_cpu_seconds(self.server_pid) - self.cpu_before
        errors = errors.decode(errors="replace")
        if self.process.returncode != 0:
            raise BenchError(f"{self.workload.name}: the load failed: {errors[-300:].strip()}")
        if self.load.tool == "memtier":
            with open(self.json_path, encoding="utf-8") as file:
                count, figures = parse_memtier(json.load(file), self.workload.command, errors)
        else:
            figures = parse_redis_benchmark(output.decode(), errors)
            count = redis_benchmark_requests(self.load, self.workload)
        return dataclasses.replace(figures, cpu_us=cpu * 1e6 / count)


RATIOS = {"SET": "1:0", "GET": "0:1"}  # of writes to reads


def memtier_command(load, endpoint, workload, json_path):
    command = [
        "memtier_benchmark", "--threads=1", f"--clients={workload.connections}",
        f"--pipeline={workload.pipeline}", "--key-prefix=" + KEY_PREFIX, "--key-minimum=1",
        f"--key-maximum={load.keys}", "--distinct-client-seed",
        "--print-percentiles=50,99,99.9", "--hide-histogram", f"--json-out-file={json_path}"]
    if workload.words:
        command += ["--command=" + memtier_words(workload.command, *workload.words),
                    "--command-key-pattern=" + ("P" if workload.each_key_once else "R")]
    else:
        command += [f"--ratio={RATIOS[workload.command]}", "--key-pattern=R:R",
                    f"--data-size={load.value_bytes}"]
    command += [f"--unix-socket={endpoint.path}"] if endpoint.path else [
        f"--server={endpoint.host}", f"--port={endpoint.port}"]
    if endpoint.password:
        command.append(f"--authenticate={endpoint.password}")
    if load.requests_per_second:
        command.append(f"--rate-limiting={load.requests_per_second // workload.connections}")
    requests = load.keys if workload.each_key_once else load.requests
    if requests:
        command.append(f"--requests={max(1, requests // workload.connections)}")
    else:
        command.append(f"--test-time={load.seconds}")
    return command


def memtier_words(*words):
    """One text that memtier takes apart again; it knows double quotes and no way to escape them."""
    if any('"' in word for word in words):
        raise BenchError("memtier_benchmark cannot send a word with a double quote")
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def redis_benchmark_requests(load, workload):
    """redis-benchmark takes no time, so the number comes from what servers reach in it."""
    expected = {(1, 1): 12_000, (50, 1): 90_000, (50, 16): 600_000}
    return load.requests or expected[(workload.connections, workload.pipeline)] * load.seconds


def redis_benchmark_command(load, endpoint, workload, _json_path):
    if load.requests_per_second:
        raise BenchError("redis-benchmark cannot hold a rate: this needs memtier_benchmark")
    if workload.each_key_once:
        raise BenchError("redis-benchmark cannot take keys in turn: this needs memtier_benchmark")
    command = ["redis-benchmark", "--csv", "--precision", "3", "-c", str(workload.connections),
               "-P", str(workload.pipeline), "-n", str(redis_benchmark_requests(load, workload)),
               "-d", str(load.value_bytes), "-r", str(load.keys)]
    command += ["-s", endpoint.path] if endpoint.path else [
        "-h", endpoint.host, "-p", str(endpoint.port)]
    if endpoint.password:
        command += ["-a", endpoint.password]
    if workload.words:
        key = KEY_PREFIX + "__rand_int__"
        return command + [workload.command, *(key if w == KEY else w for w in workload.words)]
    return command + ["-t", workload.command.lower()]


def parse_memtier(document, command, errors):
    """Operations done and their Figures, from memtier's JSON and what it wrote to stderr."""
    part = document["ALL STATS"][command.capitalize() + "s"]
    count = part["Count"]
    refused = re.findall(r"handle error response: (.*)", errors)
    if refused:
        raise BenchError(f"{len(refused)} error replies, the first: {refused[0]}")
    if part.get("Connection Errors") or count == 0:
        raise BenchError("the load process lost connections")
    if command == "GET" and part["Misses/sec"] > 0.001 * part["Ops/sec"]:
        raise BenchError("reads of absent keys: the preload is not what the load process asks for")
    percentiles = part["Percentile Latencies"]
    return count, Figures(part["Ops/sec"], part["Average Latency"], percentiles["p50.00"],
                          percentiles["p99.00"], percentiles["p99.90"], part["Max Latency"],
                          math.nan)


def parse_redis_benchmark(output, errors):
    """Figures from `redis-benchmark --csv`, which tells no p99.9."""
    rows = [row for row in csv.DictReader(io.StringIO(output)) if row.get("rps")]
    if "Error from server" in output + errors or len(rows) != 1:
        raise BenchError("redis-benchmark: " + (errors or output)[-300:].strip())
    row = rows[0]
    return Figures(float(row["rps"]), float(row["avg_latency_ms"]), float(row["p50_latency_ms"]),
                   float(row["p99_latency_ms"]), math.nan, float(row["max_latency_ms"]), math.nan)


# -------------------------------------------------------------------------------------------------
# Requests at fixed times


def probe(load, endpoint, workload, reply):
    """Sends `load.requests_per_second`, each at its time, and returns their Figures.

    A request is timed from when it was due, and none waits for the reply to another: a server that
    stands still delays all that fall due meanwhile, where a load program would send one a
    connection and miss the rest. Every reply must be `reply`.
    """
    count = load.seconds * load.requests_per_second
    requests = [probe_request(load, workload) for _ in range(count)]
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(endpoint.connect())
                       for _ in range(workload.connections)]
        waiting = {connection: collections.deque() for connection in connections}
        received = {connection: bytearray() for connection in connections}
        begin, latencies, sent = time.perf_counter(), [], 0
        while len(latencies) < count:
            while sent < count and begin + sent / load.requests_per_second <= time.perf_counter():
                connection = connections[sent % len(connections)]
                connection.sendall(requests[sent])
                waiting[connection].append(begin + sent / load.requests_per_second)
                sent += 1
            pause = (begin + sent / load.requests_per_second - time.perf_counter()
                     if sent < count else REPLY_SECONDS_MAX)
            ready = select.select(connections, [], [], max(0, pause))[0]
            if not ready and sent == count:
                raise BenchError(f"{workload.name}: {count - len(latencies)} replies are missing")
            for connection in ready:
                replies = take_replies(connection, received[connection], reply)
                now = time.perf_counter()
                latencies += [now - waiting[connection].popleft() for _ in range(replies)]
        return latency_figures(latencies, time.perf_counter() - begin)


def probe_request(load, workload):
    key = KEY_PREFIX + key_format(load) % random.choice(key_numbers(load))
    return encode(workload.command, *(key if word == KEY else word for word in workload.words))


def take_replies(connection, received, reply):
    """How many whole replies have come; the rest of one stays in `received`."""
    data = connection.recv(65536)
    received += data
    count = len(received) // len(reply)
    if not data or received[:count * len(reply)] != reply * count or (
            not reply.startswith(received[count * len(reply):])):
        raise BenchError("not the reply expected: " + received[:200].decode(errors="replace"))
    del received[:count * len(reply)]
    return count


def latency_figures(latencies, seconds):
    """Figures of latencies in seconds, percentiles by nearest rank."""
    ordered = [1000 * latency for latency in sorted(latencies)]

    def at(share):
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
    return Figures(len(ordered) / seconds, statistics.fmean(ordered), at(0.5), at(0.99), at(0.999),
                   ordered[-1], math.nan)


# -------------------------------------------------------------------------------------------------
# Talking to a server


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(map(encode_word, words))


def encode_word(word):
    data = word if isinstance(word, bytes) else str(word).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def key_numbers(load):
    return range(1, load.keys + 1) if load.tool == "memtier" else range(load.keys)


def key_format(load):
    return "%d" if load.tool == "memtier" else "%012d"


def preload(endpoint, load):
    """Writes every key that the load program will ask for."""
    send_for_each_key(endpoint, load, ("SET", KEY, b"x" * load.value_bytes), b"+OK\r\n")


def send_for_each_key(endpoint, load, words, reply):
    """Sends a command once with each key in the place of KEY; every reply must be `reply`."""
    numbers, name = key_numbers(load), KEY_PREFIX + key_format(load)
    with endpoint.connect(60.0) as connection:
        for start in range(0, len(numbers), PRELOAD_BATCH):
            batch = numbers[start:start + PRELOAD_BATCH]
            connection.sendall(b"".join(
                encode(*(name % number if word == KEY else word for word in words))
                for number in batch))
            left, received = len(batch), bytearray()
            while left:
                left -= take_replies(connection, received, reply)


def ask(endpoint, *words):
    """One command and its reply: a text, a number, None or a list of those; an error is raised."""
    with endpoint.connect(60.0) as connection, connection.makefile("rb") as file:
        connection.sendall(encode(*words))
        try:
            return read_reply(file)
        except ValueError as error:
            raise BenchError(f"{words[0]}: {error}") from None


def read_reply(file):
    """The next RESP2 reply of a binary file; a ValueError says what came instead."""
    line = file.readline().decode(errors="replace")
    kind, text = line[:1], line[1:].rstrip("\r\n")
    if kind == "+":
        return text
    if kind == ":":
        return int(text)
    if kind == "*":
        return [read_reply(file) for _ in range(int(text))]
    if kind == "$":
        return None if text == "-1" else file.read(int(text) + 2)[:-2].decode(errors="replace")
    raise ValueError(text or "the connection was closed")


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def info(endpoint):
    """INFO as a dictionary of texts."""
    text = ask(endpoint, "INFO", "everything")
    return dict(re.findall(r"(?m)^([^#:\r\n]+):([^\r\n]*)", text))


# -------------------------------------------------------------------------------------------------
# Servers to measure


class Server:
    """A server process of our own on a free loopback port, its data in a directory of its own."""

    def __init__(self, name, command, directory, cpus=frozenset()):
        """`command` is a function from a port and a directory to an argument list."""
        self.name, self.directory, self.cpus = name, directory, cpus
        self.endpoint = Endpoint(port=free_port())
        self.command = command(self.endpoint.port, directory)
        os.makedirs(directory)
        self.log_path = os.path.join(directory, "server.log")
        self.launch()

    def launch(self, *waiting):
        """Starts the process; `waiting` is what wait_until_it_answers takes."""
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=pin_to(self.cpus))
        self.pid = self.process.pid
        try:
            self.wait_until_it_answers(*waiting)
        except BaseException:
            self.__exit__()
            raise

    def seconds_to_answer(self, question, answer):
        """Starts the stopped server; seconds from then until a reply begins with `answer`."""
        begin = time.perf_counter()
        self.launch(question, answer, 0.002, LOADING_SECONDS_MAX)
        return time.perf_counter() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        """As a crash: nothing is asked, nothing is waited for."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        """The same data in a new process: nothing is left in the server's memory."""
        self.stop()
        self.launch()

    def settle(self, seconds_max=5.0):
        """Waits until the work that the last load left behind is done: the next is not charged."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            before = process_cpu_seconds(self.pid)
            time.sleep(0.25)
            if process_cpu_seconds(self.pid) - before <= 0.02:
                return

    def wait_until_it_answers(self, question=b"PING\r\n", answer=b"+PONG", pause_s=0.02,
                              seconds_max=START_SECONDS_MAX):
        """Asks on a new connection each time, until a reply begins with `answer`."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with self.endpoint.connect(1.0) as connection:
                    connection.sendall(question)
                    if connection.recv(64).startswith(answer):
                        return
            except OSError:
                pass
            time.sleep(pause_s)
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            last = log.read()[-500:].strip()
        raise BenchError(f"{self.name} does not answer; its log ends with: {last}")


def redis_command(*options):
    return lambda port, directory: [
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory,
        "--save", "", *options]


def holdfast_command(binary, *options):
    return lambda port, directory: [
        str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", directory,
        "--durability", "always", *options]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pin_to(cpus):
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


def process_cpu_seconds(pid):
    """User and system time of all threads of a process; NaN when there is none to read."""
    if not pid:
        return math.nan
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def anonymous_bytes(pid):
    """Resident memory of a process outside the page cache."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(re.search(r"(?m)^RssAnon:\s*(\d+) kB", file.read()).group(1)) * 1024


def disk_bytes(directory):
    """What the files of a directory take on the disk, holes left out."""
    return sum(512 * path.lstat().st_blocks for path in pathlib.Path(directory).rglob("*"))


# -------------------------------------------------------------------------------------------------
# Words about the machine, and tables


def describe_machine(directory):
    """Cores, processor, memory, kernel, file system and the cost of one sync; no names."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = collections.Counter(re.findall(r"(?m)^model name\s*:\s*(.*)$", file.read()))
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(re.search(r"MemTotal:\s*(\d+)", file.read()).group(1))
    model = models.most_common(1)[0][0] if models else "unknown processor"
    return (f"{os.cpu_count()} cores ({model}), {memory_kib / 2**20:.0f} GiB memory, "
        f"Linux {os.uname().release}, {file_system(directory)}, "
        f"one 4 KiB write with fdatasync {sync_microseconds(directory):.0f} us (median)")


class OthersMeter:
    """How much of the machine processes other than ours and our ended children have taken."""

    def __init__(self):
        self.begin = self.read()

    @staticmethod
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, idle, wait, *interrupts = map(int, file.readline().split()[1:9])
        own = sum(os.times()[:4]) * CLOCK_TICKS
        busy = user + nice + system + sum(interrupts)
        return busy + idle + wait, busy - own

    def percent(self):
        (total, others), (total_before, others_before) = self.read(), self.begin
        return max(0.0, 100 * (others - others_before) / max(1, total - total_before))


def file_system(directory):
    directory = os.path.realpath(directory)
    best, kind = "", "unknown file system"
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _device, mount, found = line.split()[:3]
            if (directory + "/").startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def sync_microseconds(directory, count=300):
    """Median time of overwriting 4 KiB of a preallocated file and syncing it."""
    times = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        file.write(bytes(4096 * count))
        os.fsync(file.fileno())
        for number in range(count):
            begin = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 4096, 4096 * number)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def program_version(*command):
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    line = (output.stdout or output.stderr).strip().splitlines()
    return line[0] if line else "unknown version"


def table(header, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def thousands(number):
    return f"{number:,.0f}"


def milliseconds(figures):
    """p50 / p99 / p99.9, without the last where the load program does not tell it."""
    values = [figures.p50, figures.p99, figures.p999]
    return " / ".join(f"{value:.2f}" for value in values if not math.isnan(value))


def replace_block(path, text, mark="compare"):
    """Puts text between `<!-- mark:start -->` and `<!-- mark:end -->` of a file."""
    path = pathlib.Path(path)
    start, end = f"<!-- {mark}:start -->", f"<!-- {mark}:end -->"
    before = path.read_text(encoding="utf-8")
    pattern = re.escape(start) + r".*?" + re.escape(end)
    if len(re.findall(pattern, before, re.DOTALL)) != 1:
        raise BenchError(f"{path} does not hold one block from {start} to {end}")
    block = f"{start}\n{text.strip()}\n{end}"
    path.write_text(re.sub(pattern, lambda _: block, before, flags=re.DOTALL), encoding="utf-8")
