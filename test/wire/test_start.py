"""Starting and stopping: what is refused with one clear line, what a restart keeps, and that no
acknowledged write is lost to a kill."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
import resp

LINE_SECONDS = 30


@harness.only_holdfast
class Refusals(harness.Case):
    """Each is one line that names the culprit, and exit code 1."""

    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)

    def refused(self, command, *words):
        done = subprocess.run(command, cwd=self.server.directory, timeout=LINE_SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        output = done.stderr.strip() or done.stdout.strip()
        self.assertEqual(done.returncode, 1, output)
        self.assertEqual(len(output.splitlines()), 1, output)
        for word in words:
            self.assertIn(word, output)

    def base(self, *more, port=None, directory=None):
        return [harness.PROGRAM, "--port", str(port or self.server.port), "--bind", "127.0.0.1",
                "--dir", directory or os.path.join(self.server.directory, "data"), *more]

    def file(self, text, name="test.conf"):
        path = os.path.join(self.server.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_unknown_parameters(self):
        self.refused(self.base("--foo", "1"), "foo")
        self.refused([harness.PROGRAM, self.file("port 0\nfoo 1\n")], "foo", "test.conf", "2")

    def test_bad_values(self):
        self.refused(self.base("--maxclients", "none"), "maxclients")
        self.refused(self.base("--workers", "100000"), "workers")
        self.refused(self.base("--durability", "sometimes"), "durability")
        self.refused([harness.PROGRAM, "--port", "70000"], "port")
        self.refused([harness.PROGRAM, self.file("port 1 2 3\n")], "port")
        self.refused([harness.PROGRAM, self.file("bind \"unbalanced\n")], "1")

    def test_a_file_that_is_not_there(self):
        self.refused([harness.PROGRAM, "/nonexistent/holdfast.conf"], "/nonexistent/holdfast.conf")

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.refused(self.base(port=port), str(port))

    def test_a_data_directory_in_use(self):
        self.server.start()
        self.refused(self.base(port=harness.free_port()), "data")
        connection = self.server.connect()
        self.assertEqual(connection.command("SET", "k", "v"), b"OK")

    def test_a_data_directory_that_cannot_be(self):
        self.refused(self.base(directory=self.file("", "plain")), "plain")

    def test_places_that_are_not_there(self):
        self.refused(self.base("--class-dir", "/nowhere"), "class-dir /nowhere: No such file")
        self.refused(self.base("--logfile", "/nowhere/log"), "logfile /nowhere/log: No such file")

    def test_what_redis_does_and_would_be_missed_here(self):
        for line in ("tls-port 6380", "user ann on >secret ~* +@all", "aclfile /etc/redis/users.acl",
                     "replicaof 10.0.0.1 6379", 'rename-command CONFIG ""', "loadmodule x.so",
                     "min-replicas-to-write 1", "cluster-enabled yes", "notify-keyspace-events Ex"):
            with self.subTest(line):
                self.refused([harness.PROGRAM, self.file(line + "\n")], line.split()[0], "test.conf:1")

    def test_check_config_and_version_start_nothing(self):
        good = self.file("port 0\nmaxclients 10\n")
        done = subprocess.run([harness.PROGRAM, good, "--check-config"], timeout=LINE_SECONDS,
                              cwd=self.server.directory)
        self.assertEqual(done.returncode, 0)
        for place, why in ((("--dir", "/nowhere/data"), "No such file"),
                           (("--dir", good), "Not a directory"),
                           (("--class-dir", "/nowhere"), "No such file"),
                           (("--class-dir", good), "Not a directory"),
                           (("--logfile", "/nowhere/log"), "No such file"),
                           (("--logfile", "/"), "Is a directory"),
                           (("--unixsocket", "/nowhere/socket"), "No such file")):
            self.refused([harness.PROGRAM, good, *place, "--check-config"], place[0][2:], place[1], why)
        self.refused([harness.PROGRAM, self.file("maxclients x\n"), "--check-config"], "maxclients")
        for option in ("--version", "--help"):
            done = subprocess.run([harness.PROGRAM, option], timeout=LINE_SECONDS, text=True,
                                  stdout=subprocess.PIPE, cwd=self.server.directory)
            self.assertEqual(done.returncode, 0)
            self.assertTrue(done.stdout.strip())
        self.assertFalse(os.path.exists(os.path.join(self.server.directory, "data")))


class Restarts(harness.Case):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.server.start()

    def test_sigterm_sigint_and_shutdown_end_with_zero_and_keep_everything(self):
        for number, name in enumerate(("SIGTERM", "SIGINT", "SHUTDOWN", "SHUTDOWN NOSAVE")):
            if harness.IS_REDIS and name == "SHUTDOWN NOSAVE":
                continue
            connection = self.server.connect()
            self.assertEqual(connection.command("SET", f"k{number}", name), b"OK")
            if name.startswith("SIG"):
                self.server.process.send_signal(getattr(signal, name))
            else:
                connection.send(*name.split())
            self.assertEqual(self.server.process.wait(harness.STOP_SECONDS), 0, name)
            self.server.process = None
            self.server.disconnect()
            self.server.start()
            self.assertEqual(self.server.connect().command("GET", f"k{number}"), name.encode())

    @harness.only_holdfast
    def test_a_stop_behind_turns_that_take_long_ends(self):
        text = b'{"holdfast-object":1,"values":[["k",[' + b"{}," * 400_000 + b"1]]]}"
        for _ in range(3):
            connection = self.server.connect()
            reply = connection.command("DO.IMPORT", "Import", "one", text)
            self.assertTrue(reply.startswith(b"BADIMPORT"), reply)
            connection.send("DO.IMPORT", "Import", "one", text)
            self.assertEqual(self.server.stop(), 0)
            self.server.start()

    @harness.only_holdfast
    def test_a_server_that_keeps_little_takes_little(self):
        self.server.restart(log_segment_size="64mb")
        connection = self.server.connect()
        connection.pipeline([("SET", f"k{i}", i) for i in range(1500)])
        log = os.path.join(self.server.directory, "data", "log")
        sizes = [os.path.getsize(os.path.join(log, name)) for name in os.listdir(log)]
        self.assertLess(sum(sizes), 32 << 20)
        # What does not fit into the first files has larger ones made.
        value = b"v" * (48 << 20)
        self.assertEqual(connection.command("SET", "large", value), b"OK")
        self.server.crash(log_segment_size="64mb")
        connection = self.server.connect()
        self.assertEqual(connection.command("GET", "large"), value)
        self.assertEqual(connection.command("GET", "k1499"), b"1499")

    @harness.only_holdfast
    def test_any_number_of_workers_finds_the_same_data(self):
        connection = self.server.connect()
        connection.pipeline([("SET", f"k{i}", i) for i in range(1000)])
        for workers, io_threads in ((1, 0), (3, 0), (2, 1), (5, 2), (1, 1)):
            self.server.crash(workers=workers, io_threads=io_threads)
            connection = self.server.connect()
            self.assertEqual(connection.command("DBSIZE"), 1000)
            values = connection.command("MGET", *[f"k{i}" for i in range(1000)])
            self.assertEqual(values, [b"%d" % i for i in range(1000)])
            connection.command("SET", "k7", "7")
            self.server.restart(workers=workers, io_threads=io_threads)

    @harness.only_holdfast
    def test_a_directory_keeps_its_number_of_shards(self):
        connection = self.server.connect()
        connection.pipeline([("SET", f"k{i}", i) for i in range(100)])
        self.server.restart(shards=4)
        self.assertEqual(self.server.connect().command("DBSIZE"), 100)

    @harness.only_holdfast
    def test_other_numbers_of_shards_work(self):
        for shards in (1, 3, 300):
            server = harness.Server(shards=shards)
            self.addCleanup(server.close)
            server.start()
            connection = server.connect()
            connection.pipeline([("SET", f"k{i}", i) for i in range(300)])
            server.crash()
            connection = server.connect()
            self.assertEqual(connection.command("DBSIZE"), 300)
            self.assertEqual(len(set(harness.scan_all(connection))), 300)
            self.assertEqual(connection.command("FLUSHALL"), b"OK")
            self.assertEqual(connection.command("DBSIZE"), 0)
            server.stop()

    @harness.only_holdfast
    def test_a_banner_says_what_is_running(self):
        self.server.connect().command("SET", "k", "v")
        self.server.crash()
        text = self.server.log()
        for word in ("Holdfast", str(self.server.port), "data", "16", "MB may be used (",
                     "overlay-memory"):
            self.assertIn(word, text)

    def test_a_unix_socket_serves_too(self):
        path = os.path.join(self.server.directory, "socket")
        self.server.restart(unixsocket=path)
        with resp.Connection(0, path=path) as connection:
            self.assertEqual(connection.command("SET", "k", "v"), b"OK")
        self.assertEqual(self.server.connect().command("GET", "k"), b"v")
        self.server.crash(unixsocket=path)
        with resp.Connection(0, path=path) as connection:
            self.assertEqual(connection.command("GET", "k"), b"v")

    @harness.only_holdfast
    def test_a_log_file_that_was_moved_is_made_anew(self):
        def text(path):
            with open(path) as file:
                return file.read()
        moved = self.server.log_path + ".1"
        os.rename(self.server.log_path, moved)
        self.server.process.send_signal(signal.SIGHUP)
        self.assertTrue(harness.wait_until(lambda: os.path.exists(self.server.log_path)))
        self.assertTrue(harness.wait_until(lambda: "SIGHUP" in text(self.server.log_path)))
        # Without a signal the next line finds out.
        os.rename(self.server.log_path, moved)
        self.server.stop()
        self.assertIn("Stopped", text(self.server.log_path))
        self.assertNotIn("Stopped", text(moved))
        self.server.start()

    def test_signals_that_ask_for_nothing_do_not_end_it(self):
        connection = self.server.connect()
        for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGWINCH"):
            if harness.IS_REDIS and name in ("SIGUSR1", "SIGUSR2", "SIGALRM"):
                continue
            self.server.process.send_signal(getattr(signal, name))
            self.assertEqual(connection.command("SET", "k", name), b"OK")

    @harness.only_holdfast
    def test_what_its_parent_ignores_ends_it_all_the_same(self):
        """A shell has SIGINT ignored for what it runs in the background."""
        self.server.stop()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.server.start()
        finally:
            signal.signal(signal.SIGINT, before)
        self.server.process.send_signal(signal.SIGINT)
        self.assertEqual(self.server.process.wait(harness.STOP_SECONDS), 0)
        self.server.process = None
        self.server.start()

    def test_connections_in_the_middle_of_things_do_not_hold_up_the_end(self):
        half = resp.Connection(self.server.port)
        half.send_bytes(b"*3\r\n$3\r\nSET\r\n")
        idle = [resp.Connection(self.server.port) for _ in range(20)]
        started = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - started, 20)
        for connection in [half] + idle:
            self.assertTrue(connection.is_closed())
            connection.close()
        self.server.start()


@harness.only_holdfast
class RedisConfiguration(harness.Case):
    """What a redis-server is started with starts this server too, and a line says what holds."""

    # Of Debian's /etc/redis/redis.conf, Redis 7.0.
    DEBIAN = """
        bind 127.0.0.1 -::1
        protected-mode yes
        port 6379
        tcp-backlog 511
        timeout 0
        tcp-keepalive 300
        daemonize yes
        pidfile /run/redis/redis-server.pid
        loglevel notice
        logfile /var/log/redis/redis-server.log
        databases 16
        always-show-logo no
        set-proc-title yes
        proc-title-template "{title} {listen-addr} {server-mode}"
        stop-writes-on-bgsave-error yes
        rdbcompression yes
        rdbchecksum yes
        dbfilename dump.rdb
        rdb-del-sync-files no
        dir /var/lib/redis
        replica-serve-stale-data yes
        replica-read-only yes
        repl-diskless-sync yes
        repl-diskless-sync-delay 5
        repl-diskless-sync-max-replicas 0
        repl-diskless-load disabled
        repl-disable-tcp-nodelay no
        replica-priority 100
        acllog-max-len 128
        lazyfree-lazy-eviction no
        lazyfree-lazy-expire no
        lazyfree-lazy-server-del no
        replica-lazy-flush no
        lazyfree-lazy-user-del no
        lazyfree-lazy-user-flush no
        oom-score-adj no
        oom-score-adj-values 0 200 800
        disable-thp yes
        appendonly no
        appendfilename "appendonly.aof"
        appenddirname "appendonlydir"
        appendfsync everysec
        no-appendfsync-on-rewrite no
        auto-aof-rewrite-percentage 100
        auto-aof-rewrite-min-size 64mb
        aof-load-truncated yes
        aof-use-rdb-preamble yes
        aof-timestamp-enabled no
        slowlog-log-slower-than 10000
        slowlog-max-len 128
        latency-monitor-threshold 0
        notify-keyspace-events ""
        hash-max-listpack-entries 512
        hash-max-listpack-value 64
        list-max-listpack-size -2
        list-compress-depth 0
        set-max-intset-entries 512
        zset-max-listpack-entries 128
        zset-max-listpack-value 64
        hll-sparse-max-bytes 3000
        stream-node-max-bytes 4096
        stream-node-max-entries 100
        activerehashing yes
        client-output-buffer-limit normal 0 0 0
        client-output-buffer-limit replica 256mb 64mb 60
        client-output-buffer-limit pubsub 32mb 8mb 60
        hz 10
        dynamic-hz yes
        aof-rewrite-incremental-fsync yes
        rdb-save-incremental-fsync yes
        jemalloc-bg-thread yes
        """

    def start(self, lines, *arguments):
        """A server with these lines, our own port, directory and log winning over them."""
        server = harness.Server()
        self.addCleanup(server.close)
        path = os.path.join(server.directory, "redis.conf")
        with open(path, "w") as file:
            file.write("\n".join(lines))
        own = server.arguments
        server.arguments = lambda **more: [own()[0], path, *own(**more)[1:], *arguments]
        return server.start()

    def lines_of(self, text):
        return [line.strip() for line in text.splitlines()]

    def test_debians_file_starts_it(self):
        server = self.start(self.lines_of(self.DEBIAN))
        connection = server.connect()
        self.assertEqual(connection.command("SET", "k", "v"), b"OK")
        notes = [line for line in server.log().splitlines() if "Of the configuration" in line]
        self.assertEqual(len(notes), 2, notes)
        self.assertIn("appendonly: `durability` says when a write is on disk", notes[0])
        self.assertIn("daemonize, pidfile: the server stays in the foreground", notes[1])
        self.assertIn("durability everysec", server.log())

    @unittest.skipUnless(os.access("/etc/redis/redis.conf", os.R_OK), "there is none to read")
    def test_the_file_that_is_on_this_machine_starts_it(self):
        with open("/etc/redis/redis.conf", errors="replace") as file:
            server = self.start(self.lines_of(file.read()))
        self.assertEqual(server.connect().command("PING"), b"PONG")

    def test_tools_run_takes_paths_as_the_caller_s(self):
        """A copy of it, which builds a server that tells where it is and what it is given."""
        clone = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, clone)
        for folder in ("tools", "build", "elsewhere"):
            os.mkdir(os.path.join(clone, folder))
        shutil.copy(os.path.join(harness.ROOT, "tools", "run"), os.path.join(clone, "tools"))
        with open(os.path.join(clone, "tools", "lib.sh"), "w") as file:
            file.write("need_for_build() { :; }; install_missing() { :; }\nbuild_server() {\n"
                       "\tprintf '#!/bin/sh\\npwd; echo \"$@\"\\n' >build/holdfast-server\n"
                       "\tchmod +x build/holdfast-server\n}\n")
        elsewhere = os.path.join(clone, "elsewhere")
        for arguments, given in (((), f"--dir {clone}/data --class-dir {clone}/conf/classes"),
                                 (("--dir", "here"), f"--dir {clone}/data --class-dir {clone}/conf/classes"
                                                     " --dir here"),
                                 (("my.conf", "--port", "1"), "my.conf --port 1")):
            output = subprocess.run(["../tools/run", *arguments], cwd=elsewhere, check=True, text=True,
                                    stdout=subprocess.PIPE, timeout=LINE_SECONDS).stdout
            self.assertEqual(output.splitlines(), [elsewhere, given])

    def test_lines_about_persistence_and_memory(self):
        server = self.start(["\ufeffsave 3600 1 300 100", "save 60 10000", "appendonly no",
                             "maxmemory 100mb", "maxmemory-policy allkeys-lru", "hz 50",
                             "schedule @midnight Some method"],
                            "--requirepass", "--s3cret", "--maxclients 100", "--save")
        connection = server.connect()
        self.assertEqual(connection.command("AUTH", "--s3cret"), b"OK")
        shown = connection.command("CONFIG", "GET", "save", "appendonly", "maxmemory*", "hz",
                                   "maxclients")
        shown = dict(zip(shown[::2], shown[1::2]))
        self.assertEqual((shown[b"save"], shown[b"appendonly"], shown[b"maxmemory"],
                          shown[b"maxmemory-policy"], shown[b"hz"], shown[b"maxclients"]),
                         (b"", b"yes", b"0", b"noeviction", b"50", b"100"))
        notes = [line.split("Of the configuration: ")[1].split(":")[0]
                 for line in server.log().splitlines() if "Of the configuration" in line]
        self.assertEqual(notes, ["appendonly", "maxmemory, maxmemory-policy", "hz"])

    def test_redis_s_own_files_in_the_directory_are_named(self):
        server = harness.Server()
        self.addCleanup(server.close)
        data = os.path.join(server.directory, "data")
        os.mkdir(data)
        open(os.path.join(data, "dump.rdb"), "w").close()
        server.start()
        self.assertIn("dump.rdb is Redis's, and is not read", server.log())


class Surroundings(unittest.TestCase):
    def test_tests_have_the_usual_signals_whatever_started_them(self):
        """As a background job of a shell, with others blocked."""
        def spoil():
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        script = ("import signal, subprocess, sys, harness\n"
                  "child = subprocess.Popen(['sleep', '60'])\n"
                  "child.send_signal(getattr(signal, sys.argv[1]))\n"
                  "print(child.wait(10), signal.getsignal(signal.SIGINT) "
                  "== signal.default_int_handler)\n")
        for name in ("SIGINT", "SIGHUP", "SIGTERM"):
            done = subprocess.run([sys.executable, "-B", "-c", script, name], preexec_fn=spoil,
                                  env=dict(os.environ, PYTHONPATH=os.path.dirname(harness.__file__)),
                                  stdout=subprocess.PIPE, timeout=LINE_SECONDS, text=True)
            self.assertEqual(done.stdout, f"{-getattr(signal, name)} True\n")


class Kills(harness.Case):
    """kill -9 under load, again and again."""

    CLIENTS = 6
    KEYS = 50

    def setUp(self):
        self.server = harness.Server(checkpoint_interval=1)
        self.addCleanup(self.server.close)

    def write(self, number, sent, answered):
        """Sets this client's keys to growing numbers; `sent` and `answered` hold the last of each
        key that went out and that was acknowledged."""
        try:
            with resp.Connection(self.server.port) as connection:
                while True:
                    batch = []
                    for key in range(self.KEYS):
                        name = f"{number}:{key}"
                        sent[name] = sent.get(name, 0) + 1
                        batch.append((name, sent[name]))
                    connection.send_bytes(b"".join(resp.encode("SET", n, v) for n, v in batch))
                    for name, value in batch:
                        if connection.read() != b"OK":
                            raise AssertionError("a write was refused")
                        answered[name] = value
        except (ConnectionError, resp.Closed, socket.timeout):
            pass

    def test_no_acknowledged_write_is_lost(self):
        self.server.start()
        sent = [{} for _ in range(self.CLIENTS)]
        answered = [{} for _ in range(self.CLIENTS)]
        for turn in range(3 if harness.SLOW else 8):
            threads = [threading.Thread(target=self.write, args=(n, sent[n], answered[n]))
                       for n in range(self.CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(0.15 + 0.2 * turn)
            self.server.kill()
            for thread in threads:
                thread.join()
            self.server.start(workers=1 + turn % 3)
            connection = self.server.connect()
            for n in range(self.CLIENTS):
                names = sorted(sent[n])
                for name, value in zip(names, connection.command("MGET", *names)):
                    found = int(value) if value else 0
                    self.assertGreaterEqual(found, answered[n].get(name, 0), name)
                    self.assertLessEqual(found, sent[n][name], name)
                    answered[n][name] = found

    def test_multi_key_writes_are_found_whole_or_not_at_all(self):
        self.server.start()
        names = [f"whole:{i}" for i in range(20)]

        def write(number):
            try:
                with resp.Connection(self.server.port) as connection:
                    i = 0
                    while True:
                        i += 1
                        connection.command("MSET", *[part for name in names
                                                     for part in (name, f"{number}.{i}")])
            except (ConnectionError, resp.Closed, socket.timeout):
                pass

        for turn in range(3 if harness.SLOW else 6):
            threads = [threading.Thread(target=write, args=(f"{turn}.{n}",)) for n in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.1 + 0.1 * turn)
            self.server.kill()
            for thread in threads:
                thread.join()
            self.server.start()
            values = set(self.server.connect().command("MGET", *names))
            self.assertEqual(len(values), 1, values)


if __name__ == "__main__":
    unittest.main()
