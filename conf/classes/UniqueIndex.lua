--[=[
UniqueIndex: which id a key belongs to, each key to one id only: e-mail addresses to users, names
to projects. "Look it up, and if it is not there create it" is one step here, so two clients that
do it at once get the same id, and no duplicate is ever made.

	DO.CALL UniqueIndex emails claim ann@x.org u17     -> "u17"   it was free, and is u17's
	DO.CALL UniqueIndex emails claim ann@x.org u99     -> "u17"   it was not: the owner
	DO.CALL UniqueIndex emails claim bob@x.org         -> a new random id (a UUID)
	DO.CALL UniqueIndex emails lookup ann@x.org        -> "u17", or nil
	DO.CALL UniqueIndex emails release ann@x.org u17   -> 1; 0 when it is not u17's
	DO.CALL UniqueIndex emails release ann@x.org       -> 1 whoever owns it; 0 when free
	DO.CALL UniqueIndex emails move ann@x.org ann@y.org u17
	        -> the owner of ann@y.org; u17 when it was free: then ann@x.org is free
	DO.CALL UniqueIndex emails list [prefix [after [limit]]]
	        -> key, id, key, id, ... in byte order of the keys
	DO.CALL UniqueIndex emails count                   -> how many keys are taken

One object is one index, and does one call at a time. When that is too slow, spread an index over
several objects by a hash of the key (emails:00 to emails:ff): a key is then still in one object.
Keys are compared byte by byte: bring addresses to one form (lower case) before.

Keys have 1 to 1,024 bytes, ids 1 to 1,024. list gives 1 to 1,000 keys at a time, usually 100.

Errors: BADARGUMENT, NOTOWNER (move of a key that is not the id's).
]=]
local UniqueIndex = class("UniqueIndex")

local TEXT_BYTES = 1024
local PAGE = 100
local PAGE_MAX = 1000

local function text(value, what)
	value = type(value) == "number" and tostring(value) or value
	if type(value) ~= "string" or #value == 0 or #value > TEXT_BYTES then
		fail("BADARGUMENT", what .. " is a text of 1 to " .. TEXT_BYTES .. " bytes")
	end
	return value
end

local function place(key)
	return "key:" .. text(key, "a key")
end

function UniqueIndex:_add(by)
	self.storage:put("count", (self.storage:get("count") or 0) + by)
end

function UniqueIndex:claim(key, id)
	local at = place(key)
	local owner = self.storage:get(at)
	if owner == nil then
		owner = id == nil and crypto.uuid() or text(id, "an id")
		self.storage:put(at, owner)
		self:_add(1)
	end
	return owner
end

function UniqueIndex:lookup(key)
	return self.storage:get(place(key))
end

function UniqueIndex:release(key, id)
	local at = place(key)
	local owner = self.storage:get(at)
	if owner == nil or (id ~= nil and owner ~= text(id, "an id")) then
		return 0
	end
	self.storage:delete(at)
	self:_add(-1)
	return 1
end

function UniqueIndex:move(from, to, id)
	local old, new = place(from), place(to)
	id = text(id, "an id")
	if self.storage:get(old) ~= id then
		fail("NOTOWNER", "the key to move does not belong to the id")
	end
	local owner = self.storage:get(new)
	if owner == nil then
		self.storage:delete(old)
		self.storage:put(new, id)
		return id
	end
	return owner
end

function UniqueIndex:list(prefix, after, limit)
	limit = math.tointeger(limit or PAGE)
	if not limit or limit < 1 or limit > PAGE_MAX then
		fail("BADARGUMENT", "a limit is a whole number from 1 to " .. PAGE_MAX)
	end
	local range = { prefix = "key:" .. (prefix or ""), limit = limit }
	if after ~= nil and after ~= "" then
		range.start_after = place(after)
	end
	local flat = {}
	for _, entry in ipairs(self.storage:list(range)) do
		flat[#flat + 1] = entry.key:sub(5)
		flat[#flat + 1] = entry.value
	end
	return flat
end

function UniqueIndex:count()
	return self.storage:get("count") or 0
end

return UniqueIndex
