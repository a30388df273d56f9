# A login session in Python: from log-in to log-out everywhere.
from concurrent.futures import ThreadPoolExecutor
import json
import os
import time
import redis

place = {"port": int(os.environ.get("HOLDFAST_PORT", 6379)), "decode_responses": True}
session = redis.Redis(**place).execute_command
# SESSION.LEASE may wait: it has a few connections of its own, for which callers stand in line.
pool = redis.Redis(connection_pool=redis.BlockingConnectionPool(
    max_connections=8, timeout=30, **place))

# Log-in. It ends after half an hour without use, and after eight hours at the latest.
oauth = {"access": "old", "refresh": "works once", "until": 0}
sid = session("SESSION.CREATE", "USER", "ada", "DATA", json.dumps({"cart": [], "oauth": oauth}),
              "TTL", 1800, "ABSOLUTE", 28800)

# Each request. None: there is no such session (any more), log in again.
data = json.loads(session("SESSION.GET", sid, "DATA"))
session("SESSION.UPDATE", sid, json.dumps({"cart": data["cart"] + ["book"]}))

# More rights, another id. Requests that are under way may use the old one for ten seconds.
sid = session("SESSION.ROTATE", sid, "GRACE", 10)
print("cart:", *json.loads(session("SESSION.FIELD", sid, "cart")))


class Busy(Exception):
    """Somebody else has been fetching a new token for long."""


def access_token(sid, fetch):
    """None: the session has ended, log in again. Of all who find the token expired, one fetches a
    new one."""
    for _ in range(4):
        read = session("SESSION.GET", sid)
        if not read:
            return None
        if isinstance(read, list):  # RESP2's form of a map
            read = dict(zip(read[::2], read[1::2]))
        oauth = json.loads(read["data"])["oauth"]
        if oauth["until"] > time.time():
            return oauth["access"]
        # The lease ends with its connection, which is ours until the new tokens are stored.
        with pool.client() as own:
            reply = own.execute_command("SESSION.LEASE", sid, "oauth", "MS", 30000, "WAIT", 5000,
                                        "IFVERSION", read["version"])
            if reply is None:
                return None
            if reply[0] is not None:
                return refresh(own, sid, reply[0], oauth, fetch)
        # Somebody else has fetched it, or still does: look again.
    raise Busy


def refresh(own, sid, lease, oauth, fetch):
    try:
        fresh = fetch(oauth["refresh"])
    except Exception:  # the next in line tries
        own.execute_command("SESSION.RELEASE", sid, "oauth", lease)
        raise
    change = json.dumps({"oauth": fresh})
    try:
        own.execute_command("SESSION.COMMIT", sid, "oauth", lease, change)
    except redis.ResponseError as error:
        if str(error).startswith("SESSIONGONE"):
            return None
        if not str(error).startswith("LEASELOST"):
            raise
        own.execute_command("SESSION.UPDATE", sid, change)  # it took long; the old work no more
    return fresh["access"]


fetched = []


def fetch_tokens(refresh_token):  # would ask the provider
    fetched.append(refresh_token)
    return {"access": "new", "refresh": "after " + refresh_token, "until": time.time() + 3600}


with ThreadPoolExecutor(100) as threads:
    callers = [threads.submit(access_token, sid, fetch_tokens) for _ in range(1000)]
print("token:", *{caller.result() for caller in callers}, "fetched:", len(fetched))

# Log out everywhere.
print("ended:", session("SESSION.DELUSER", "ada"))
print("after:", access_token(sid, fetch_tokens))
