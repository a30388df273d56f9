--[=[
Counter: a whole number that many can add to at once; no addition is lost, none is done twice by
the server. One object a counter; an object that was never added to counts as 0.

	DO.CALL Counter visits add          -> 1        by one
	DO.CALL Counter visits add 10       -> 11       by any whole number, negative ones too
	DO.CALL Counter visits get          -> 11
	DO.CALL Counter visits set 5        -> 5
	DO.CALL Counter visits reset        -> 5        what it was; the object is gone

Numbers are 64-bit.

Errors: BADARGUMENT (not a whole number), OVERFLOW (the sum does not fit; nothing is changed).
]=]
local Counter = class("Counter")

local function whole(value, what)
	return math.tointeger(value) or fail("BADARGUMENT", what .. " is not a whole number")
end

function Counter:init()
	self.n = whole(self.storage:get("n") or 0, "what is stored under 'n'")
end

function Counter:_set(n)
	self.storage:put("n", n)
	self.n = n
	return n
end

function Counter:add(by)
	by = whole(by or 1, "what to add")
	local sum = self.n + by
	if (sum < self.n) ~= (by < 0) then
		fail("OVERFLOW", "the counter would not fit into 64 bits")
	end
	return self:_set(sum)
end

function Counter:get()
	return self.n
end

function Counter:set(n)
	return self:_set(whole(n, "a counter"))
end

function Counter:reset()
	local before = self.n
	self.storage:delete_all()
	self.n = 0
	return before
end

return Counter
