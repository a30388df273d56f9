-- Run: holdfast-server --test conf/classes/MagicCode.lua test/classes/MagicCode_test.lua

env("MagicCode", "SECRET", "pepper")

local function code(...)
	return call("MagicCode", "login:ann", ...)
end

-- A code of as many digits that is not the right one.
local function wrong(right)
	return right:gsub("^.", function(digit)
		return digit == "0" and "1" or "0"
	end)
end

test("a right code is ok once", function()
	local right = code("create")
	equal(#right, 6)
	equal(right:find("^%d+$"), 1)
	equal(code("verify", right), "ok")
	equal(code("verify", right), "none")
end)

test("of many that verify at once exactly one gets ok", function()
	local right = code("create")
	local handles, ok = {}, 0
	for i = 1, 100 do
		handles[i] = begin("MagicCode", "login:ann", "verify", right)
	end
	for i = 1, 100 do
		ok = ok + (handles[i]:result() == "ok" and 1 or 0)
	end
	equal(ok, 1)
end)

test("five wrong tries make a code void, and are counted through a crash", function()
	local right = code("create")
	for _ = 1, 3 do
		equal(code("verify", (wrong(right))), "wrong")
	end
	restart()
	equal(code("verify", ""), "wrong")
	equal(code("verify", (wrong(right))), "locked")
	equal(code("verify", right), "locked")
	equal(code("status").live, false)
end)

test("a code ends with its time", function()
	local right = code("create", 60)
	advance(59999)
	equal(code("status").live, true)
	advance(1)
	equal(code("verify", right), "none")
end)

test("a new code replaces the one before", function()
	local first = code("create", 600, 12)
	local second = code("create", 600, 12)
	equal(#second, 12)
	equal(code("verify", first), "wrong")
	equal(code("verify", second), "ok")
end)

test("an address gets five codes an hour, and its tries with them", function()
	local right
	for _ = 1, 5 do
		right = code("create")
		advance(60000)
	end
	equal(code("status").codes_left, 0)
	raises(function() code("create") end, "^TOOMANY .*retry after 3300 s")
	equal(code("verify", right), "ok")
	raises(function() code("create") end, "^TOOMANY ")
	advance(3300000)
	code("create")
end)

test("a code is not valid for another address", function()
	local right = code("create")
	call("MagicCode", "login:bob", "create")
	equal(call("MagicCode", "login:bob", "verify", right) == "ok", false)
end)

test("what is stored does not show the code", function()
	local right = code("create", 600, 12)
	equal(command("DO.EXPORT", "MagicCode", "login:ann"):find(right, 1, true), nil)
end)

test("codes differ, and have all digits at all places", function()
	local seen, digits = {}, {}
	for i = 1, 100 do
		local made = call("MagicCode", "user" .. i, "create", 600, 12)
		equal(seen[made], nil)
		seen[made] = true
		for place = 1, 12 do
			digits[made:sub(place, place)] = true
		end
	end
	for digit = 0, 9 do
		equal(digits[tostring(digit)], true)
	end
end)

test("a cancelled code is none", function()
	local right = code("create")
	equal(code("cancel"), 1)
	equal(code("cancel"), 0)
	equal(code("verify", right), "none")
end)

test("an object ends by itself", function()
	code("create")
	advance(3600001)
	equal(command("DO.OBJECTS", "MagicCode"), {})
	equal(code("status"), { live = false, tries_left = 0, expires_ms = 0, codes_left = 5 })
end)

test("refuses lives and lengths that make no sense", function()
	raises(function() code("create", 9) end, "^BADARGUMENT ")
	raises(function() code("create", 86401) end, "^BADARGUMENT ")
	raises(function() code("create", "soon") end, "^BADARGUMENT ")
	raises(function() code("create", 600, 3) end, "^BADARGUMENT ")
	raises(function() code("create", 600, 13) end, "^BADARGUMENT ")
	equal(code("verify"), "none")
end)
