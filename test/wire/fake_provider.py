"""A provider of OAuth tokens and feeds on the loopback, strict and, when told to, unreliable.

Refresh tokens rotate: each is good for one refresh. One that comes again is answered with its
successor's tokens within `grace` seconds, and with invalid_grant afterwards. Feeds want the access
token of the last refresh. Both count what they were asked.

    provider.feeds["show"] = [{"id": "1"}]
    provider.token_faults += ["lost", "slow"]     the next answers of the token endpoint
    provider.feed_faults += [429]                 and of the feeds

Faults: a status is answered instead; "lost" does the work and closes the connection without a word;
"slow" waits `slow_seconds` first; "closed" closes it without doing anything.
"""

import base64
import http.server
import json
import threading
import time
import urllib.parse

CLIENT = "our client"
SECRET = "our: secret"


class Provider:
    def __init__(self, grace=30, slow_seconds=0.5):
        self.grace = grace
        self.slow_seconds = slow_seconds
        self.feeds = {}
        self.token_faults = []
        self.feed_faults = []
        self.retry_after = "30"
        self.expires_in = 3600
        self.lock = threading.Lock()
        self.access = "access-1"
        self.refresh = "refresh-1"
        self.number = 1
        self.successors = {}
        self.refresh_requests = 0  # asked for
        self.spent = 0  # refresh tokens used up
        self.replayed = 0
        self.refused = 0
        self.feed_requests = []
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.provider = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}"

    def settings(self, name="FAKE", class_name="UserSubscriptionManager"):
        """The `env` lines that make it a provider of the class."""
        values = {
            "TOKEN_URL": self.url + "/token",
            "FEED_URL": self.url + "/feeds/{feed}",
            "CLIENT_ID": CLIENT,
            "CLIENT_SECRET": SECRET,
            "RATE": "1000",
            "BURST": "1000",
        }
        return [(class_name, f"{name}_{key}", value) for key, value in values.items()]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def take_fault(self, faults):
        with self.lock:
            return faults.pop(0) if faults else None

    def issue(self, refresh_token):
        """The body that a refresh token gets; None: it is not good any more."""
        with self.lock:
            if refresh_token == self.refresh:
                self.number += 1
                self.access, self.refresh = f"access-{self.number}", f"refresh-{self.number}"
                self.spent += 1
                body = {"access_token": self.access, "refresh_token": self.refresh,
                        "expires_in": self.expires_in, "token_type": "Bearer"}
                self.successors[refresh_token] = (time.monotonic(), body)
                return body
            at, body = self.successors.get(refresh_token, (None, None))
            if body and time.monotonic() - at <= self.grace:
                self.replayed += 1
                return body
            self.refused += 1
            return None


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    @property
    def provider(self):
        return self.server.provider

    def do_POST(self):
        provider = self.provider
        length = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
        with provider.lock:
            provider.refresh_requests += 1
        fault = provider.take_fault(provider.token_faults)
        if self.stops_at(fault):
            return
        if self.path != "/token" or form.get("grant_type") != ["refresh_token"]:
            self.answer(400, {"error": "invalid_request"})
        elif not self.is_our_client():
            self.answer(401, {"error": "invalid_client"})
        else:
            body = provider.issue(form["refresh_token"][0])
            if fault == "lost":
                self.close_connection = True
                self.connection.close()
            elif body:
                self.answer(200, body)
            else:
                self.answer(400, {"error": "invalid_grant"})

    def do_GET(self):
        provider = self.provider
        with provider.lock:
            provider.feed_requests.append(self.path)
        if self.stops_at(provider.take_fault(provider.feed_faults)):
            return
        name = urllib.parse.unquote(self.path.removeprefix("/feeds/"))
        if self.headers.get("Authorization") != "Bearer " + provider.access:
            self.answer(401, {"error": "invalid_token"})
        elif name not in provider.feeds:
            self.answer(404, {"error": "no such feed"})
        else:
            self.answer(200, {"items": provider.feeds[name]})

    def stops_at(self, fault):
        """True when the fault was all there is to do."""
        if fault == "slow":
            time.sleep(self.provider.slow_seconds)
        elif fault == "closed":
            self.close_connection = True
            self.connection.close()
            return True
        elif isinstance(fault, int):
            self.answer(fault, {"error": "as told"})
            return True
        return False

    def is_our_client(self):
        """RFC 6749, 2.3.1: both parts are form-encoded, then base 64."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return (urllib.parse.unquote(name), urllib.parse.unquote(secret)) == (CLIENT, SECRET)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", self.provider.retry_after)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass
