# A login session in Python: from log-in to log-out everywhere.
import json
import os
import redis

db = redis.Redis(port=int(os.environ.get("HOLDFAST_PORT", 6379)), decode_responses=True)
session = db.execute_command

# Log-in. It ends after half an hour without use, and after eight hours at the latest.
sid = session("SESSION.CREATE", "USER", "ada", "DATA", '{"cart":[]}', "TTL", 1800, "ABSOLUTE", 28800)

# Each request. None: there is no such session (any more), log in again.
data = json.loads(session("SESSION.GET", sid, "DATA"))
session("SESSION.UPDATE", sid, json.dumps({"cart": data["cart"] + ["book"]}))

# More rights, another id. Requests that are under way may use the old one for ten seconds.
sid = session("SESSION.ROTATE", sid, "GRACE", 10)
print("cart:", *json.loads(session("SESSION.FIELD", sid, "cart")))


# Of all who find the access token expired, one fetches a new one; the others are told it.
def refresh_access_token(fetch):
    lease, _, *told = session("SESSION.LEASE", sid, "oauth", "WAIT", 5000)
    if lease is None:
        return json.loads(told[0])["token"]
    token = fetch()
    session("SESSION.COMMIT", sid, "oauth", lease, json.dumps({"token": token}))
    return token


print("token:", refresh_access_token(lambda: "new"))

# Log out everywhere.
print("ended:", session("SESSION.DELUSER", "ada"))
print("after:", session("SESSION.GET", sid))
