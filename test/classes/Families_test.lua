--[[
Run: holdfast-server --test test/classes/Families.lua test/classes/Families_test.lua

The bench serves sessions, leases, the cache and what refreshes it, with the test's clock.
]]

test("a session lives by the test's clock", function()
	local id = command("SESSION.CREATE", "USER", "ada", "DATA", '{"cart":[]}', "TTL", 60)
	equal(command("SESSION.GET", id, "DATA"), '{"cart":[]}')
	advance(59000)
	equal(command("SESSION.GET", id).user, "ada")
	advance(60001)
	equal(command("SESSION.GET", id), nil)
	equal(command("SESSION.COUNT"), 0)
end)

test("sessions survive a restart, and log-out is final", function()
	local id = command("SESSION.CREATE", "USER", "ada", "TTL", 600)
	local other = command("SESSION.CREATE", "USER", "ada", "TTL", 600)
	restart()
	equal(command("SESSION.EXISTS", id, other), 2)
	equal(command("SESSION.DELUSER", "ada", "EXCEPT", other), 1)
	raises(function() command("SESSION.SET", id, "{}") end, "^SESSIONGONE ")
	equal(#command("SESSION.LIST", "USER", "ada"), 1)
end)

test("a lease goes to one at a time, and to the next when it ends", function()
	local id = command("SESSION.CREATE", "TTL", 600)
	local token = command("SESSION.LEASE", id, "oauth")[1]
	local waiting = begin_command("SESSION.LEASE", id, "oauth", "WAIT", 5000)
	equal(waiting:done(), false)
	equal(command("SESSION.COMMIT", id, "oauth", token, '{"token":"new"}'), 2)
	equal(waiting:result()[3], '{"token":"new"}')
	token = command("SESSION.LEASE", id, "oauth", "MS", 1000)[1]
	waiting = begin_command("SESSION.LEASE", id, "oauth", "WAIT", 5000)
	advance(1000)
	equal(waiting:done(), true)
	equal(type(waiting:result()[1]), "string")
	raises(function() command("SESSION.COMMIT", id, "oauth", token, "{}") end, "^LEASELOST ")
end)

test("the cache is fresh, then stale, then gone", function()
	command("CACHE.SET", "k", "v", "TTL", 10, "STALE", 30)
	equal(command("CACHE.GET", "k"), "v")
	advance(11000)
	equal(command("CACHE.GET", "k"), nil)
	local state, value, _, token = table.unpack(command("CACHE.SWR", "k", 10, 30))
	equal({ state, value }, { "refresh", "v" })
	local waiting = begin_command("CACHE.SWR", "k", 10, 30)
	equal(waiting:result()[1], "stale")
	equal(command("CACHE.FILL", "k", token, "w", "TTL", 10), "OK")
	equal(command("CACHE.MGET", "k", "none"), { "w" })
	equal(command("CACHE.INVALIDATE", "KEY", "k"), "OK")
	equal(command("CACHE.GET", "k"), nil)
end)

test("a method refreshes the cache", function()
	equal(command("CACHE.SWR", "k", 10, 10, "CALL", "Families", "f", "refresh")[2], "k 1")
	equal(command("CACHE.SWR", "k", 10, 10, "CALL", "Families", "f", "refresh")[2], "k 1")
	advance(11000)
	equal(command("CACHE.SWR", "k", 10, 10, "CALL", "Families", "f", "refresh")[2], "k 2")
end)

test("strings and keys are there too", function()
	command("SET", "k", "v", "EX", 10)
	equal(command("TTL", "k"), 10)
	advance(10000)
	equal(command("GET", "k"), nil)
	equal(#command("DO.NEWID"), 32)
end)

test("what classes log can be looked at, and is the test's own", function()
	call("Families", "f", "tell", "one")
	equal(logged(), { "Families 'f': told one {of = {\"f\"}}" })
	raises(function() call("Families", "f", "break_down") end, "^CLASSERR ")
	equal(#logged(), 2)
	equal(logged()[2]:match("broken; traceback: (.*)"):match("Families:%d+") ~= nil, true)
end)

test("what needs a connection or a server says so", function()
	for _, words in ipairs({ { "SUBSCRIBE", "c" }, { "CONFIG", "GET", "*" }, { "INFO" }, { "PING" },
		{ "SHUTDOWN" }, { "HELLO", "3" } }) do
		raises(function() command(table.unpack(words)) end, "^ERR '.*which holdfast%-server %-%-test has not")
	end
	raises(function() command("NONSENSE", "x") end, "^ERR unknown command 'NONSENSE'")
	raises(function() command("GET") end, "^ERR wrong number of arguments for 'get'")
end)
