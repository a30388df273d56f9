-- Sections: a class for the tests of self:exclusive(name, fn).
local Sections = class("Sections")

function Sections:init()
	self.trace = {}
end

function Sections:_stay(ms, who)
	self.trace[#self.trace + 1] = who .. "+"
	sleep(tonumber(ms))
	self.trace[#self.trace + 1] = who .. "-"
	return who, "and more"
end

function Sections:stay(name, ms, who)
	local first, second = self:exclusive(name, function()
		return self:_stay(ms, who)
	end)
	return first .. " " .. second
end

function Sections:trace_of()
	return table.concat(self.trace, " ")
end

function Sections:fails(name)
	self:exclusive(name, function()
		self.storage:put("written", "before the wait")
		sleep(10)
		self.storage:put("written", "after the wait")
		fail("TEAPOT", "short and stout")
	end)
end

function Sections:breaks(name)
	self:exclusive(name, function()
		sleep(10)
		error("broken")
	end)
end

function Sections:loops(name)
	self:exclusive(name, function()
		sleep(10)
		while true do
		end
	end)
end

function Sections:catches(name)
	local ok = pcall(self.breaks, self, name)
	sleep(1000)
	return ok
end

function Sections:closes(ms)
	self:exclusive(function()
		sleep(tonumber(ms))
	end)
end

function Sections:closes_within(name, ms)
	self:exclusive(name, function()
		self:closes(ms)
	end)
end

function Sections:nests(name)
	self:exclusive("outer", function()
		self:exclusive(name, function() end)
	end)
end

function Sections:enters_behind_a_closed_gate()
	self:exclusive(function()
		self:exclusive("a", function() end)
	end)
end

function Sections:enters_in_a_transaction()
	self.storage:transaction(function()
		self:exclusive("a", function() end)
	end)
end

function Sections:written()
	return self.storage:get("written")
end

return Sections
