-- Run: holdfast-server --test conf/classes/UniqueIndex.lua test/classes/UniqueIndex_test.lua

test("gives a key to the first who claims it, and tells the others whose it is", function()
	equal(call("UniqueIndex", "emails", "claim", "ann@x", "u1"), "u1")
	equal(call("UniqueIndex", "emails", "claim", "ann@x", "u2"), "u1")
	equal(call("UniqueIndex", "emails", "claim", "ann@x", "u1"), "u1")
	equal(call("UniqueIndex", "emails", "lookup", "ann@x"), "u1")
	equal(call("UniqueIndex", "emails", "lookup", "bob@x"), nil)
	equal(call("UniqueIndex", "emails", "count"), 1)
end)

test("makes one id for all who claim a key at once", function()
	local handles, ids = {}, {}
	for i = 1, 100 do
		handles[i] = begin("UniqueIndex", "emails", "claim", "ann@x")
	end
	for i = 1, 100 do
		ids[handles[i]:result()] = true
	end
	local id = next(ids)
	equal(next(ids, id), nil, "a second id")
	equal(#id, 36)
	restart()
	equal(call("UniqueIndex", "emails", "lookup", "ann@x"), id)
end)

test("releases a key for its owner only, unless nobody is named", function()
	call("UniqueIndex", "emails", "claim", "ann@x", "u1")
	equal(call("UniqueIndex", "emails", "release", "ann@x", "u2"), 0)
	equal(call("UniqueIndex", "emails", "lookup", "ann@x"), "u1")
	equal(call("UniqueIndex", "emails", "release", "ann@x", "u1"), 1)
	equal(call("UniqueIndex", "emails", "release", "ann@x"), 0)
	equal(call("UniqueIndex", "emails", "claim", "ann@x", "u2"), "u2")
	equal(call("UniqueIndex", "emails", "release", "ann@x"), 1)
	equal(call("UniqueIndex", "emails", "count"), 0)
end)

test("moves an id to another key, or leaves both keys as they are", function()
	call("UniqueIndex", "emails", "claim", "ann@x", "u1")
	call("UniqueIndex", "emails", "claim", "bob@x", "u2")
	equal(call("UniqueIndex", "emails", "move", "ann@x", "bob@x", "u1"), "u2")
	equal(call("UniqueIndex", "emails", "lookup", "ann@x"), "u1")
	equal(call("UniqueIndex", "emails", "move", "ann@x", "ann@y", "u1"), "u1")
	equal(call("UniqueIndex", "emails", "lookup", "ann@x"), nil)
	equal(call("UniqueIndex", "emails", "move", "ann@y", "ann@y", "u1"), "u1")
	equal(call("UniqueIndex", "emails", "count"), 2)
	raises(function()
		call("UniqueIndex", "emails", "move", "bob@x", "bob@y", "u1")
	end, "^NOTOWNER ")
end)

test("lists by key, page after page, without repeating a row", function()
	for i = 1, 25 do
		call("UniqueIndex", "emails", "claim", ("a%02d"):format(i), "u" .. i)
	end
	call("UniqueIndex", "emails", "claim", "b", "other")
	local keys, after = {}, ""
	repeat
		local page = call("UniqueIndex", "emails", "list", "a", after, 10)
		for i = 1, #page, 2 do
			keys[#keys + 1] = page[i]
			equal(page[i + 1], "u" .. tonumber(page[i]:sub(2)))
		end
		after = page[#page - 1]
	until after == nil
	equal(#keys, 25)
	equal(keys[1], "a01")
	equal(keys[25], "a25")
end)

test("refuses texts that are empty, too long or missing", function()
	local long = ("x"):rep(1025)
	raises(function() call("UniqueIndex", "emails", "claim", "", "u1") end, "^BADARGUMENT ")
	raises(function() call("UniqueIndex", "emails", "claim", long, "u1") end, "^BADARGUMENT ")
	raises(function() call("UniqueIndex", "emails", "claim", "a", long) end, "^BADARGUMENT ")
	raises(function() call("UniqueIndex", "emails", "claim", "a", "") end, "^BADARGUMENT ")
	raises(function() call("UniqueIndex", "emails", "lookup") end, "^BADARGUMENT ")
	raises(function() call("UniqueIndex", "emails", "list", "", "", 0) end, "^BADARGUMENT ")
	equal(call("UniqueIndex", "emails", "count"), 0)
	equal(call("UniqueIndex", "emails", "claim", ("k"):rep(1024), "u1"), "u1")
end)
