# A login session in Ruby: from log-in to log-out everywhere.
require "json"
require "redis"

place = { port: ENV.fetch("HOLDFAST_PORT", 6379) }
db = Redis.new(**place)
# SESSION.LEASE may wait: it has a few connections of its own, with more patience than the wait.
POOL = Queue.new
8.times { POOL << Redis.new(**place, read_timeout: 10) }

# Log-in. It ends after half an hour without use, and after eight hours at the latest.
oauth = { access: "old", refresh: "works once", until: 0 }
id = db.call("SESSION.CREATE", "USER", "ada", "DATA", { cart: [], oauth: oauth }.to_json,
             "TTL", 1800, "ABSOLUTE", 28800)

# Each request. nil: there is no such session (any more), log in again.
data = JSON.parse(db.call("SESSION.GET", id, "DATA"))
db.call("SESSION.UPDATE", id, { cart: data["cart"] + ["book"] }.to_json)

# More rights, another id. Requests that are under way may use the old one for ten seconds.
id = db.call("SESSION.ROTATE", id, "GRACE", 10)
puts "cart: #{JSON.parse(db.call("SESSION.FIELD", id, "cart")).join(" ")}"

# The access token; nil: the session has ended, log in again. Of all who find it expired, one
# fetches a new one: the block is given the refresh token.
def access_token(db, id, &fetch)
  4.times do
    read = db.call("SESSION.GET", id)
    return nil unless read
    read = Hash[*read] if read.is_a?(Array) # RESP2's form of a map
    oauth = JSON.parse(read["data"])["oauth"]
    return oauth["access"] if oauth["until"] > Time.now.to_f
    # The lease ends with its connection, which is ours until the new tokens are stored.
    own = POOL.pop
    begin
      reply = own.call("SESSION.LEASE", id, "oauth", "MS", 30000, "WAIT", 5000,
                       "IFVERSION", read["version"])
      return nil unless reply
      return refresh(own, id, reply[0], oauth, fetch) if reply[0]
    ensure
      POOL << own
    end
    # Somebody else has fetched it, or still does: look again.
  end
  raise "somebody else is still fetching a new token"
end

def refresh(own, id, lease, oauth, fetch)
  begin
    fresh = fetch.call(oauth["refresh"])
  rescue StandardError # the next in line tries
    own.call("SESSION.RELEASE", id, "oauth", lease)
    raise
  end
  change = { oauth: fresh }.to_json
  begin
    own.call("SESSION.COMMIT", id, "oauth", lease, change)
  rescue Redis::CommandError => error
    return nil if error.message.start_with?("SESSIONGONE")
    raise unless error.message.start_with?("LEASELOST")
    own.call("SESSION.UPDATE", id, change) # it took long; the old tokens work no more
  end
  fresh[:access]
end

fetched = 0
callers = 100.times.map do
  Thread.new do
    access_token(Redis.new(**place), id) do |refresh_token| # would ask the provider
      fetched += 1
      { access: "new", refresh: "after #{refresh_token}", until: Time.now.to_f + 3600 }
    end
  end
end
puts "token: #{callers.map(&:value).uniq.join(" ")} fetched: #{fetched}"

# Log out everywhere.
puts "ended: #{db.call("SESSION.DELUSER", "ada")}"
puts "after: #{access_token(db, id) { raise }.inspect}"
