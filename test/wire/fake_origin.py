"""An HTTP origin on the loopback that answers as it is told and remembers what it was asked.

    origin.answers["/feed/"] = lambda request: Answer(200, "body", {"Cache-Control": "max-age=1"})

The longest prefix of a path decides; without one the answer is 500. An answer may wait (`delay`
seconds), or until `gate` (a threading.Event) is set; "closed" hangs up without a word, and `raw` is
sent byte for byte in place of an answer, and the connection closed.
"""

import collections
import http.server
import threading
import time

Request = collections.namedtuple("Request", "path headers at")


class Answer:
    def __init__(self, status=200, body="", headers=None, delay=0, gate=None, raw=None):
        self.status, self.body, self.headers = status, body, headers or {}
        self.delay, self.gate, self.raw = delay, gate, raw


class Origin:
    def __init__(self):
        self.answers = {}
        self.requests = []
        self.running = 0
        self.running_most = 0
        self.lock = threading.Lock()
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.origin = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}"

    def asked(self, prefix):
        """The requests of paths with the prefix, in order."""
        with self.lock:
            return [request for request in self.requests if request.path.startswith(prefix)]

    def answer_to(self, request):
        fitting = [prefix for prefix in self.answers if request.path.startswith(prefix)]
        return self.answers[max(fitting, key=len)](request) if fitting else Answer(500)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def do_GET(self):
        origin = self.server.origin
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, time.monotonic())
        with origin.lock:
            origin.requests.append(request)
            origin.running += 1
            origin.running_most = max(origin.running_most, origin.running)
        try:
            answer = origin.answer_to(request)
            time.sleep(answer.delay)
            if answer.gate:
                answer.gate.wait(60)
        finally:
            with origin.lock:
                origin.running -= 1
        if answer.status == "closed":
            self.close_connection = True
            return
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            self.close_connection = True
            return
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        try:
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if answer.status != 304:
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
