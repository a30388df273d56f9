-- A class whose tests use the other families of commands beside it: see Families_test.lua.
local Families = class("Families")

-- For CACHE.SWR ... CALL: the key comes as the argument.
function Families:refresh(key)
	self.refreshes = (self.refreshes or 0) + 1
	return key .. " " .. self.refreshes
end

function Families:tell(what)
	log("told", what, { of = { self.id } })
end

function Families:break_down()
	error("broken")
end

return Families
