# A login session in Ruby: from log-in to log-out everywhere.
require "json"
require "redis"

db = Redis.new(port: ENV.fetch("HOLDFAST_PORT", 6379))

# Log-in. It ends after half an hour without use, and after eight hours at the latest.
id = db.call("SESSION.CREATE", "USER", "ada", "DATA", '{"cart":[]}', "TTL", 1800, "ABSOLUTE", 28800)

# Each request. nil: there is no such session (any more), log in again.
data = JSON.parse(db.call("SESSION.GET", id, "DATA"))
db.call("SESSION.UPDATE", id, { cart: data["cart"] + ["book"] }.to_json)

# More rights, another id. Requests that are under way may use the old one for ten seconds.
id = db.call("SESSION.ROTATE", id, "GRACE", 10)
puts "cart: #{JSON.parse(db.call("SESSION.FIELD", id, "cart")).join(" ")}"

# Of all who find the access token expired, one fetches a new one; the others are told it.
def refresh_access_token(db, id)
  lease, _, told = db.call("SESSION.LEASE", id, "oauth", "WAIT", 5000)
  return JSON.parse(told)["token"] unless lease
  yield.tap { |token| db.call("SESSION.COMMIT", id, "oauth", lease, { token: token }.to_json) }
end
puts "token: #{refresh_access_token(db, id) { "new" }}"

# Log out everywhere.
puts "ended: #{db.call("SESSION.DELUSER", "ada")}"
puts "after: #{db.call("SESSION.GET", id).inspect}"
