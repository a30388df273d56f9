--[=[
RateLimiter: whether something may be done now. One object for whatever is limited: a user, an
address, an API key. Two ways, which may be used side by side:

	DO.CALL RateLimiter ann bucket 10 2.5 [cost]   -> allowed, left, retry-after-ms

A token bucket: it holds 10, is full at first, and gains 2.5 a second. Bursts up to 10 pass, and
2.5 a second in the long run.

	DO.CALL RateLimiter ann window 100 60 [cost]   -> allowed, left, retry-after-ms

A sliding window: no 60 seconds, wherever they begin, ever see more than 100. Several lengths may
be used for one object. Counts are kept by twentieths of the window: a count that leaves it is
given back up to one twentieth late, never early.

	DO.CALL RateLimiter ann reset                  -> OK     as if it had never been asked

allowed is 1 or 0; left is how much may still be taken at once; retry-after-ms is 0, or how long
until the same question may be answered with 1. cost is usually 1; with 0 one only looks. What is
refused costs nothing. An answer of 1 is on disk before it is given, so a crash forgets none. An
object that has nothing to remember any more ends by itself.

Errors: BADARGUMENT (also a cost that could never be allowed).
]=]
local RateLimiter = class("RateLimiter")

local SLOTS = 20
local MOST = 1000000000
local SECONDS_MAX = 366 * 86400

local function number(value, what, least, most)
	value = tonumber(value)
	if not value or not (value >= least and value <= most) then
		fail("BADARGUMENT", ("%s is a number from %s to %s"):format(what, least, most))
	end
	return value
end

local function whole(value, what, least, most)
	value = number(value, what, least, most)
	return math.tointeger(value) or fail("BADARGUMENT", what .. " is a whole number")
end

-- The object is needed for so long from now.
function RateLimiter:_keep(ms)
	local ends = time.now() + ms
	if ends > (self.storage:get("ends") or 0) then
		self.storage:put("ends", ends)
		self.storage:expire(math.min(ms, SECONDS_MAX * 1000) / 1000 + 1)
	end
end

function RateLimiter:bucket(capacity, per_second, cost)
	capacity = whole(capacity, "a capacity", 1, MOST)
	per_second = number(per_second, "a rate", 0.000001, MOST)
	cost = whole(cost or 1, "a cost", 0, capacity)
	local now = time.now()
	local bucket = self.storage:get("bucket") or { level = capacity, at = now }
	local gained = math.max(0, now - bucket.at) * per_second / 1000
	local level = math.min(capacity, bucket.level + gained)
	if level < cost then
		local retry_ms = math.ceil((cost - level) * 1000 / per_second)
		return { 0, math.floor(level), retry_ms }
	end
	if cost > 0 then
		level = level - cost
		self.storage:put("bucket", { level = level, at = now })
		self:_keep(math.ceil((capacity - level) * 1000 / per_second))
	end
	return { 1, math.floor(level), 0 }
end

--[[
A window's counts are an array: slot, count, slot, count, ..., oldest first. A slot is the number of
a twentieth since the epoch. One that overlaps the window in part counts in full.
]]
local function still_inside(counts, oldest)
	local inside, sum = {}, 0
	for i = 1, #counts, 2 do
		if counts[i] >= oldest then
			inside[#inside + 1] = counts[i]
			inside[#inside + 1] = counts[i + 1]
			sum = sum + counts[i + 1]
		end
	end
	return inside, sum
end

local function add_to_slot(counts, slot, cost)
	-- A clock that was set back finds a later slot: that one is used on.
	if #counts > 0 and counts[#counts - 1] >= slot then
		counts[#counts] = counts[#counts] + cost
	else
		counts[#counts + 1] = slot
		counts[#counts + 1] = cost
	end
end

-- The first slot whose leaving makes enough room.
local function slot_to_leave(counts, too_many)
	local slot
	for i = 1, #counts, 2 do
		slot = counts[i]
		too_many = too_many - counts[i + 1]
		if too_many <= 0 then
			break
		end
	end
	return slot
end

function RateLimiter:window(limit, seconds, cost)
	limit = whole(limit, "a limit", 1, MOST)
	local width = math.ceil(number(seconds, "a length", 0.02, SECONDS_MAX) * 1000 / SLOTS)
	cost = whole(cost or 1, "a cost", 0, limit)
	local now, length = time.now(), width * SLOTS
	local key = "window:" .. length
	local counts, sum = still_inside(self.storage:get(key) or {}, (now - length) // width)
	if sum + cost > limit then
		local leaves = (slot_to_leave(counts, sum + cost - limit) + 1) * width + length
		return { 0, math.max(0, limit - sum), leaves - now }
	end
	if cost > 0 then
		add_to_slot(counts, now // width, cost)
		self.storage:put(key, counts)
		self:_keep(length + width)
	end
	return { 1, limit - sum - cost, 0 }
end

function RateLimiter:reset()
	self.storage:delete_all()
	return "OK"
end

return RateLimiter
