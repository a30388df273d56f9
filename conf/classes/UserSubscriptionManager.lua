--[=[
UserSubscriptionManager: all that is polled for one user: OAuth tokens of providers, the feeds the
user follows there, and what was found in them. One object a user; the user's id is the object's.

Tokens
	set_token provider access [refresh [expires-in-s [scope]]]
	        -> 1; 0 when `refresh` is one that has been replaced already (a late writer)
	token provider
	        -> an access token that is valid for a minute at least, if need be after a refresh;
	           when that fails, one that is valid still
	reject provider access
	        -> 1, or 0 when it is not the present one: the provider did not take this access
	           token, so the next `token` refreshes
	refresh provider refresh
	        -> map: access_token, refresh_token, expires_at, token_type, scope
	forget provider      -> 1, or 0 when there was no token
	export_tokens        -> JSON by provider, for a way back; import_tokens takes it
	import_tokens json   -> how many were taken

A token is refreshed once, whoever asks and however many: the others wait and get the same answer;
what needs no token goes on meanwhile.
What the provider gave is on disk before anybody sees it. When the answer to a refresh is lost, the
same refresh token is sent again, at once and then less and less often; a provider that lost the
answer only hands out the successor again. A refresh token that somebody presents to `refresh` is
never spent twice: one that was replaced a short while ago (REFRESH_GRACE_S) gets what replaced it.
A provider that does not take the refresh token any more wants the user to log in: nothing is sent to
it until set_token. Providers say so in many ways, which are all read: invalid_grant and its kin
(bad_refresh_token, invalid_refresh_token, interaction_required, ...), in an answer of 400, 401, 403
or 200, as a field, nested, or in a sentence. What is wrong with the client (invalid_client, ...) is
not the user's to mend. Answers are JSON or a form; a life may be a number, a text, a moment, or
missing; a refresh token that is missing stays; scopes come in one text with blanks between them.

Subscriptions
	subscribe provider feed [title]   -> 1, or 0 when it was there
	unsubscribe provider feed         -> 1, or 0 when it was not
	list [provider]                   -> maps: provider, feed, title, since, last_poll,
	                                     last_ok, failures, last_error
	set_interval s                    -> OK; how often is polled, 10 s to 30 days
	poll [provider]                   -> map: feeds, failed, skipped, new_items; busy 1 when
	                                     a poll is under way already
	items [limit [before]]            -> maps, the newest first: number, provider, feed, id,
	                                     title, url, published, found; `before` is the
	                                     number of the last one of the page before
	last_poll                         -> when, or nil

A subscription makes the object poll by itself (schedule "poll"), until the last one is gone. An
item is found once, however often it is in the feed. The newest ITEMS_MAX are kept, those of feeds
that were left too. Times are ms since 1970.

Watching and leaving
	health        -> map: status (ok, failing, login_required); by provider what it does,
	                 success rates, durations, last errors
	delete_user   -> how many keys were deleted: tokens, subscriptions, items, schedule, all

Providers are whatever the configuration names, here `spotify` (1 to 32 lower-case letters, digits,
_), in lines `env UserSubscriptionManager NAME value`. The hosts must be in fetch-allow as well.

	SPOTIFY_TOKEN_URL       https://accounts.spotify.com/api/token
	SPOTIFY_FEED_URL        https://api.spotify.com/v1/shows/{feed}/episodes
	SPOTIFY_CLIENT_ID       id
	SPOTIFY_CLIENT_SECRET   secret
	SPOTIFY_AUTH            basic    how these two are sent: basic (usual), or body
	SPOTIFY_RATE            5        feeds asked for a second, for one user
	SPOTIFY_BURST           10       and at once
	POLL_S                  1800     how often, for users without set_interval
	ITEMS_MAX               1000
	REFRESH_GRACE_S         300
	FETCH_TIMEOUT_MS        10000

A feed is JSON: an array of items, or a map with them in `items`; what is no item is passed over, and
ids are kept as they are written, however large. A map without `items` that names an error is a
failure, also with status 200; one about the token is as good as status 401. Of an item are read, the first
that is there: id, guid, id.videoId; title, name, snippet.title; url, link, external_urls.spotify;
published, published_at, release_date, snippet.publishedAt. An item without an id is left out.

A provider that answers 429, or names such a limit, is left alone until its Retry-After is over (a
minute without one); so is one that answers 503 with a Retry-After.

Errors: BADARGUMENT; NOTCONFIGURED (a setting is missing); NOTOKEN (set_token comes first);
LOGINREQUIRED; REFRESHFAILED (no valid token now; the message says when it is tried again);
STALETOKEN (`refresh` with a token that is neither the present one nor a recent one); FULL (too many
subscriptions).

Tokens are stored as they are: who can read the data directory can read them.
]=]
local UserSubscriptionManager = class("UserSubscriptionManager")

local EXPIRY_MARGIN_MS = 60000 -- a token that lives no longer is not handed out
local EXPIRES_IN_S = 3600      -- when the provider does not say
local LIFE_S_MAX = 10 * 366 * 86400
local REPEAT_AFTER_MS = 500    -- a refresh whose answer was lost is sent again
local RETRY_FIRST_MS = 1000    -- then refused, for twice as long each time
local RETRY_MOST_MS = 300000
local LIMITED_MS = 60000       -- after a 429 that does not say
local LIMITED_MOST_MS = 86400000
local REPLACED_MAX = 10        -- refresh tokens remembered after they were replaced
local SUBSCRIPTIONS_MAX = 1000
local PAGE_MAX = 200           -- items read of one answer
local SEEN_MAX = 500           -- items of a feed remembered; more than a page
local POLL_MOST_MS = 300000    -- feeds that are not reached come first the next time
local FAILURES_IN_A_ROW = 3    -- then a provider is left for this poll
local TEXT_BYTES = 16384      -- of a token: some carry claims
local FORM_BYTES = 65536       -- of an answer that is a form
local ERROR_BYTES = 16384      -- of an answer that is an error with status 200
local MOMENT_S_LEAST = 1e9     -- more seconds than a life has: since 1970
local MOMENT_MS_LEAST = 1e12
local ITEM_TEXT_BYTES = 2048   -- more of a title or URL is cut off

--[[
Storage. Nothing is kept in memory but the mark that a poll is under way, so a call that fails and
is undone leaves nothing behind.
	token:PROVIDER          see _store_token
	limit:PROVIDER          level, at: the token bucket; blocked_until
	subscription:PROVIDER:FEED
	seen:PROVIDER:FEED      ids, those of the last answer first
	item:NUMBER             15 digits
	items                   first, next: numbers
	figures:WHAT            see _note
	interval, last_poll
]]

---- arguments and settings

local function text(value, what, most)
	most = most or TEXT_BYTES
	if type(value) ~= "string" or #value == 0 or #value > most then
		fail("BADARGUMENT", ("%s is a text of 1 to %d bytes"):format(what, most))
	end
	return value
end

local function optional_text(value, what)
	if value ~= nil and value ~= "" and value ~= json.null then
		return text(value, what)
	end
end

local function provider_name(value)
	if type(value) ~= "string" or #value > 32 or not value:find("^[a-z0-9_]+$") then
		fail("BADARGUMENT", "a provider is 1 to 32 lower-case letters, digits and _")
	end
	local upper = value:upper()
	if not env[upper .. "_TOKEN_URL"] and not env[upper .. "_FEED_URL"] then
		fail("NOTCONFIGURED", upper .. "_TOKEN_URL and _FEED_URL are missing")
	end
	return value
end

local function number(value, what, least, most)
	value = tonumber(value)
	if not value or not (value >= least and value <= most) then
		fail("BADARGUMENT", ("%s is a number from %s to %s"):format(what, least, most))
	end
	return value
end

local function setting(name)
	return env[name] or fail("NOTCONFIGURED", name .. " is missing")
end

local function number_setting(name, usual, least, most)
	local value = tonumber(env[name] or usual)
	if not value or not (value >= least and value <= most) then
		fail("NOTCONFIGURED", ("%s is a number from %s to %s"):format(name, least, most))
	end
	return value
end

local function fetch_timeout_ms()
	return math.floor(number_setting("FETCH_TIMEOUT_MS", 10000, 1, 120000))
end

---- HTTP

local function percent(value)
	return (value:gsub("[^%w%-._~]", function(byte)
		return ("%%%02X"):format(byte:byte())
	end))
end

local function form(fields)
	local parts = {}
	for _, field in ipairs(fields) do
		parts[#parts + 1] = field[1] .. "=" .. percent(field[2])
	end
	return table.concat(parts, "&")
end

-- Ids beyond 64 bits stay what they are.
local function decode(body)
	local ok, value = pcall(json.decode, body, { big_numbers = "text" })
	return ok and type(value) == "table" and value or nil
end

local function unescaped(value)
	return (value:gsub("+", " "):gsub("%%(%x%x)", function(digits)
		return string.char(tonumber(digits, 16))
	end))
end

-- The fields of a form, as GitHub and Facebook answer; nil when it is none.
local function decode_form(body)
	local fields = {}
	if #body > FORM_BYTES or not body:find("^[%w_.%-]+=[^%s<>{}]*%s*$") then
		return nil
	end
	for name, value in body:gmatch("([^&=%s]+)=([^&%s]*)") do
		fields[unescaped(name)] = unescaped(value)
	end
	return fields
end

local function words(text)
	local set = {}
	for word in text:gmatch("%S+") do
		set[word] = true
	end
	return set
end

local function text_or_nil(value)
	return type(value) == "string" and value ~= "" and value or nil
end

local MONTHS = {
	Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
	Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- RFC 9110, 10.2.3: seconds, or a date as in `Wed, 21 Oct 2015 07:28:00 GMT`.
local function retry_after_ms(headers)
	local value = headers["retry-after"] or ""
	local ms = tonumber(value:match("^%s*(%d+)%s*$"))
	if ms then
		ms = ms * 1000
	else
		local day, month, year, clock =
			value:match("(%d%d) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT")
		local at = MONTHS[month]
			and time.parse(("%s-%02d-%sT%sZ"):format(year, MONTHS[month], day, clock))
		ms = at and at - time.now() or LIMITED_MS
	end
	return math.tointeger(math.max(1000, math.min(ms, LIMITED_MOST_MS)))
end

--[[
What has been written so far stays, whatever becomes of the call: an error undoes what was written
since the last wait, and this is one.
]]
local function keep_written()
	sleep(0)
end

---- figures

-- One more of what is called `what`, which took `ms`; `problem` nil: it went well.
function UserSubscriptionManager:_note(what, ms, problem)
	local key = "figures:" .. what
	local figures = self.storage:get(key)
		or { ok = 0, failed = 0, last_ms = 0, longest_ms = 0, total_ms = 0 }
	if problem then
		figures.failed = figures.failed + 1
		figures.last_error, figures.last_error_at = problem:sub(1, 200), time.now()
	else
		figures.ok = figures.ok + 1
	end
	figures.last_ms, figures.total_ms = ms, figures.total_ms + ms
	figures.longest_ms = math.max(figures.longest_ms, ms)
	self.storage:put(key, figures)
end

local function show_figures(figures)
	local count = figures.ok + figures.failed
	return {
		ok = figures.ok,
		failed = figures.failed,
		success_rate = figures.ok / count,
		mean_ms = figures.total_ms // count,
		longest_ms = figures.longest_ms,
		last_ms = figures.last_ms,
		last_error = figures.last_error,
		last_error_at = figures.last_error_at,
	}
end

---- tokens

local function is_fresh(token)
	return token.refresh_at > time.now()
end

local function is_valid(token)
	return token.expires_at > time.now()
end

local function shown(token)
	return {
		access_token = token.access_token,
		refresh_token = token.refresh_token,
		expires_at = token.expires_at,
		token_type = token.token_type,
		scope = token.scope,
	}
end

--[[
Only one call at a time is in here for a provider; the others wait, and look again at what is stored
when it is their turn.
]]
function UserSubscriptionManager:_one_at_a_time(provider, work)
	return self:exclusive("token " .. provider, work)
end

function UserSubscriptionManager:_stored_token(provider)
	return self.storage:get("token:" .. provider)
		or fail("NOTOKEN", ("there is no token for %s"):format(provider))
end

local function was_replaced(token, refresh_token, within_ms)
	local hash = crypto.sha256(refresh_token)
	for _, replaced in ipairs(token and token.replaced or {}) do
		if crypto.equal(replaced.hash, hash) and time.now() - replaced.at <= within_ms then
			return true
		end
	end
	return false
end

-- `old` with what the provider gave; the refresh token that is no longer in use is remembered.
function UserSubscriptionManager:_store_token(provider, old, new)
	local replaced = old and old.replaced or {}
	local refresh_token = new.refresh_token or (old and old.refresh_token)
	if old and old.refresh_token and old.refresh_token ~= refresh_token then
		local hash = crypto.sha256(old.refresh_token)
		table.insert(replaced, 1, { hash = hash, at = time.now() })
		replaced[REPLACED_MAX + 1] = nil
	end
	local token = {
		access_token = new.access_token,
		refresh_token = refresh_token,
		expires_at = new.expires_at,
		refresh_at = new.refresh_at or new.expires_at - EXPIRY_MARGIN_MS,
		token_type = new.token_type or (old and old.token_type) or "Bearer",
		scope = new.scope or (old and old.scope),
		updated_at = time.now(),
		replaced = replaced, -- hash and time of refresh tokens, the last first
		failures = 0, -- of refreshes, in a row
		retry_at = 0, -- no refresh before
		-- And after one that failed: last_error; login, when the user has to log in.
	}
	self.storage:put("token:" .. provider, token)
	return token
end

local function refresh_request(provider, refresh_token)
	local upper = provider:upper()
	local id, secret = setting(upper .. "_CLIENT_ID"), env[upper .. "_CLIENT_SECRET"] or ""
	local fields = { { "grant_type", "refresh_token" }, { "refresh_token", refresh_token } }
	local headers = {
		["Content-Type"] = "application/x-www-form-urlencoded",
		Accept = "application/json",
	}
	if (env[upper .. "_AUTH"] or "basic") == "basic" then
		local both = percent(id) .. ":" .. percent(secret)
		headers.Authorization = "Basic " .. crypto.base64(both)
	else
		fields[#fields + 1] = { "client_id", id }
		fields[#fields + 1] = { "client_secret", secret }
	end
	return {
		url = setting(upper .. "_TOKEN_URL"),
		method = "POST",
		headers = headers,
		body = form(fields),
		timeout = fetch_timeout_ms(),
		redirects = 0,
	}
end

--[[
How long a token lives from when it was sent, in seconds. Microsoft and others write numbers as
texts, Facebook `expires`, Strava and older Microsoft a moment; 0 and nothing both mean that the
provider does not say.
]]
local function life_s(body, sent_at)
	for _, name in ipairs({ "expires_in", "expires", "expires_at", "expires_on" }) do
		local value = body[name]
		local seconds = tonumber(value)
		if seconds and seconds > MOMENT_MS_LEAST then
			seconds = (seconds - sent_at) / 1000
		elseif seconds and seconds > MOMENT_S_LEAST then
			seconds = seconds - sent_at / 1000
		elseif not seconds and type(value) == "string" then
			local at = time.parse(value)
			seconds = at and (at - sent_at) / 1000
		end
		if seconds and seconds > 0 then
			return seconds
		end
	end
	return EXPIRES_IN_S
end

-- Twitch answers with a list, Slack and GitHub with commas, most with blanks as RFC 6749 has it.
local function scope_of(scope)
	if type(scope) == "table" then
		local parts = {}
		for _, part in ipairs(scope) do
			parts[#parts + 1] = text_or_nil(part)
		end
		scope = table.concat(parts, " ")
	end
	scope = text_or_nil(scope)
	return scope and (scope:find(" ") and scope or (scope:gsub(",", " "))):sub(1, TEXT_BYTES)
end

-- `bearer` and `BEARER` are one type.
local function type_of(token_type)
	token_type = text_or_nil(token_type)
	return token_type and token_type:lower() == "bearer" and "Bearer" or token_type
end

-- Of a token that lives for less than two minutes half the life is used, or nobody would get it.
local function tokens_of(body, sent_at)
	local life_ms = math.floor(math.max(1, math.min(life_s(body, sent_at), LIFE_S_MAX)) * 1000)
	return {
		access_token = body.access_token,
		refresh_token = text_or_nil(body.refresh_token),
		expires_at = sent_at + life_ms,
		refresh_at = sent_at + life_ms - math.min(EXPIRY_MARGIN_MS, life_ms // 2),
		token_type = type_of(body.token_type),
		scope = scope_of(body.scope),
	}
end

---- what providers call their errors

-- The refresh token, or what the user once allowed, is no more.
local LOGIN_WORDS = words([[
	invalid_grant bad_refresh_token invalid_refresh_token expired_refresh_token
	revoked_refresh_token refresh_token_expired refresh_token_invalid refresh_token_revoked
	refresh_token_not_found invalid_token expired_token token_expired token_revoked
	invalid_code invalid_auth not_authed interaction_required login_required consent_required
	account_selection_required access_denied authorization_revoked user_revoked
	user_inactive inactive_user inactive_org account_inactive account_disabled
]])
-- The client, its settings or the request; whatever else is said of tokens then.
local CLIENT_WORDS = words([[
	invalid_client incorrect_client_credentials bad_client_secret bad_client_id invalid_client_id
	invalid_client_secret client_not_found deleted_client application_suspended
	unsupported_grant_type invalid_grant_type invalid_scope
]])
local LIMIT_WORDS = words([[
	ratelimited rate_limited rate_limit rate_limit_exceeded too_many_requests slow_down
	temporarily_unavailable
]])
-- In a sentence about a refresh token.
local BAD_WORDS = { "invalid", "expired", "revoked", "incorrect", "unknown", "not found", "malformed" }

-- All texts of an answer in lower case; it may nest them, as Facebook, Fitbit and Strava do.
local function texts_of(value, texts, depth)
	if type(value) == "string" then
		texts[#texts + 1] = value:sub(1, 500):lower()
	elseif type(value) == "table" and depth < 4 then
		for _, inner in pairs(value) do
			if #texts < 50 then
				texts_of(inner, texts, depth + 1)
			end
		end
	end
	return texts
end

local function has_word(texts, set)
	for _, text in ipairs(texts) do
		if set[text:gsub("[%s%-]+", "_")] then
			return true
		end
	end
	return false
end

local function has_sentence(texts)
	for _, text in ipairs(texts) do
		local is_about = text:find("refresh[ _%-]?token") or text:find("the token was", 1, true)
		for _, bad in ipairs(is_about and BAD_WORDS or {}) do
			if text:find(bad, 1, true) then
				return true
			end
		end
	end
	return false
end

-- Facebook's and Strava's own ways.
local function has_code(body)
	local problem = type(body.error) == "table" and body.error or {}
	local code = tonumber(problem.code)
	if problem.type == "OAuthException" and (code == 190 or code == 102) then
		return true
	end
	for _, entry in ipairs(type(body.errors) == "table" and body.errors or {}) do
		if type(entry) == "table" and entry.resource == "RefreshToken" then
			return true
		end
	end
	return false
end

-- Some answers have the field always, and put nothing into it.
local function is_set(value)
	if type(value) == "table" then
		return next(value) ~= nil
	end
	return value ~= nil and value ~= json.null and value ~= false and value ~= ""
end

-- What is wrong by its name, for people to read; nil when the answer names nothing.
local function error_name(body)
	local problem = is_set(body.error) and body.error
	if type(problem) == "table" then
		problem = text_or_nil(problem.errorId) or text_or_nil(problem.message)
			or text_or_nil(problem.type) or "error"
	elseif type(body.errors) == "table" and is_set(body.errors) then
		local first = body.errors[1] or body.errors
		problem = type(first) == "table"
			and (text_or_nil(first.errorType) or text_or_nil(first.message)
				or text_or_nil(first.code)) or "errors"
	elseif not text_or_nil(problem) then
		problem = body.ok == false and "not ok" or nil
		problem = text_or_nil(body.message) or text_or_nil(body.status) or problem
	end
	return problem and problem:sub(1, 100)
end

-- "login", "limited", or nil: something else.
local function error_kind(body)
	local texts = texts_of(body, {}, 0)
	if has_word(texts, CLIENT_WORDS) then
		return nil
	elseif has_word(texts, LIMIT_WORDS) then
		return "limited"
	elseif has_word(texts, LOGIN_WORDS) or has_sentence(texts) or has_code(body) then
		return "login"
	end
end

--[[
What an answer of the token endpoint means: `tokens`; or a `problem`, and with it is_lost (the work
may have been done), needs_login, or pause_ms when the provider says so.
]]
local function judge_refresh(answer, message, sent_at)
	if not answer then
		return { problem = message, is_lost = true }
	end
	local status = answer.status
	local body = decode(answer.body) or decode_form(answer.body) or {}
	local is_good = status >= 200 and status < 300
	if is_good and text_or_nil(body.access_token) then
		return { tokens = tokens_of(body, sent_at) }
	end
	local name, kind = error_name(body), error_kind(body)
	local waits = status == 429 or kind == "limited" or answer.headers["retry-after"]
	return {
		problem = ("HTTP %d: %s"):format(status, name or "no answer of OAuth"),
		is_lost = not waits and (is_good and not name or status >= 500 or status == 408),
		needs_login = status < 500 and status ~= 429 and kind == "login",
		pause_ms = waits and retry_after_ms(answer.headers) or nil,
	}
end

-- The verdict; nil when the user logged in anew meanwhile, or the token was forgotten.
function UserSubscriptionManager:_send_refresh(provider, token)
	local key = "token:" .. provider
	local sent_at = time.now()
	local answer, message = http.fetch(refresh_request(provider, token.refresh_token))
	local now = self.storage:get(key)
	if now and now.refresh_token == token.refresh_token then
		local verdict = judge_refresh(answer, message, sent_at)
		self:_note("refresh:" .. provider, time.now() - sent_at, verdict.problem)
		return verdict
	end
end

-- The token as it is now stored: with what the provider gave, or with when to try again.
function UserSubscriptionManager:_refresh(provider, token)
	local key = "token:" .. provider
	local verdict = self:_send_refresh(provider, token)
	if verdict and verdict.is_lost then
		sleep(REPEAT_AFTER_MS)
		local now = self.storage:get(key)
		verdict = now and now.refresh_token == token.refresh_token
			and self:_send_refresh(provider, token)
	end
	if not verdict then
		return self.storage:get(key)
	elseif verdict.tokens then
		return self:_store_token(provider, token, verdict.tokens)
	end
	local pause_ms = math.min(RETRY_FIRST_MS << math.min(token.failures, 20), RETRY_MOST_MS)
	token.failures = token.failures + 1
	token.last_error = verdict.problem
	token.login = verdict.needs_login
	token.retry_at = time.now() + (verdict.pause_ms or pause_ms)
	self.storage:put(key, token)
	log.warning("refresh for", provider, "failed:", verdict.problem)
	return token
end

-- The reason why a token cannot be handed out: code and message; nil when it can.
local function refusal(provider, token)
	if not token then
		return "NOTOKEN", ("there is no token for %s"):format(provider)
	elseif token.login then
		local message = "%s wants the user to log in: %s"
		return "LOGINREQUIRED", message:format(provider, token.last_error)
	elseif is_valid(token) then
		return nil
	elseif not token.refresh_token then
		local message = "the token for %s has ended, and has no refresh token"
		return "LOGINREQUIRED", message:format(provider)
	end
	local ms = math.max(0, token.retry_at - time.now())
	local message = "%s gives no token (%s); tried again in %d ms"
	return "REFRESHFAILED", message:format(provider, token.last_error or "expired", ms)
end

local function wants_refresh(token)
	return token and not is_fresh(token) and not token.login and token.refresh_token
		and token.retry_at <= time.now()
end

-- The stored token, refreshed if need be; or nil, code, message.
function UserSubscriptionManager:_usable_token(provider)
	local key = "token:" .. provider
	local token = self.storage:get(key)
	if wants_refresh(token) then
		token = self:_one_at_a_time(provider, function()
			local now = self.storage:get(key)
			return wants_refresh(now) and self:_refresh(provider, now) or now
		end)
	end
	local code, message = refusal(provider, token)
	if code then
		return nil, code, message
	end
	return token
end

function UserSubscriptionManager:_token_or_fail(provider)
	local token, code, message = self:_usable_token(provider)
	if not token then
		keep_written()
		fail(code, message)
	end
	return token
end

function UserSubscriptionManager:reject(provider, access)
	local key = "token:" .. provider_name(provider)
	local token = self.storage:get(key)
	if not token or token.access_token ~= access then
		return 0
	end
	token.expires_at, token.refresh_at = 0, 0
	self.storage:put(key, token)
	return 1
end

function UserSubscriptionManager:set_token(provider, access, refresh, expires_in, scope)
	provider = provider_name(provider)
	text(access, "an access token")
	refresh = optional_text(refresh, "a refresh token")
	local seconds = number(expires_in or EXPIRES_IN_S, "a life in seconds", 0, LIFE_S_MAX)
	return self:_take_token(provider, {
		access_token = access,
		refresh_token = refresh,
		expires_at = time.now() + math.floor(seconds * 1000),
		scope = optional_text(scope, "a scope"),
	})
end

function UserSubscriptionManager:_take_token(provider, new)
	local old = self.storage:get("token:" .. provider)
	if new.refresh_token then
		setting(provider:upper() .. "_TOKEN_URL")
		setting(provider:upper() .. "_CLIENT_ID")
		if was_replaced(old, new.refresh_token, math.huge) then
			return 0
		end
	end
	self:_store_token(provider, old, new)
	return 1
end

function UserSubscriptionManager:token(provider)
	return self:_token_or_fail(provider_name(provider)).access_token
end

function UserSubscriptionManager:refresh(provider, refresh_token)
	provider = provider_name(provider)
	text(refresh_token, "a refresh token")
	local token = self:_stored_token(provider)
	local grace_ms = number_setting("REFRESH_GRACE_S", 300, 0, 30 * 86400) * 1000
	local is_present = token.refresh_token and crypto.equal(token.refresh_token, refresh_token)
	if not is_present and not was_replaced(token, refresh_token, grace_ms) then
		fail("STALETOKEN", ("%s has another refresh token by now"):format(provider))
	end
	return shown(self:_token_or_fail(provider))
end

function UserSubscriptionManager:forget(provider)
	return self.storage:delete("token:" .. provider_name(provider)) and 1 or 0
end

-- Never one that is being spent at this moment: the way back would begin with a dead token.
function UserSubscriptionManager:export_tokens()
	local tokens = {}
	for _, entry in ipairs(self.storage:list({ prefix = "token:" })) do
		local provider = entry.key:sub(#"token:" + 1)
		self:_one_at_a_time(provider, function()
			local token = self.storage:get(entry.key)
			tokens[provider] = token and shown(token)
		end)
	end
	return next(tokens) and json.encode(tokens) or "{}"
end

function UserSubscriptionManager:import_tokens(exported)
	local tokens = decode(text(exported, "an export", 1048576))
		or fail("BADARGUMENT", "an export is JSON")
	local taken = 0
	for provider, token in pairs(tokens) do
		provider_name(provider)
		if type(token) ~= "table" or not math.tointeger(token.expires_at) then
			fail("BADARGUMENT", ("the token for %s has no expires_at"):format(provider))
		end
		taken = taken + self:_take_token(provider, {
			access_token = text(token.access_token, "an access token"),
			refresh_token = optional_text(token.refresh_token, "a refresh token"),
			expires_at = math.tointeger(token.expires_at),
			token_type = optional_text(token.token_type, "a token type"),
			scope = optional_text(token.scope, "a scope"),
		})
	end
	return taken
end

---- subscriptions

local function feed_key(kind, provider, feed)
	return kind .. ":" .. provider .. ":" .. feed
end

function UserSubscriptionManager:_subscriptions(provider)
	local prefix = "subscription:" .. (provider and provider .. ":" or "")
	local found = {}
	for _, entry in ipairs(self.storage:list({ prefix = prefix })) do
		found[#found + 1] = entry.value
	end
	return found
end

function UserSubscriptionManager:_poll_schedule()
	for _, schedule in ipairs(self:schedules()) do
		if schedule.name == "poll" then
			return schedule
		end
	end
end

function UserSubscriptionManager:_start_polling()
	local usual = number_setting("POLL_S", 1800, 10, 30 * 86400)
	self:schedule("poll", { every = self.storage:get("interval") or usual, method = "poll" })
end

function UserSubscriptionManager:subscribe(provider, feed, title)
	provider, feed = provider_name(provider), text(feed, "a feed", 512)
	if feed == "." or feed == ".." then
		fail("BADARGUMENT", "a feed is part of a path, which this would shorten")
	end
	setting(provider:upper() .. "_FEED_URL")
	local key = feed_key("subscription", provider, feed)
	if self.storage:get(key) then
		return 0
	end
	local count = #self:_subscriptions()
	if count >= SUBSCRIPTIONS_MAX then
		fail("FULL", ("a user has at most %d subscriptions"):format(SUBSCRIPTIONS_MAX))
	end
	self.storage:put(key, {
		provider = provider,
		feed = feed,
		title = optional_text(title, "a title"),
		since = time.now(),
		last_poll = 0,
		last_ok = 0,
		failures = 0,
	})
	if not self:_poll_schedule() then
		self:_start_polling()
	end
	return 1
end

function UserSubscriptionManager:unsubscribe(provider, feed)
	provider, feed = provider_name(provider), text(feed, "a feed", 512)
	local existed = self.storage:delete(feed_key("subscription", provider, feed))
	self.storage:delete(feed_key("seen", provider, feed))
	if #self:_subscriptions() == 0 then
		self:unschedule("poll")
	end
	return existed and 1 or 0
end

function UserSubscriptionManager:list(provider)
	return self:_subscriptions(provider and provider_name(provider))
end

function UserSubscriptionManager:set_interval(seconds)
	self.storage:put("interval", number(seconds, "an interval in seconds", 10, 30 * 86400))
	if self:_poll_schedule() then
		self:_start_polling()
	end
	return "OK"
end

function UserSubscriptionManager:last_poll()
	return self.storage:get("last_poll")
end

---- rate limits

-- How long a provider has to be left alone, in ms; 0: one request may be sent, and is counted.
function UserSubscriptionManager:_take_turn(provider)
	local upper, now = provider:upper(), time.now()
	local rate = number_setting(upper .. "_RATE", 5, 0.1, 100000)
	local burst = number_setting(upper .. "_BURST", 10, 1, 100000)
	local limit = self.storage:get("limit:" .. provider)
		or { level = burst, at = now, blocked_until = 0 }
	if limit.blocked_until > now then
		return limit.blocked_until - now, true
	end
	local level = math.min(burst, limit.level + math.max(0, now - limit.at) * rate / 1000)
	if level < 1 then
		return math.ceil((1 - level) * 1000 / rate), false
	end
	self.storage:put("limit:" .. provider, { level = level - 1, at = now, blocked_until = 0 })
	return 0
end

function UserSubscriptionManager:_block(provider, ms)
	local now = time.now()
	self.storage:put("limit:" .. provider, { level = 0, at = now, blocked_until = now + ms })
end

---- items

local function first_text(...)
	for i = 1, select("#", ...) do
		local value = select(i, ...)
		if type(value) == "string" or type(value) == "number" then
			return tostring(value):sub(1, ITEM_TEXT_BYTES)
		end
	end
end

local function table_or_empty(value)
	return type(value) == "table" and value or {}
end

local function read_item(raw)
	local snippet, external = table_or_empty(raw.snippet), table_or_empty(raw.external_urls)
	local published = first_text(raw.published, raw.published_at, raw.release_date)
	local id = first_text(raw.id, raw.guid, table_or_empty(raw.id).videoId)
	return id and {
		id = #id <= 128 and id or crypto.hex(crypto.sha256(id)),
		title = first_text(raw.title, raw.name, snippet.title),
		url = first_text(raw.url, raw.link, external.spotify),
		published = published or first_text(snippet.publishedAt),
	}
end

-- The items of a body, in its order, each once; or nil and why it is no feed.
local function read_items(body)
	local feed = decode(body)
	if not feed then
		return nil, "the feed is not JSON"
	elseif feed.items == nil
		and (feed.ok == false or is_set(feed.error) or is_set(feed.errors)) then
		return nil, error_name(feed) or "the feed is an error"
	end
	local items, known = {}, {}
	for _, raw in ipairs(table_or_empty(feed.items or feed)) do
		local item = #items < PAGE_MAX and type(raw) == "table" and read_item(raw)
		if item and not known[item.id] then
			known[item.id] = true
			items[#items + 1] = item
		end
	end
	return items
end

-- Those that were not there before. All that is in the feed now stays known.
function UserSubscriptionManager:_new_items(provider, feed, items)
	local key = feed_key("seen", provider, feed)
	local before, seen, new = {}, {}, {}
	local order = self.storage:get(key) or {}
	for _, id in ipairs(order) do
		before[id] = true
	end
	for _, item in ipairs(items) do
		seen[#seen + 1] = item.id
		if before[item.id] then
			before[item.id] = nil
		else
			new[#new + 1] = item
		end
	end
	for _, id in ipairs(order) do
		if before[id] and #seen < SEEN_MAX then
			seen[#seen + 1] = id
		end
	end
	self.storage:put(key, seen)
	return new
end

local function item_key(position)
	return ("item:%015d"):format(position)
end

-- Feeds have the newest first: it gets the greatest number.
function UserSubscriptionManager:_add_items(provider, feed, new)
	local range = self.storage:get("items") or { first = 1, next = 1 }
	local most = math.floor(number_setting("ITEMS_MAX", 1000, 1, 100000))
	for i = #new, 1, -1 do
		local item = new[i]
		item.provider, item.feed = provider, feed
		item.found, item.number = time.now(), range.next
		self.storage:put(item_key(range.next), item)
		range.next = range.next + 1
	end
	while range.next - range.first > most do
		self.storage:delete(item_key(range.first))
		range.first = range.first + 1
	end
	self.storage:put("items", range)
end

function UserSubscriptionManager:items(limit, before)
	limit = math.floor(number(limit or 50, "a limit", 1, 1000))
	local range = { prefix = "item:", reverse = true, limit = limit }
	if before ~= nil then
		range.end_before = item_key(math.floor(number(before, "an item's number", 0, 1e14)))
	end
	local items = {}
	for _, entry in ipairs(self.storage:list(range)) do
		items[#items + 1] = entry.value
	end
	return items
end

---- polling

local function feed_request(provider, subscription, token)
	local url = setting(provider:upper() .. "_FEED_URL")
	return {
		url = url:gsub("{feed}", (percent(subscription.feed):gsub("%%", "%%%%"))),
		headers = {
			Accept = "application/json",
			-- Whatever it is called: `bearer`, or Slack's `bot` and `user`.
			Authorization = "Bearer " .. token.access_token,
			["If-None-Match"] = subscription.etag,
		},
		timeout = fetch_timeout_ms(),
	}
end

-- Waits for a turn; false when the provider is to be left alone, or the poll is over.
function UserSubscriptionManager:_await_turn(poll, provider)
	while self.polling == poll do
		local ms, is_blocked = self:_take_turn(provider)
		if is_blocked then
			return false
		elseif ms == 0 then
			return true
		end
		sleep(ms)
	end
	return false
end

-- The token is not taken: by status, or as Slack and Facebook say it.
local function is_rejection(answer)
	if answer.status == 401 then
		return true
	end
	local body = answer.status ~= 304 and #answer.body <= ERROR_BYTES and decode(answer.body)
	return body and not body.items and error_name(body) ~= nil and error_kind(body) == "login"
end

-- The provider's answer, and what is wrong with it. Neither: the provider is to be left alone.
function UserSubscriptionManager:_fetch_feed(poll, subscription)
	local provider = subscription.provider
	for try = 1, 2 do
		local token, code, message = self:_usable_token(provider)
		if not token then
			poll.left_alone[provider] = true
			return nil, code .. " " .. message
		elseif not self:_await_turn(poll, provider) then
			poll.left_alone[provider] = true
			return nil
		end
		local began = time.now()
		local answer, problem = http.fetch(feed_request(provider, subscription, token))
		if self.polling ~= poll then
			return nil
		elseif answer and answer.status ~= 200 and answer.status ~= 304 then
			problem = ("HTTP %d"):format(answer.status)
		end
		self:_note("fetch:" .. provider, time.now() - began, problem)
		if not answer or not is_rejection(answer) or try == 2 then
			return answer, problem
		end
		self:reject(provider, token.access_token)
	end
end

-- What an answer brought: how many new items, or nil and why none.
function UserSubscriptionManager:_take_answer(subscription, answer)
	local provider, feed = subscription.provider, subscription.feed
	if answer.status == 304 then
		return 0
	end
	local items, problem = read_items(answer.body)
	if not items then
		return nil, problem
	end
	local new = self:_new_items(provider, feed, items)
	if #new > 0 then
		self:_add_items(provider, feed, new)
	end
	subscription.etag = first_text(answer.headers.etag)
	return #new
end

function UserSubscriptionManager:_poll_feed(poll, polled)
	local provider = polled.provider
	local answer, problem = self:_fetch_feed(poll, polled)
	local key = feed_key("subscription", provider, polled.feed)
	local subscription = self.polling == poll and self.storage:get(key)
	if not subscription then
		return -- the user has left it, or has left, while we waited
	elseif not answer and not problem then
		poll.counts.skipped = poll.counts.skipped + 1
		return
	end
	local count = 0
	if not problem then
		count, problem = self:_take_answer(subscription, answer)
	elseif answer and answer.status == 429 then
		self:_block(provider, retry_after_ms(answer.headers))
	end
	subscription.last_poll = time.now()
	subscription.last_error = problem
	if problem then
		subscription.failures = subscription.failures + 1
		poll.counts.failed, poll.problem = poll.counts.failed + 1, problem
		poll.in_a_row[provider] = (poll.in_a_row[provider] or 0) + 1
	else
		subscription.failures, subscription.last_ok = 0, time.now()
		poll.counts.new_items = poll.counts.new_items + count
		poll.in_a_row[provider] = 0
	end
	poll.counts.feeds = poll.counts.feeds + 1
	self.storage:put(key, subscription)
end

-- Those that were polled the longest ago come first.
function UserSubscriptionManager:_poll_all(poll, provider)
	local subscriptions = self:_subscriptions(provider)
	table.sort(subscriptions, function(a, b)
		return a.last_poll < b.last_poll
	end)
	for _, subscription in ipairs(subscriptions) do
		local name = subscription.provider
		if self.polling ~= poll then
			return
		elseif poll.left_alone[name] or (poll.in_a_row[name] or 0) >= FAILURES_IN_A_ROW
			or time.now() - poll.began > POLL_MOST_MS then
			poll.counts.skipped = poll.counts.skipped + 1
		else
			self:_poll_feed(poll, subscription)
		end
	end
	if #subscriptions > 0 and self.polling == poll then
		self.storage:put("last_poll", time.now())
		self:_note("poll", time.now() - poll.began, poll.problem)
	end
end

function UserSubscriptionManager:poll(provider)
	provider = provider and provider_name(provider)
	local counts = { feeds = 0, failed = 0, skipped = 0, new_items = 0, busy = 0 }
	if self.polling then
		counts.busy = 1
		return counts
	end
	-- left_alone: providers, for this poll; in_a_row: failures by provider
	local poll = { began = time.now(), counts = counts, left_alone = {}, in_a_row = {} }
	self.polling = poll
	local ok, problem = pcall(self._poll_all, self, poll, provider)
	if self.polling == poll then
		self.polling = nil
	end
	if not ok then
		error(problem, 0)
	end
	return counts
end

---- watching and leaving

local function token_status(token)
	local code = refusal("", token)
	if code == "LOGINREQUIRED" then
		return "login_required"
	end
	return token.failures > 0 and "failing" or "ok"
end

local function entry_of(providers, name)
	providers[name] = providers[name] or { status = "ok" }
	return providers[name]
end

-- By provider: the token's state without the token, the figures, the limit in force.
function UserSubscriptionManager:_providers()
	local providers, now = {}, time.now()
	for _, stored in ipairs(self.storage:list({ prefix = "token:" })) do
		local entry = entry_of(providers, stored.key:match("^token:(.*)"))
		local token = stored.value
		entry.status = token_status(token)
		entry.expires_at = token.expires_at
		entry.failures = token.failures
		entry.last_error = token.last_error
		entry.retry_at = token.retry_at > now and token.retry_at or nil
	end
	for _, stored in ipairs(self.storage:list({ prefix = "limit:" })) do
		local entry = entry_of(providers, stored.key:match("^limit:(.*)"))
		if stored.value.blocked_until > now then
			entry.blocked_until = stored.value.blocked_until
		end
	end
	for _, stored in ipairs(self.storage:list({ prefix = "figures:" })) do
		local what, name = stored.key:match("^figures:(%a+):(.*)")
		if what then
			entry_of(providers, name)[what] = show_figures(stored.value)
		end
	end
	for _, subscription in ipairs(self:_subscriptions()) do
		local entry = entry_of(providers, subscription.provider)
		entry.subscriptions = (entry.subscriptions or 0) + 1
		if subscription.failures > 0 and entry.status == "ok" then
			entry.status = "failing"
		end
	end
	return providers
end

function UserSubscriptionManager:health()
	local status, providers = "ok", self:_providers()
	for _, provider in pairs(providers) do
		if provider.status == "login_required" or status == "ok" then
			status = provider.status
		end
	end
	local schedule = self:_poll_schedule()
	local range = self.storage:get("items") or { first = 1, next = 1 }
	local polls = self.storage:get("figures:poll")
	return {
		status = status,
		providers = providers,
		polls = polls and show_figures(polls),
		polling = self.polling and 1 or 0,
		last_poll = self.storage:get("last_poll"),
		next_poll = schedule and schedule.next,
		interval_s = schedule and schedule.every,
		items = range.next - range.first,
	}
end

function UserSubscriptionManager:delete_user()
	self.polling = nil
	return self.storage:delete_all()
end

return UserSubscriptionManager
