"""A small Redis client that hides nothing: it shows each reply's type and its very bytes, and it
sends whatever it is told to, well formed or not. RESP2 and RESP3."""

import socket


class Simple(bytes):
    """+text"""


class Error(bytes):
    """-text"""


class Verbatim(bytes):
    """=text, RESP3; its format stands in front of the colon."""


class Null:
    """No value, told apart by its form: `$-1`, `*-1` or `_`."""

    def __init__(self, form):
        self.form = form

    def __eq__(self, other):
        return other is None or (isinstance(other, Null) and other.form == self.form)

    def __bool__(self):
        return False

    def __hash__(self):
        return hash(self.form)

    def __repr__(self):
        return f"Null({self.form!r})"


class Map(dict):
    """%, RESP3"""


class Set(list):
    """~, RESP3; a list, for its elements may be anything."""


class Push(list):
    """>, RESP3"""


class Malformed(Exception):
    """The server sent something that is not RESP."""


class Closed(Exception):
    """The server closed the connection."""


def encode(*arguments):
    """A command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = to_bytes(argument)
        parts.append(b"$%d\r\n" % len(data))
        parts.append(data)
        parts.append(b"\r\n")
    return b"".join(parts)


def to_bytes(argument):
    if isinstance(argument, bytes):
        return argument
    if isinstance(argument, float):
        return repr(argument).encode()
    return str(argument).encode()


class Connection:
    """One client connection. `protocol` 3 says HELLO 3 first."""

    def __init__(self, port, host="127.0.0.1", protocol=2, timeout=30, path=None,
                 receive_buffer=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address = path
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            address = (host, port)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if not path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.position = 0
        if protocol == 3:
            reply = self.command("HELLO", 3)
            if not isinstance(reply, Map):
                raise Malformed(f"HELLO 3 answered {reply!r}")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, *arguments):
        self.send_bytes(encode(*arguments))

    def command(self, *arguments):
        self.send(*arguments)
        return self.read()

    def command_raw(self, *arguments):
        """The reply's bytes as they came."""
        self.send(*arguments)
        return self.read_raw()

    def pipeline(self, commands):
        self.send_bytes(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def read(self):
        self._forget()
        return self._parse()

    def read_raw(self):
        self._forget()
        start = self.position
        self._parse()
        return bytes(self.data[start:self.position])

    def is_closed(self, timeout=10):
        """True when the server closes within `timeout` without sending another byte."""
        if self.position < len(self.data):
            return False
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def read_to_end(self, timeout=10):
        """Everything until the server closes."""
        self.socket.settimeout(timeout)
        rest = bytes(self.data[self.position:])
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return rest
            if not more:
                return rest
            rest += more

    def is_silent(self, seconds=0.2):
        """True when nothing comes for so long: no reply is owed."""
        if self.position < len(self.data):
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
            self.data += data
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(before)

    def _forget(self):
        if self.position == len(self.data):
            self.data.clear()
            self.position = 0
        elif self.position > 1 << 20:
            del self.data[:self.position]
            self.position = 0

    def _fill(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError as error:
            raise Closed() from error
        if not data:
            raise Closed()
        self.data += data

    def _line(self):
        while True:
            end = self.data.find(b"\r\n", self.position)
            if end >= 0:
                line = bytes(self.data[self.position:end])
                self.position = end + 2
                return line
            self._fill()

    def _bytes(self, size):
        while len(self.data) < self.position + size + 2:
            self._fill()
        data = bytes(self.data[self.position:self.position + size])
        end = self.position + size
        if self.data[end:end + 2] != b"\r\n":
            raise Malformed("a bulk string does not end with CRLF")
        self.position = end + 2
        return data

    def _parse(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Simple(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return Null("$-1") if rest == b"-1" else self._bytes(int(rest))
        if kind == b"*":
            return Null("*-1") if rest == b"-1" else [self._parse() for _ in range(int(rest))]
        if kind == b"_" and rest == b"":
            return Null("_")
        if kind == b"#" and rest in (b"t", b"f"):
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        if kind == b"=":
            return Verbatim(self._bytes(int(rest)))
        if kind == b"%":
            return Map((_hashable(self._parse()), self._parse()) for _ in range(int(rest)))
        if kind == b"~":
            return Set(self._parse() for _ in range(int(rest)))
        if kind == b">":
            return Push(self._parse() for _ in range(int(rest)))
        raise Malformed(f"a reply starts with {line!r}")


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value
