-- self:exclusive(name, fn). Run: holdfast-server --test test/classes/Sections.lua \
--	test/classes/Sections_test.lua

local function start(method, ...)
	return begin("Sections", "x", method, ...)
end

test("calls are in a section one at a time, in the order they came, while others go on", function()
	local calls = {}
	for i = 1, 5 do
		calls[i] = start("stay", "a", 100, i)
	end
	local other = start("stay", "b", 10, "b")
	equal(call("Sections", "x", "trace_of"), "1+ b+")
	equal(other:result(), "b and more")
	for i = 1, 5 do
		equal(calls[i]:result(), i .. " and more")
	end
	equal(call("Sections", "x", "trace_of"), "1+ b+ b- 1- 2+ 2- 3+ 3- 4+ 4- 5+ 5-")
end)

test("sections of different objects are apart", function()
	local first = begin("Sections", "x", "stay", "a", 1000, "x")
	equal(call("Sections", "y", "stay", "a", 10, "y"), "y and more")
	equal(first:done(), false)
end)

for _, method in ipairs({ "fails", "breaks", "loops", "catches" }) do
	test("the line goes on after a call that " .. method, function()
		local first = start(method, "a")
		local second = start("stay", "a", 10, "second")
		local third = start("stay", "a", 10, "third")
		equal(second:result(), "second and more")
		equal(third:result(), "third and more")
		equal(first:done(), method ~= "catches")
	end)
end

test("errors come out of a section as they are, and undo the turn they are raised in", function()
	raises(function() call("Sections", "x", "fails", "a") end, "^TEAPOT short and stout")
	equal(call("Sections", "x", "written"), "before the wait")
	raises(function() call("Sections", "x", "breaks", "a") end, "^CLASSERR .*broken")
end)

test("a section is left by a call that its closed gate lets through alone", function()
	local closing = start("closes", 100)
	local waiting = start("stay", "a", 10, "w")
	closing:result()
	equal(waiting:result(), "w and more")
	local both = start("closes_within", "a", 100)
	waiting = start("stay", "a", 10, "w")
	both:result()
	equal(waiting:result(), "w and more")
end)

test("what cannot be entered is an error", function()
	raises(function() call("Sections", "x", "nests", "inner") end, "within exclusive by name")
	raises(function() call("Sections", "x", "nests", "outer") end, "within exclusive by name")
	raises(function() call("Sections", "x", "enters_behind_a_closed_gate") end,
		"exclusive by name within exclusive$")
	raises(function() call("Sections", "x", "stay", "", 1, "w") end, "1 to 64 bytes")
	raises(function() call("Sections", "x", "enters_in_a_transaction") end, "transaction")
	equal(call("Sections", "x", "stay", "outer", 1, "w"), "w and more")
end)

test("a line stands through an eviction, and is gone with a crash", function()
	local first, second = start("stay", "a", 100, 1), start("stay", "a", 100, 2)
	evict("Sections", "x")
	equal(first:result(), "1 and more")
	equal(second:result(), "2 and more")
	for i = 1, 50 do
		start("stay", "a", 100, i)
	end
	advance(150)
	restart()
	equal(call("Sections", "x", "trace_of"), "")
	equal(call("Sections", "x", "stay", "a", 1, "w"), "w and more")
end)

test("nobody stands in line for longer than a call may last", function()
	local calls, served = {}, 0
	for i = 1, 20 do
		calls[i] = start("stay", "a", 100000, i)
	end
	for i = 1, 20 do
		local ok, problem = pcall(calls[i].result, calls[i])
		served = served + (ok and 1 or 0)
		if not ok then
			equal(problem:find("^TIMEOUT ") ~= nil, true)
		end
	end
	equal(served, 9)
	equal(call("Sections", "x", "stay", "a", 1, "w"), "w and more")
end)
