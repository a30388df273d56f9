-- Run: holdfast-server --test conf/classes/Counter.lua test/classes/Counter_test.lua

test("counts from nothing, by one and by any whole number", function()
	equal(call("Counter", "visits", "get"), 0)
	equal(call("Counter", "visits", "add"), 1)
	equal(call("Counter", "visits", "add", 10), 11)
	equal(call("Counter", "visits", "add", -20), -9)
	equal(call("Counter", "visits", "set", 5), 5)
	equal(call("Counter", "visits", "get"), 5)
end)

test("keeps what it counted through eviction and crash", function()
	call("Counter", "visits", "add", 7)
	evict("Counter", "visits")
	equal(call("Counter", "visits", "get"), 7)
	restart()
	equal(call("Counter", "visits", "add"), 8)
end)

test("loses none of many additions begun at once", function()
	local handles = {}
	for i = 1, 200 do
		handles[i] = begin("Counter", "visits", "add", i)
	end
	local results = {}
	for i = 1, 200 do
		results[handles[i]:result()] = true
	end
	equal(call("Counter", "visits", "get"), 20100)
	local distinct = 0
	for _ in pairs(results) do
		distinct = distinct + 1
	end
	equal(distinct, 200)
end)

test("counters are apart from each other", function()
	call("Counter", "a", "add", 3)
	equal(call("Counter", "b", "get"), 0)
end)

test("refuses what is no whole number and what does not fit, and stays as it was", function()
	call("Counter", "visits", "set", math.maxinteger)
	raises(function() call("Counter", "visits", "add") end, "^OVERFLOW ")
	raises(function() call("Counter", "visits", "add", "1.5") end, "^BADARGUMENT ")
	raises(function() call("Counter", "visits", "add", "many") end, "^BADARGUMENT ")
	raises(function() call("Counter", "visits", "set", "") end, "^BADARGUMENT ")
	equal(call("Counter", "visits", "get"), math.maxinteger)
	call("Counter", "visits", "set", math.mininteger)
	raises(function() call("Counter", "visits", "add", -1) end, "^OVERFLOW ")
	equal(call("Counter", "visits", "add", math.maxinteger), -1)
end)

test("sees what was written past it", function()
	call("Counter", "visits", "add")
	command("DO.PUT", "Counter", "visits", "n", "41")
	equal(call("Counter", "visits", "add"), 42)
	command("DO.PUT", "Counter", "visits", "n", "lots")
	raises(function() call("Counter", "visits", "add") end, "BADARGUMENT")
end)

test("is gone after a reset", function()
	call("Counter", "visits", "add", 3)
	equal(call("Counter", "visits", "reset"), 3)
	equal(command("DO.OBJECTS", "Counter"), {})
	equal(call("Counter", "visits", "get"), 0)
end)
