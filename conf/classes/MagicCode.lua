--[=[
MagicCode: a code sent to somebody to prove that an address is theirs. One object an address and
purpose, for instance login:ann@example.com.

	DO.CALL MagicCode login:ann@example.com create [ttl [digits]]   -> "402913"
	DO.CALL MagicCode login:ann@example.com verify 402913           -> one word:

	ok       the code is right; it is used up: of many that verify it at once one gets ok
	wrong    it is not, and there are tries left
	locked   too many wrong tries: the code is void
	none     there is no code: never made, used, expired, replaced by a newer one, or cancelled

	DO.CALL MagicCode login:ann@example.com cancel   -> 1, or 0 when there was none
	DO.CALL MagicCode login:ann@example.com status   -> map: live, tries_left, expires_ms,
	                                                    codes_left

ttl is in seconds, 10 to 86,400, usually 600. digits is 4 to 12, usually 6. A new code replaces the
one before. A code allows 5 tries, and an address gets 5 codes an hour: so a guesser has 25 guesses
an hour at a million possibilities.

The code itself is never stored, only an HMAC-SHA-256 of it with a random salt, compared in
constant time. A few digits are soon tried through by whoever has the disk, unless the key is not
on it:

	env MagicCode SECRET "a long random text"

The object ends by itself when there is nothing to remember.

Errors: BADARGUMENT; TOOMANY (no more codes for now; the message says for how long).
]=]
local MagicCode = class("MagicCode")

local TTL_S = 600
local DIGITS = 6
local TRIES = 5
local CODES = 5
local CODES_WINDOW_MS = 3600 * 1000

local function whole(value, what, least, most)
	value = math.tointeger(value)
	if not value or value < least or value > most then
		local message = "%s is a whole number from %d to %d"
		fail("BADARGUMENT", message:format(what, least, most))
	end
	return value
end

-- Bytes from 250 on are left out: the ten digits are equally likely.
local function random_digits(count)
	local digits = {}
	while #digits < count do
		for _, byte in ipairs({ crypto.random(count):byte(1, -1) }) do
			if byte < 250 and #digits < count then
				digits[#digits + 1] = byte % 10
			end
		end
	end
	return table.concat(digits)
end

function MagicCode:_digest(salt, code)
	return crypto.hmac_sha256((env.SECRET or "") .. salt, self.id .. "\0" .. code)
end

function MagicCode:_live_code()
	local code = self.storage:get("code")
	if code and code.expires_ms > time.now() then
		return code
	end
end

-- When codes were made within the last hour.
function MagicCode:_recent()
	local recent = {}
	for _, made_ms in ipairs(self.storage:get("made") or {}) do
		if made_ms > time.now() - CODES_WINDOW_MS then
			recent[#recent + 1] = made_ms
		end
	end
	return recent
end

function MagicCode:create(ttl, digits)
	ttl = whole(ttl or TTL_S, "a ttl", 10, 86400)
	digits = whole(digits or DIGITS, "a number of digits", 4, 12)
	local now, made = time.now(), self:_recent()
	if #made >= CODES then
		local seconds = math.ceil((made[1] + CODES_WINDOW_MS - now) / 1000)
		local message = "%d codes were made within the hour; retry after %d s"
		fail("TOOMANY", message:format(CODES, seconds))
	end
	made[#made + 1] = now
	local code, salt = random_digits(digits), crypto.random(16)
	self.storage:put("made", made)
	self.storage:put("code", {
		salt = salt,
		digest = self:_digest(salt, code),
		expires_ms = now + ttl * 1000,
		tries_left = TRIES,
	})
	self.storage:expire(math.max(ttl, CODES_WINDOW_MS // 1000))
	return code
end

-- An answer and never an error: an error would undo that the try was counted.
function MagicCode:verify(given)
	local code = self:_live_code()
	if not code then
		return "none"
	end
	if code.tries_left == 0 then
		return "locked"
	end
	if crypto.equal(self:_digest(code.salt, tostring(given)), code.digest) then
		self.storage:delete("code")
		return "ok"
	end
	code.tries_left = code.tries_left - 1
	self.storage:put("code", code)
	return code.tries_left > 0 and "wrong" or "locked"
end

function MagicCode:cancel()
	local code = self:_live_code()
	self.storage:delete("code")
	return code and 1 or 0
end

function MagicCode:status()
	local code = self:_live_code()
	return {
		live = code ~= nil and code.tries_left > 0,
		tries_left = code and code.tries_left or 0,
		expires_ms = code and code.expires_ms or 0,
		codes_left = CODES - #self:_recent(),
	}
end

return MagicCode
