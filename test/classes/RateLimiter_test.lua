-- Run: holdfast-server --test conf/classes/RateLimiter.lua test/classes/RateLimiter_test.lua

local function bucket(...)
	return call("RateLimiter", "ann", "bucket", ...)
end

local function window(...)
	return call("RateLimiter", "ann", "window", ...)
end

test("a bucket lets its capacity through at once, then what it gains", function()
	for left = 4, 0, -1 do
		equal(bucket(5, 2), { 1, left, 0 })
	end
	equal(bucket(5, 2), { 0, 0, 500 })
	advance(499)
	equal(bucket(5, 2)[1], 0)
	advance(1)
	equal(bucket(5, 2), { 1, 0, 0 })
	advance(60000)
	equal(bucket(5, 2), { 1, 4, 0 })
end)

test("a bucket takes costs, and one that can never be met is an error", function()
	equal(bucket(10, 1, 7), { 1, 3, 0 })
	equal(bucket(10, 1, 4), { 0, 3, 1000 })
	equal(bucket(10, 1, 3), { 1, 0, 0 })
	equal(bucket(10, 1, 0), { 1, 0, 0 })
	raises(function() bucket(10, 1, 11) end, "^BADARGUMENT ")
end)

test("retry-after is the time after which the answer is yes, and not before", function()
	for _ = 1, 3 do
		bucket(3, 0.7)
	end
	local retry_ms = bucket(3, 0.7)[3]
	advance(retry_ms - 1)
	equal(bucket(3, 0.7)[1], 0)
	advance(1)
	equal(bucket(3, 0.7)[1], 1)
end)

test("a bucket keeps its level through a crash", function()
	for _ = 1, 5 do
		bucket(5, 0.001)
	end
	restart()
	equal(bucket(5, 0.001)[1], 0)
end)

test("of many at once a bucket lets exactly its capacity through", function()
	local handles, allowed = {}, 0
	for i = 1, 100 do
		handles[i] = begin("RateLimiter", "ann", "bucket", 30, 0.000001)
	end
	for i = 1, 100 do
		allowed = allowed + handles[i]:result()[1]
	end
	equal(allowed, 30)
end)

test("a window never sees more than its limit, wherever it is laid", function()
	local random, taken = 12345, {}
	for _ = 1, 600 do
		random = (random * 1103515245 + 12345) % 2147483648
		advance(random % 700)
		if window(10, 20)[1] == 1 then
			taken[#taken + 1] = now()
		end
	end
	for i = 1, #taken - 10 do
		if taken[i + 10] - taken[i] < 20000 then
			error(("11 within %d ms"):format(taken[i + 10] - taken[i]))
		end
	end
	-- It does let through what it should: at least ten in each window and a twentieth.
	local least = 10 * math.floor((taken[#taken] - taken[1]) / 21000)
	if #taken < least then
		error(("%d allowed, at least %d expected"):format(#taken, least))
	end
end)

test("a window's retry-after is the time after which the answer is yes", function()
	for _ = 1, 4 do
		window(4, 10)
		advance(1300)
	end
	local answer = window(4, 10)
	equal(answer[1], 0)
	advance(answer[3] - 1)
	equal(window(4, 10)[1], 0)
	advance(1)
	equal(window(4, 10), { 1, 0, 0 })
end)

test("windows of several lengths and a bucket do not mix", function()
	equal(window(1, 1), { 1, 0, 0 })
	equal(window(3, 60), { 1, 2, 0 })
	equal(bucket(2, 1), { 1, 1, 0 })
	equal(window(1, 1)[1], 0)
	equal(window(3, 60), { 1, 1, 0 })
end)

test("each object has limits of its own", function()
	bucket(1, 1)
	equal(call("RateLimiter", "bob", "bucket", 1, 1)[1], 1)
end)

test("an object ends when it has nothing to remember", function()
	bucket(5, 1)
	window(5, 60)
	equal(command("DO.OBJECTS", "RateLimiter"), { "ann" })
	advance(30000)
	equal(command("DO.OBJECTS", "RateLimiter"), { "ann" })
	advance(60000)
	equal(command("DO.OBJECTS", "RateLimiter"), {})
end)

test("is as new after a reset", function()
	bucket(1, 0.001)
	window(1, 60)
	equal(call("RateLimiter", "ann", "reset"), "OK")
	equal(bucket(1, 0.001)[1], 1)
	equal(window(1, 60)[1], 1)
end)

test("refuses numbers that make no sense", function()
	for _, wrong in ipairs({ "0", "-1", "1.5", "nan", "inf", "", "many" }) do
		raises(function() bucket(wrong, 1) end, "^BADARGUMENT ")
		raises(function() window(wrong, 1) end, "^BADARGUMENT ")
	end
	raises(function() bucket(1, 0) end, "^BADARGUMENT ")
	raises(function() bucket(1, "nan") end, "^BADARGUMENT ")
	raises(function() bucket() end, "^BADARGUMENT ")
	raises(function() window(1, 0) end, "^BADARGUMENT ")
	raises(function() window(1) end, "^BADARGUMENT ")
end)
