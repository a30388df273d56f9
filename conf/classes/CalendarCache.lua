--[=[
CalendarCache: what was read from a calendar service for one user: the calendars, the events of
each, the preferences. One object a user, so clearing a user's cache clears that one and no other.

	DO.CALL CalendarCache ann put_calendars json [ttl [stale]]           -> OK
	DO.CALL CalendarCache ann put_events calendar json [ttl [stale]]     -> OK
	DO.CALL CalendarCache ann put_preferences json [ttl [stale]]         -> OK
	DO.CALL CalendarCache ann calendars | events calendar | preferences  -> map:

	state     HIT (younger than ttl), STALE (older, but usable), MISS
	age_ms    since it was put; 0 for MISS
	data      the JSON text as it was put; nil for MISS
	refresh   1 for one caller of those who get no HIT: this one should fetch and put. The
	          others get 0 until that has happened or 10 seconds have passed. Otherwise 0

	DO.CALL CalendarCache ann clear [calendars | events | preferences]   -> how many
	DO.CALL CalendarCache ann clear events calendar                      -> 1 or 0
	DO.CALL CalendarCache ann stats    -> map: entries, bytes, oldest_ms

ttl and stale are in seconds; stale is added to ttl: for so long an entry is STALE, then gone. What
they usually are, and what for each kind of data the configuration may say:

	env CalendarCache CALENDARS_TTL   300      env CalendarCache CALENDARS_STALE   3600
	env CalendarCache EVENTS_TTL      300      env CalendarCache EVENTS_STALE      3600
	env CalendarCache PREFERENCES_TTL 86400    env CalendarCache PREFERENCES_STALE 604800

The object ends by itself with its last entry.

At most 1,000 entries a user, 1 MiB each; names of calendars have 1 to 512 bytes.

Errors: BADARGUMENT, NOTJSON (or too long), FULL (too many entries), NOTCONFIGURED (a setting makes
no sense).
]=]
local CalendarCache = class("CalendarCache")

local KINDS = {
	calendars = { ttl = 300, stale = 3600 },
	events = { ttl = 300, stale = 3600 },
	preferences = { ttl = 86400, stale = 604800 },
}
local LIFE_S_MAX = 366 * 86400
local NAME_BYTES = 512
local DATA_BYTES = 1048576
local ENTRIES_MAX = 1000
local REFRESH_MS = 10000

local function seconds(value, what, code)
	value = tonumber(value)
	if not value or not (value >= 0 and value <= LIFE_S_MAX) then
		fail(code, ("%s is a number of seconds from 0 to %d"):format(what, LIFE_S_MAX))
	end
	return value
end

-- The argument, or the setting, or what is usual; in milliseconds.
local function life_ms(given, kind, name)
	if given ~= nil then
		return math.floor(seconds(given, name, "BADARGUMENT") * 1000)
	end
	local setting = kind:upper() .. "_" .. name:upper()
	local value = env[setting] or KINDS[kind][name]
	return math.floor(seconds(value, setting, "NOTCONFIGURED") * 1000)
end

local function events_name(calendar)
	if type(calendar) ~= "string" or #calendar == 0 or #calendar > NAME_BYTES then
		fail("BADARGUMENT", "a calendar is a text of 1 to " .. NAME_BYTES .. " bytes")
	end
	return "events:" .. calendar
end

function CalendarCache:init()
	self:_forget_refreshing()
end

--[[
Each entry is stored under two keys, so that looking through all entries reads no data:
	entry:NAME   put_ms, ttl_ms, ends_ms, bytes
	data:NAME    the text
]]

function CalendarCache:_put(kind, name, data, ttl, stale)
	if type(data) ~= "string" or #data > DATA_BYTES or not pcall(json.decode, data) then
		fail("NOTJSON", "the data is not JSON of at most " .. DATA_BYTES .. " bytes")
	end
	local ttl_ms, stale_ms = life_ms(ttl, kind, "ttl"), life_ms(stale, kind, "stale")
	if self.storage:get("entry:" .. name) == nil then
		self:_make_room()
	end
	local now = time.now()
	local ends_ms = now + ttl_ms + stale_ms
	self.storage:put("entry:" .. name, {
		put_ms = now,
		ttl_ms = ttl_ms,
		ends_ms = ends_ms,
		bytes = #data,
	})
	self.storage:put("data:" .. name, data)
	self.refreshing[name] = nil
	local last_ms = math.max(ends_ms, self.storage:get("ends") or 0)
	self.storage:put("ends", last_ms)
	self.storage:expire(math.max(1, last_ms - now) / 1000)
	return "OK"
end

function CalendarCache:_each(prefix, each)
	for _, stored in ipairs(self.storage:list({ prefix = "entry:" .. prefix })) do
		each(stored.key:sub(#"entry:" + 1), stored.value)
	end
end

function CalendarCache:_delete(name)
	self.storage:delete({ "entry:" .. name, "data:" .. name })
	self.refreshing[name] = nil
end

-- Entries that are gone to readers go in fact only when their room is needed.
function CalendarCache:_make_room()
	local left = 0
	self:_each("", function(name, entry)
		if entry.ends_ms <= time.now() then
			self:_delete(name)
		else
			left = left + 1
		end
	end)
	if left >= ENTRIES_MAX then
		fail("FULL", "a user has at most " .. ENTRIES_MAX .. " entries")
	end
end

function CalendarCache:_forget_refreshing()
	self.refreshing = {} -- by name: until when somebody is thought to fetch
	self.refreshing_count = 0
end

-- 1: this caller is the one to fetch.
function CalendarCache:_leads(name)
	local now = time.now()
	if (self.refreshing[name] or 0) > now then
		return 0
	end
	-- Names that nobody ever puts must not fill the memory.
	if self.refreshing_count >= ENTRIES_MAX then
		self:_forget_refreshing()
	end
	self.refreshing[name] = now + REFRESH_MS
	self.refreshing_count = self.refreshing_count + 1
	return 1
end

function CalendarCache:_get(name)
	local now = time.now()
	local entry = self.storage:get("entry:" .. name)
	if entry == nil or entry.ends_ms <= now then
		return { state = "MISS", age_ms = 0, refresh = self:_leads(name) }
	end
	local answer = { state = "HIT", age_ms = math.max(0, now - entry.put_ms), refresh = 0 }
	answer.data = self.storage:get("data:" .. name)
	if answer.age_ms >= entry.ttl_ms then
		answer.state, answer.refresh = "STALE", self:_leads(name)
	end
	return answer
end

function CalendarCache:put_calendars(data, ttl, stale)
	return self:_put("calendars", "calendars", data, ttl, stale)
end

function CalendarCache:put_events(calendar, data, ttl, stale)
	return self:_put("events", events_name(calendar), data, ttl, stale)
end

function CalendarCache:put_preferences(data, ttl, stale)
	return self:_put("preferences", "preferences", data, ttl, stale)
end

function CalendarCache:calendars()
	return self:_get("calendars")
end

function CalendarCache:events(calendar)
	return self:_get(events_name(calendar))
end

function CalendarCache:preferences()
	return self:_get("preferences")
end

-- How many of what goes could still be read.
function CalendarCache:_clear(prefix)
	local now, live = time.now(), 0
	self:_each(prefix, function(name, entry)
		live = live + (entry.ends_ms > now and 1 or 0)
		self:_delete(name)
	end)
	return live
end

function CalendarCache:clear(kind, calendar)
	if kind == nil then
		local live = self:_clear("")
		self.storage:delete_all()
		return live
	end
	if not KINDS[kind] or (calendar ~= nil and kind ~= "events") then
		fail("BADARGUMENT", "clear takes calendars, events [calendar] or preferences")
	end
	if calendar == nil then
		return self:_clear(kind)
	end
	local name = events_name(calendar)
	local entry = self.storage:get("entry:" .. name)
	self:_delete(name)
	return entry and entry.ends_ms > time.now() and 1 or 0
end

function CalendarCache:stats()
	local now = time.now()
	local stats = { entries = 0, bytes = 0, oldest_ms = 0 }
	self:_each("", function(_, entry)
		if entry.ends_ms > now then
			stats.entries = stats.entries + 1
			stats.bytes = stats.bytes + entry.bytes
			stats.oldest_ms = math.max(stats.oldest_ms, now - entry.put_ms)
		end
	end)
	return stats
end

return CalendarCache
