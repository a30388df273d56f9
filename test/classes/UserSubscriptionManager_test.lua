--[[
Run: holdfast-server --test conf/classes/UserSubscriptionManager.lua \
	test/classes/UserSubscriptionManager_test.lua

The provider below rotates refresh tokens strictly: each is good for one refresh; one that comes
again gets its successor's tokens within `grace_ms`, and invalid_grant afterwards.
]]

local CLASS = "UserSubscriptionManager"

env(CLASS, "SPOTIFY_TOKEN_URL", "http://accounts.test/token")
env(CLASS, "SPOTIFY_FEED_URL", "http://api.test/shows/{feed}/episodes")
env(CLASS, "SPOTIFY_CLIENT_ID", "our id")
env(CLASS, "SPOTIFY_CLIENT_SECRET", "our:secret")
env(CLASS, "SPOTIFY_RATE", "2")
env(CLASS, "SPOTIFY_BURST", "4")
env(CLASS, "YOUTUBE_TOKEN_URL", "http://oauth.test/token")
env(CLASS, "YOUTUBE_FEED_URL", "http://videos.test/{feed}")
env(CLASS, "YOUTUBE_CLIENT_ID", "our id")
env(CLASS, "YOUTUBE_CLIENT_SECRET", "s")
env(CLASS, "YOUTUBE_AUTH", "body")
env(CLASS, "ITEMS_MAX", "30")

local function ann(...)
	return call(CLASS, "ann", ...)
end

local function unescaped(text)
	return (text:gsub("%%(%x%x)", function(digits)
		return string.char(tonumber(digits, 16))
	end))
end

local function json(status, body, more)
	more = more or {}
	return {
		status = status,
		headers = more.headers or { ["content-type"] = "application/json" },
		body = body,
		delay = more.delay or 20,
	}
end

local provider

-- The next answers instead of the usual ones, one after the other.
local function script(kind, ...)
	for _, answer in ipairs({ ... }) do
		table.insert(provider.scripted[kind], answer)
	end
end

local function spend(refresh_token)
	local successor = provider.successors[refresh_token]
	if refresh_token == provider.refresh_token then
		provider.number = provider.number + 1
		provider.refresh_token = "r" .. provider.number
		provider.access_token = "a" .. provider.number
		provider.spent = provider.spent + 1
		provider.successors[refresh_token] = {
			at = now(),
			body = ('{"access_token":"%s","refresh_token":"%s","expires_in":3600}')
				:format(provider.access_token, provider.refresh_token),
		}
		return provider.successors[refresh_token].body
	elseif successor and now() - successor.at <= provider.grace_ms then
		provider.replayed = provider.replayed + 1
		return successor.body
	end
	return nil
end

local function on_token(request)
	provider.refreshes = provider.refreshes + 1
	provider.last_refresh = request
	local refresh_token = unescaped(request.body:match("refresh_token=([^&]*)"))
	local scripted = table.remove(provider.scripted.token, 1)
	if scripted == "lost" then -- spent, but the answer does not arrive
		spend(refresh_token)
		return nil, "the connection was reset"
	elseif scripted then
		return scripted
	end
	local body = spend(refresh_token)
	return body and json(200, body) or json(400, '{"error":"invalid_grant"}')
end

local function on_feed(request)
	provider.fetches[#provider.fetches + 1] = request
	local scripted = table.remove(provider.scripted.feed, 1)
	if scripted then
		return scripted
	elseif request.headers.Authorization ~= "Bearer " .. provider.access_token then
		return json(401, "{}")
	end
	local feed = request.url:match("/shows/(.-)/episodes$") or request.url:match("test/(.*)$")
	return json(200, provider.feeds[unescaped(feed)] or '{"items":[]}')
end

local function new_provider()
	provider = {
		number = 1,
		access_token = "a1",
		refresh_token = "r1",
		grace_ms = 30000,
		successors = {},
		spent = 0,
		replayed = 0,
		refreshes = 0,
		fetches = {},
		feeds = {},
		scripted = { token = {}, feed = {} },
	}
	fetch(function(request)
		if request.url:find("/token$") then
			return on_token(request)
		end
		return on_feed(request)
	end)
end

local function user(name, body)
	test(name, function()
		new_provider()
		ann("set_token", "spotify", "a1", "r1", 3600)
		body()
	end)
end

local function items(first, last)
	local parts = {}
	for i = first, last, first <= last and 1 or -1 do
		parts[#parts + 1] = ('{"id":"e%d","name":"episode %d"}'):format(i, i)
	end
	return '{"items":[' .. table.concat(parts, ",") .. "]}"
end

local function ids(list)
	local found = {}
	for i, item in ipairs(list) do
		found[i] = item.id
	end
	return table.concat(found, " ")
end

---- tokens

user("hands out a token without asking the provider while it lives for a minute", function()
	equal(ann("token", "spotify"), "a1")
	advance(3539 * 1000)
	equal(ann("token", "spotify"), "a1")
	equal(provider.refreshes, 0)
	advance(1000)
	equal(ann("token", "spotify"), "a2")
	equal(provider.refreshes, 1)
	equal(ann("token", "spotify"), "a2")
	equal(provider.refreshes, 1)
end)

user("refreshes once for a thousand callers at once, who all get the same", function()
	advance(3590 * 1000)
	local handles = {}
	for i = 1, 1000 do
		handles[i] = begin(CLASS, "ann", "token", "spotify")
	end
	for i = 1, 1000 do
		equal(handles[i]:result(), "a2")
	end
	equal(provider.refreshes, 1)
	equal(provider.spent, 1)
end)

user("asks as RFC 6749 says, with the client in a header", function()
	advance(3600 * 1000)
	ann("token", "spotify")
	local request = provider.last_refresh
	equal(request.method, "POST")
	equal(request.body, "grant_type=refresh_token&refresh_token=r1")
	equal(request.headers.Authorization, "Basic b3VyJTIwaWQ6b3VyJTNBc2VjcmV0")
	equal(request.headers["Content-Type"], "application/x-www-form-urlencoded")
end)

user("or with the client in the body", function()
	ann("set_token", "youtube", "a0", "r1", 0)
	equal(ann("token", "youtube"), "a2")
	local body = "grant_type=refresh_token&refresh_token=r1&client_id=our%20id&client_secret=s"
	equal(provider.last_refresh.body, body)
	equal(provider.last_refresh.headers.Authorization, nil)
end)

user("keeps the refresh token of a provider that sends no new one", function()
	script("token", json(200, '{"access_token":"x1","expires_in":100}'))
	advance(3600 * 1000)
	equal(ann("token", "spotify"), "x1")
	advance(50 * 1000)
	equal(ann("token", "spotify"), "a2")
	equal(provider.last_refresh.body, "grant_type=refresh_token&refresh_token=r1")
end)

user("tokens that live for seconds only are used for half their life", function()
	script("token", json(200, '{"access_token":"short","refresh_token":"r1","expires_in":20}'))
	advance(3600 * 1000)
	for _ = 1, 100 do
		equal(ann("token", "spotify"), "short")
	end
	advance(9000)
	equal(ann("token", "spotify"), "short")
	equal(provider.refreshes, 1)
	advance(1000)
	equal(ann("token", "spotify"), "a2")
	script("token", json(200, '{"access_token":"none","refresh_token":"r2","expires_in":0}'))
	advance(3600 * 1000)
	local handles = {}
	for i = 1, 100 do
		handles[i] = begin(CLASS, "ann", "token", "spotify")
	end
	for i = 1, 100 do
		equal(handles[i]:result(), "none")
	end
	equal(provider.refreshes, 3)
end)

user("sends the same refresh token again when the answer was lost", function()
	script("token", "lost")
	advance(3600 * 1000)
	equal(ann("token", "spotify"), "a2")
	equal(provider.spent, 1)
	equal(provider.replayed, 1)
	equal(provider.refreshes, 2)
	advance(3600 * 1000)
	equal(ann("token", "spotify"), "a3")
end)

user("goes on with a refresh that a crash cut short", function()
	advance(3600 * 1000)
	script("token", json(200, spend("r1"), { delay = 5000 }))
	begin(CLASS, "ann", "token", "spotify")
	advance(1000)
	restart()
	equal(ann("token", "spotify"), "a2")
	equal(provider.spent, 1)
end)

user("what the provider gave survives a crash", function()
	advance(3600 * 1000)
	equal(ann("token", "spotify"), "a2")
	restart()
	equal(ann("token", "spotify"), "a2")
	equal(provider.refreshes, 1)
end)

user("asks less and less while the provider fails, and hands out what is still valid", function()
	local down = json(503, "busy")
	script("token", down, down, down, down, down, down)
	advance(3570 * 1000)
	equal(ann("token", "spotify"), "a1")
	equal(provider.refreshes, 2)
	for _ = 1, 50 do
		equal(ann("token", "spotify"), "a1")
	end
	equal(provider.refreshes, 2)
	advance(30 * 1000)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED .*HTTP 503.*in 2000 ms")
	equal(provider.refreshes, 4)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED ")
	equal(provider.refreshes, 4)
	advance(2000)
	raises(function() ann("token", "spotify") end, "in 4000 ms")
	advance(4000)
	equal(ann("token", "spotify"), "a2")
end)

user("a thousand callers on a failing provider ask it once", function()
	local down = json(500, "")
	script("token", down, down, down, down)
	advance(3600 * 1000)
	local handles, failed = {}, 0
	for i = 1, 1000 do
		handles[i] = begin(CLASS, "ann", "token", "spotify")
	end
	for i = 1, 1000 do
		local ok, problem = pcall(handles[i].result, handles[i])
		equal(ok, false)
		failed = failed + (tostring(problem):find("^REFRESHFAILED ") and 1 or 0)
	end
	equal(failed, 1000)
	equal(provider.refreshes, 2)
end)

user("stops asking when the user has to log in, until set_token", function()
	provider.refresh_token = "revoked"
	advance(3600 * 1000)
	raises(function() ann("token", "spotify") end, "^LOGINREQUIRED .*invalid_grant")
	advance(3600 * 1000)
	restart()
	raises(function() ann("token", "spotify") end, "^LOGINREQUIRED ")
	equal(provider.refreshes, 1)
	equal(ann("health").status, "login_required")
	equal(ann("set_token", "spotify", "b1", "revoked", 3600), 1)
	equal(ann("token", "spotify"), "b1")
	equal(ann("health").status, "ok")
end)

user("a wrong client secret is not the user's fault", function()
	script("token", json(401, '{"error":"invalid_client"}'))
	advance(3600 * 1000)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED .*invalid_client")
	advance(1000)
	equal(ann("token", "spotify"), "a2")
end)

user("leaves a provider alone that limits refreshes", function()
	script("token", json(429, "{}", { headers = { ["retry-after"] = "30" } }))
	advance(3600 * 1000)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED .*in 30000 ms")
	advance(29999)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED ")
	equal(provider.refreshes, 1)
	advance(1)
	equal(ann("token", "spotify"), "a2")
end)

user("an answer that is no token counts as lost", function()
	script("token", json(200, "<html>"), json(200, '{"access_token":7}'))
	advance(3600 * 1000)
	raises(function() ann("token", "spotify") end, "^REFRESHFAILED ")
	advance(1000)
	equal(ann("token", "spotify"), "a2")
end)

user("a refresh token that was replaced gets its successor's tokens for a while", function()
	advance(3600 * 1000)
	local first = ann("refresh", "spotify", "r1")
	equal(first.access_token, "a2")
	equal(first.refresh_token, "r2")
	local second = ann("refresh", "spotify", "r1")
	equal(second, first)
	equal(ann("refresh", "spotify", "r2"), first)
	equal(provider.refreshes, 1)
	advance(300001)
	raises(function() ann("refresh", "spotify", "r1") end, "^STALETOKEN ")
	raises(function() ann("refresh", "spotify", "guess") end, "^STALETOKEN ")
	equal(provider.refreshes, 1)
end)

user("a late writer does not bring back a refresh token that was replaced", function()
	advance(3600 * 1000)
	equal(ann("token", "spotify"), "a2")
	equal(ann("set_token", "spotify", "a1", "r1", 3600), 0)
	equal(ann("token", "spotify"), "a2")
	equal(ann("set_token", "spotify", "c1", "another", 3600), 1)
	equal(ann("token", "spotify"), "c1")
end)

user("a login during a refresh is not overwritten by the refresh", function()
	script("token", json(200, '{"access_token":"late","expires_in":3600}', { delay = 5000 }))
	advance(3600 * 1000)
	local refreshing = begin(CLASS, "ann", "token", "spotify")
	local login = begin(CLASS, "ann", "set_token", "spotify", "b1", "s1", 3600)
	equal(login:result(), 1)
	refreshing:result()
	equal(ann("token", "spotify"), "b1")
end)

user("a token that the provider did not take is refreshed once, whoever says so", function()
	equal(ann("reject", "spotify", "a1"), 1)
	equal(ann("token", "spotify"), "a2")
	equal(ann("reject", "spotify", "a1"), 0)
	equal(ann("token", "spotify"), "a2")
	equal(provider.refreshes, 1)
end)

user("a token without refresh token is handed out to its end", function()
	ann("set_token", "youtube", "only", "", 100)
	equal(ann("token", "youtube"), "only")
	advance(100 * 1000)
	raises(function() ann("token", "youtube") end, "^LOGINREQUIRED ")
end)

user("providers are apart: one that fails does not hold up another", function()
	ann("set_token", "youtube", "y1", "q1", 3600)
	provider.refresh_token = "revoked"
	advance(3000 * 1000)
	ann("set_token", "spotify", "a1", "r9", 0)
	raises(function() ann("token", "spotify") end, "^LOGINREQUIRED ")
	equal(ann("token", "youtube"), "y1")
end)

user("exports what another store needs, and takes it back", function()
	ann("set_token", "youtube", "y1", "q1", 3600, "read")
	local exported = ann("export_tokens")
	equal(call(CLASS, "copy", "import_tokens", exported), 2)
	equal(call(CLASS, "copy", "export_tokens"), exported)
	equal(call(CLASS, "copy", "token", "youtube"), "y1")
	equal(call(CLASS, "none", "export_tokens"), "{}")
	raises(function() ann("import_tokens", '{"spotify":{}}') end, "^BADARGUMENT ")
	raises(function() ann("import_tokens", "[") end, "^BADARGUMENT ")
end)

user("an export waits for a refresh under way", function()
	script("token", json(200, spend("r1"), { delay = 3000 }))
	advance(3600 * 1000)
	begin(CLASS, "ann", "token", "spotify")
	advance(1000)
	local exported = ann("export_tokens")
	equal(exported:find('"refresh_token":"r2"', 1, true) ~= nil, true)
end)

user("refuses what it does not know", function()
	raises(function() ann("token", "youtube") end, "^NOTOKEN ")
	raises(function() ann("token", "netflix") end, "^NOTCONFIGURED ")
	raises(function() ann("token", "Spotify!") end, "^BADARGUMENT ")
	raises(function() ann("token") end, "^BADARGUMENT ")
	raises(function() ann("set_token", "spotify") end, "^BADARGUMENT ")
	raises(function() ann("set_token", "spotify", "a", "r", "soon") end, "^BADARGUMENT ")
	raises(function() ann("refresh", "spotify") end, "^BADARGUMENT ")
	raises(function() ann("subscribe", "spotify", "..") end, "^BADARGUMENT ")
	raises(function() ann("subscribe", "spotify", "") end, "^BADARGUMENT ")
	raises(function() ann("items", 0) end, "^BADARGUMENT ")
	raises(function() ann("poll", "netflix") end, "^NOTCONFIGURED ")
	equal(ann("forget", "spotify"), 1)
	equal(ann("forget", "spotify"), 0)
	raises(function() ann("token", "spotify") end, "^NOTOKEN ")
end)

---- what providers answer

local function answer(status, body, headers)
	return json(status, body, { headers = headers })
end

-- Of many kinds: what says that the user has to log in again.
local wants_login = {
	{ "RFC 6749", 400, '{"error":"invalid_grant"}' },
	{ "Google", 400, '{"error":"invalid_grant","error_description":"Token has been expired or revoked."}' },
	{ "GitHub", 200, '{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.github.com"}' },
	{ "GitHub, as a form", 200, "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.&error_uri=https%3A%2F%2Fdocs.github.com" },
	{ "Microsoft", 400, '{"error":"interaction_required","error_description":"AADSTS50076: ...","error_codes":[50076],"suberror":"basic_action"}' },
	{ "Slack", 200, '{"ok":false,"error":"invalid_refresh_token"}' },
	{ "Slack, revoked", 200, '{"ok":false,"error":"token_revoked"}' },
	{ "Facebook", 400, '{"error":{"message":"Error validating access token","type":"OAuthException","code":190,"error_subcode":460,"fbtrace_id":"x"}}' },
	{ "Auth0", 403, '{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}' },
	{ "Atlassian", 403, '{"error":"unauthorized_client","error_description":"refresh_token is invalid"}' },
	{ "Twitch", 400, '{"status":400,"message":"Invalid refresh token"}' },
	{ "HubSpot", 400, '{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}' },
	{ "Fitbit", 400, '{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid: x"}],"success":false}' },
	{ "Strava", 400, '{"message":"Bad Request","errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}' },
	{ "Yahoo", 400, '{"error":{"localizedMessage":"x","errorId":"INVALID_REFRESH_TOKEN","message":"x"}}' },
	{ "Zoho", 200, '{"error":"invalid_code"}' },
	{ "X", 400, '{"error":"invalid_request","error_description":"Value passed for the token was invalid."}' },
	{ "Salesforce", 400, '{"error":"inactive_user","error_description":"user is inactive"}' },
	{ "TikTok", 200, '{"error":"invalid_grant","error_description":"Refresh token is invalid or expired.","log_id":"1"}' },
	{ "with a byte order mark", 400, '\xef\xbb\xbf{"error":"invalid_grant"}' },
}

for _, case in ipairs(wants_login) do
	user(case[1] .. " wants the user to log in, and is not asked again", function()
		script("token", answer(case[2], case[3]))
		advance(3600 * 1000)
		raises(function() ann("token", "spotify") end, "^LOGINREQUIRED ")
		advance(3600 * 1000)
		raises(function() ann("token", "spotify") end, "^LOGINREQUIRED ")
		equal(provider.refreshes, 1)
		equal(ann("health").providers.spotify.status, "login_required")
	end)
end

-- What is nobody's fault, or the client's: it is tried again, but not at once.
local wants_patience = {
	{ "a wrong secret", 401, '{"error":"invalid_client"}' },
	{ "GitHub's wrong secret", 200, '{"error":"incorrect_client_credentials","error_description":"The client_id and/or client_secret passed are incorrect."}' },
	{ "Slack's wrong secret", 200, '{"ok":false,"error":"bad_client_secret"}' },
	{ "a grant that is not known", 400, '{"error":"unsupported_grant_type","error_description":"grant type refresh_token is invalid"}' },
	{ "a page of a firewall", 403, "<html>Forbidden</html>" },
	{ "Reddit's number", 400, '{"message":"Bad Request","error":400}' },
	{ "a redirect", 302, "" },
	{ "an error of null", 400, '{"error":null}' },
}

for _, case in ipairs(wants_patience) do
	user(case[1] .. " is not the user's fault, and is asked again later", function()
		script("token", answer(case[2], case[3]))
		advance(3600 * 1000)
		raises(function() ann("token", "spotify") end, "^REFRESHFAILED .*in 1000 ms")
		equal(provider.refreshes, 1)
		advance(1000)
		equal(ann("token", "spotify"), "a2")
	end)
end

-- When to come again: by header, or a minute.
local wants_time = {
	{ "429", 429, "{}", { ["retry-after"] = "30" }, 30000 },
	{ "429 with a date", 429, "{}", { ["retry-after"] = "Tue, 14 Nov 2023 23:13:40 GMT" }, 20000 },
	{ "503 with a time", 503, "busy", { ["retry-after"] = "20" }, 20000 },
	{ "Slack's limit", 200, '{"ok":false,"error":"ratelimited"}', {}, 60000 },
	{ "a limit by name", 400, '{"error":"slow_down"}', { ["retry-after"] = "5" }, 5000 },
}

for _, case in ipairs(wants_time) do
	user(case[1] .. " is left alone for as long as it says", function()
		script("token", json(case[2], case[3], { headers = case[4], delay = 0 }))
		advance(3600 * 1000)
		raises(function() ann("token", "spotify") end, "^REFRESHFAILED .*in " .. case[5] .. " ms")
		advance(case[5] - 1)
		raises(function() ann("token", "spotify") end, "^REFRESHFAILED ")
		equal(provider.refreshes, 1)
		advance(1)
		equal(ann("token", "spotify"), "a2")
	end)
end

-- Tokens: what they are called, and how long they live.
local gives = {
	{ "201", 201, '{"access_token":"new","refresh_token":"r1","expires_in":600}', 600 },
	{ "a form", 200, "access_token=new&expires_in=28800&refresh_token=r1&scope=repo%2Cgist&token_type=bearer", 28800 },
	{ "Facebook", 200, "access_token=new&expires=5184000", 5184000 },
	{ "Microsoft's text", 200, '{"access_token":"new","expires_in":"3599","expires_on":"1700007199"}', 3599 },
	{ "a moment", 200, '{"access_token":"new","expires_at":%d}', 1800 },
	{ "a moment in milliseconds", 200, '{"access_token":"new","expires_on":%d000}', 1800 },
	{ "a moment as text", 200, '{"access_token":"new","expires_at":"%s"}', 1800 },
	{ "no life", 200, '{"access_token":"new"}', 3600 },
	{ "a life of 0", 200, '{"access_token":"new","expires_in":0}', 3600 },
	{ "a life of null", 200, '{"access_token":"new","expires_in":null,"refresh_token":null,"scope":null,"error":null}', 3600 },
	{ "Slack", 200, '{"ok":true,"access_token":"new","token_type":"bot","expires_in":43200,"scope":"chat:write,users:read"}', 43200 },
}

for _, case in ipairs(gives) do
	user(case[1] .. " gives a token", function()
		advance(3600 * 1000)
		local at = now() // 1000 + case[4]
		local body = case[3]:gsub("%%d", tostring(at)):gsub("%%s", os.date("!%Y-%m-%dT%H:%M:%SZ", at))
		script("token", answer(case[2], body))
		local token = ann("refresh", "spotify", "r1")
		equal(token.access_token, "new")
		equal(token.refresh_token, "r1")
		-- Moments have whole seconds, the answer took 20 ms.
		local off = token.expires_at - (now() - 20 + case[4] * 1000)
		equal(off > -1000 and off <= 0, true, "off by " .. off)
		equal(provider.refreshes, 1)
	end)
end

user("a type of token is sent as Bearer however it is written", function()
	for _, kind in ipairs({ "bearer", "BEARER", "Bearer", "bot", "user" }) do
		script("token", answer(200, ('{"access_token":"%s","refresh_token":"r1","expires_in":60,"token_type":"%s"}')
			:format(provider.access_token, kind)))
		script("feed", answer(200, "[]"))
		ann("reject", "spotify", ann("token", "spotify"))
		ann("subscribe", "spotify", "show")
		ann("poll")
		local request = provider.fetches[#provider.fetches]
		equal(request.headers.Authorization, "Bearer " .. provider.access_token, kind)
	end
	equal(ann("refresh", "spotify", "r1").token_type, "user")
end)

user("scopes are one text with blanks between them", function()
	for given, expected in pairs({ ['"a b"'] = "a b", ['"a,b"'] = "a b", ['["a","b"]'] = "a b", ['""'] = nil }) do
		script("token", answer(200, ('{"access_token":"x","refresh_token":"r1","scope":%s}'):format(given)))
		ann("reject", "spotify", ann("token", "spotify"))
		equal(ann("refresh", "spotify", "r1").scope, expected, given)
	end
end)

user("a refresh token that is rotated in every answer is followed", function()
	for i = 2, 12 do
		advance(3600 * 1000)
		equal(ann("token", "spotify"), "a" .. i)
	end
	equal(provider.spent, 11)
	raises(function() ann("refresh", "spotify", "r1") end, "^STALETOKEN ")
end)

user("an export with nulls is taken", function()
	ann("delete_user")
	equal(ann("import_tokens", ('{"spotify":{"access_token":"x","refresh_token":null,"scope":null,'
		.. '"token_type":null,"expires_at":%d}}'):format(now() + 100000)), 1)
	equal(ann("token", "spotify"), "x")
end)

---- feeds as they are

user("a feed with nulls and large ids loses nothing", function()
	ann("subscribe", "spotify", "show")
	provider.feeds.show = '{"next":null,"items":[null,{"id":18446744073709551617,"name":"one"},null,'
		.. '{"id":18446744073709551618,"name":null,"title":"two"},null,{"id":"x","url":null},null]}'
	equal(ann("poll").new_items, 3)
	equal(ids(ann("items")), "18446744073709551617 18446744073709551618 x")
	equal(ann("items")[2].title, "two")
	provider.feeds.show = '[null,{"id":18446744073709551619},{"id":18446744073709551618},null]'
	equal(ann("poll").new_items, 1)
end)

user("a feed with half a character and a byte order mark is a feed", function()
	ann("subscribe", "spotify", "show")
	provider.feeds.show = '\xef\xbb\xbf[{"id":"e1","name":"\\ud83d"},{"id":"e2","size":1e999}] \n'
	equal(ann("poll").new_items, 2)
end)

user("an error with status 200 is no empty feed", function()
	ann("subscribe", "spotify", "show")
	script("feed", answer(200, '{"ok":false,"error":"channel_not_found"}'))
	local counts = ann("poll")
	equal(counts.failed, 1)
	equal(ann("list")[1].last_error, "channel_not_found")
	script("feed", answer(200, '{"data":null,"errors":[{"message":"no such field"}]}'))
	equal(ann("poll").failed, 1)
	script("feed", answer(200, '{"data":[],"errors":[],"error":null}'))
	equal(ann("poll").failed, 0)
end)

for _, body in ipairs({
	'{"ok":false,"error":"token_expired"}',
	'{"error":{"message":"Session has expired","type":"OAuthException","code":190}}',
}) do
	user("a feed that does not take the token has it refreshed: " .. body, function()
		ann("subscribe", "spotify", "show")
		provider.feeds.show = items(1, 1)
		script("feed", answer(200, body))
		equal(ann("poll").new_items, 1)
		equal(provider.refreshes, 1)
		equal(#provider.fetches, 2)
	end)
end

---- subscriptions and polling

user("polls by itself on a schedule, which a failure does not end", function()
	provider.feeds.show = items(1, 2)
	equal(ann("subscribe", "spotify", "show", "A show"), 1)
	equal(ann("subscribe", "spotify", "show"), 0)
	equal(#ann("items"), 0)
	advance(1800 * 1000 + 5000)
	equal(#ann("items"), 2)
	equal(ann("list")[1].title, "A show")
	equal(ann("list")[1].failures, 0)
	provider.feeds.show = items(1, 4)
	script("feed", json(500, ""))
	advance(1800 * 1000)
	equal(ann("list")[1].last_error, "HTTP 500")
	advance(1800 * 1000)
	equal(#ann("items"), 4)
	equal(ann("list")[1].last_error, nil)
	restart()
	advance(1800 * 1000)
	equal(ann("list")[1].last_poll > now() - 1800 * 1000, true)
end)

user("stops polling with the last subscription", function()
	ann("subscribe", "spotify", "one")
	ann("subscribe", "spotify", "two")
	equal(ann("unsubscribe", "spotify", "one"), 1)
	advance(1800 * 1000 + 5000)
	equal(#provider.fetches, 1)
	equal(ann("unsubscribe", "spotify", "two"), 1)
	equal(ann("unsubscribe", "spotify", "two"), 0)
	advance(7200 * 1000)
	equal(#provider.fetches, 1)
	equal(ann("health").next_poll, nil)
end)

user("polls as often as it is told", function()
	ann("subscribe", "spotify", "show")
	equal(ann("set_interval", 60), "OK")
	advance(300 * 1000 + 1000)
	equal(#provider.fetches, 5)
	raises(function() ann("set_interval", 1) end, "^BADARGUMENT ")
end)

user("finds each item once, whatever the feed repeats", function()
	provider.feeds.show = items(3, 1)
	ann("subscribe", "spotify", "show")
	equal(ann("poll"), { feeds = 1, failed = 0, skipped = 0, new_items = 3, busy = 0 })
	equal(ids(ann("items")), "e3 e2 e1")
	provider.feeds.show = items(5, 2)
	equal(ann("poll").new_items, 2)
	equal(ann("poll").new_items, 0)
	restart()
	equal(ann("poll").new_items, 0)
	equal(ids(ann("items")), "e5 e4 e3 e2 e1")
	local first = ann("items", 2)
	equal(ids(first), "e5 e4")
	equal(ids(ann("items", 2, first[2].number)), "e3 e2")
	equal(first[1].title, "episode 5")
	equal(first[1].feed, "show")
end)

user("keeps a bounded history, and does not find again what it dropped from it", function()
	ann("subscribe", "spotify", "show")
	for round = 0, 9 do
		provider.feeds.show = items(round * 10 + 19, round * 10)
		ann("poll")
	end
	local kept = ann("items", 1000)
	equal(#kept, 30)
	equal(kept[1].id, "e109")
	equal(kept[30].id, "e80")
	equal(ann("poll").new_items, 0)
	equal(ann("health").items, 30)
end)

user("reads the items of several providers' forms", function()
	provider.feeds.show = '{"items":[{"id":"s","name":"N","release_date":"2024-01-02",'
		.. '"external_urls":{"spotify":"http://s"}},{"name":"no id"},7,null]}'
	ann("set_token", "youtube", "a1", "", 3600)
	provider.feeds["list one"] = '[{"id":{"videoId":"v"},"snippet":{"title":"T",'
		.. '"publishedAt":"P"}},{"guid":5,"link":"http://l"}]'
	ann("subscribe", "spotify", "show")
	ann("subscribe", "youtube", "list one")
	equal(ann("poll").new_items, 3)
	local found = {}
	for _, item in ipairs(ann("items")) do
		found[item.id] = item
	end
	equal(found.s.title .. found.s.published .. found.s.url, "N2024-01-02http://s")
	equal(found.v.title .. found.v.published, "TP")
	equal(found["5"].url, "http://l")
	equal(provider.fetches[2].url, "http://videos.test/list%20one")
end)

user("refreshes before a poll, and once more when the token is not taken", function()
	ann("subscribe", "spotify", "show")
	advance(3601 * 1000)
	equal(provider.refreshes, 1)
	provider.access_token = "changed elsewhere"
	equal(ann("poll").failed, 0)
	equal(provider.refreshes, 2)
	local unauthorised = json(401, "")
	script("feed", unauthorised, unauthorised)
	equal(ann("poll").failed, 1)
	equal(ann("list")[1].last_error, "HTTP 401")
end)

user("says why a feed is not polled when the user has to log in", function()
	ann("subscribe", "spotify", "one")
	ann("subscribe", "spotify", "two")
	provider.refresh_token = "revoked"
	ann("reject", "spotify", "a1")
	equal(ann("poll"), { feeds = 1, failed = 1, skipped = 1, new_items = 0, busy = 0 })
	equal(ann("list")[1].last_error:find("LOGINREQUIRED") ~= nil, true)
	equal(provider.refreshes, 1)
	ann("poll")
	equal(provider.refreshes, 1)
end)

user("keeps to the rate of a provider", function()
	for i = 1, 10 do
		ann("subscribe", "spotify", "show" .. i)
	end
	local began = now()
	equal(ann("poll").feeds, 10)
	-- Four at once, then two a second.
	equal(now() - began >= 3000, true)
	equal(now() - began < 4000, true)
end)

user("leaves a provider alone that answers 429, for as long as it says", function()
	for i = 1, 3 do
		ann("subscribe", "spotify", "show" .. i)
	end
	script("feed", json(429, "", { headers = { ["retry-after"] = "120" } }))
	equal(ann("poll"), { feeds = 1, failed = 1, skipped = 2, new_items = 0, busy = 0 })
	equal(ann("poll"), { feeds = 0, failed = 0, skipped = 3, new_items = 0, busy = 0 })
	equal(#provider.fetches, 1)
	equal(ann("health").providers.spotify.blocked_until > now(), true)
	restart()
	advance(119 * 1000)
	equal(ann("poll").skipped, 3)
	advance(1000)
	equal(ann("poll").feeds, 3)
end)

user("reads a Retry-After that is a date", function()
	ann("subscribe", "spotify", "show")
	local at = now() + 90000
	local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", at // 1000)
	script("feed", json(429, "", { headers = { ["retry-after"] = date } }))
	ann("poll")
	equal(ann("health").providers.spotify.blocked_until, at // 1000 * 1000)
end)

user("gives a provider up for a poll after three failures in a row, and comes back", function()
	for i = 1, 5 do
		ann("subscribe", "spotify", "show" .. i)
	end
	local down = json(500, "")
	script("feed", down, down, down)
	equal(ann("poll"), { feeds = 3, failed = 3, skipped = 2, new_items = 0, busy = 0 })
	-- Those that were not reached come first.
	ann("poll")
	equal(provider.fetches[4].url, "http://api.test/shows/show4/episodes")
	equal(ann("health").status, "ok")
end)

user("asks only for what has changed", function()
	ann("subscribe", "spotify", "show")
	script("feed", json(200, items(1, 2), { headers = { etag = '"v1"' } }), json(304, ""))
	ann("poll")
	equal(ann("poll"), { feeds = 1, failed = 0, skipped = 0, new_items = 0, busy = 0 })
	equal(provider.fetches[1].headers["If-None-Match"], nil)
	equal(provider.fetches[2].headers["If-None-Match"], '"v1"')
end)

user("reads go on while a poll waits, and a second poll does not begin", function()
	script("feed", json(200, items(1, 1), { delay = 5000 }))
	ann("subscribe", "spotify", "show")
	local poll = begin(CLASS, "ann", "poll")
	advance(1000)
	equal(poll:done(), false)
	equal(#ann("items"), 0)
	equal(ann("poll").busy, 1)
	equal(ann("health").polling, 1)
	equal(poll:done(), false)
	equal(poll:result().new_items, 1)
	equal(ann("poll").busy, 0)
end)

user("reads go on while a refresh waits", function()
	script("token", json(200, spend("r1"), { delay = 5000 }))
	advance(3600 * 1000)
	local refreshing = begin(CLASS, "ann", "token", "spotify")
	local waiting = begin(CLASS, "ann", "token", "spotify")
	advance(1000)
	local began = now()
	equal(#ann("items"), 0)
	equal(#ann("list"), 0)
	equal(now() - began < 1000, true, "the read was held up")
	equal(refreshing:done(), false)
	equal(waiting:done(), false)
	equal(refreshing:result(), "a2")
	equal(waiting:result(), "a2")
	equal(provider.refreshes, 1)
end)

user("a feed that is left during its poll stays left", function()
	script("feed", json(200, items(1, 1), { delay = 5000 }))
	ann("subscribe", "spotify", "show")
	local poll = begin(CLASS, "ann", "poll")
	advance(1000)
	ann("unsubscribe", "spotify", "show")
	equal(poll:result().new_items, 0)
	equal(#ann("list"), 0)
	equal(#ann("items"), 0)
end)

user("a poll that was cut short by a crash is made up for", function()
	provider.feeds.show = items(1, 2)
	script("feed", json(200, items(1, 2), { delay = 5000 }))
	ann("subscribe", "spotify", "show")
	begin(CLASS, "ann", "poll")
	advance(1000)
	restart()
	equal(ann("poll"), { feeds = 1, failed = 0, skipped = 0, new_items = 2, busy = 0 })
end)

user("polls all users by a wake, and makes no objects of users who are not there", function()
	provider.feeds.show = items(1, 1)
	ann("subscribe", "spotify", "show")
	command("DO.WAKE", CLASS, "poll")
	advance(1000)
	equal(#ann("items"), 1)
	equal(call(CLASS, "nobody", "poll").feeds, 0)
	equal(command("DO.OBJECTS", CLASS), { "ann" })
end)

user("takes a bounded number of subscriptions", function()
	for i = 1, 1000 do
		ann("subscribe", "spotify", "show" .. i)
	end
	raises(function() ann("subscribe", "spotify", "one more") end, "^FULL ")
	equal(#ann("list"), 1000)
end)

---- watching and leaving

user("tells how it goes", function()
	provider.feeds.show = items(1, 2)
	ann("subscribe", "spotify", "show")
	script("feed", json(500, "", { delay = 40 }), json(200, items(1, 2), { delay = 60 }))
	ann("poll")
	equal(ann("health").status, "failing")
	ann("poll")
	local health = ann("health")
	equal(health.status, "ok")
	equal(health.polls.ok, 1)
	equal(health.polls.failed, 1)
	equal(health.items, 2)
	equal(health.interval_s, 1800.0)
	local fetches = health.providers.spotify.fetch
	equal(fetches.success_rate, 0.5)
	equal(fetches.longest_ms >= 60, true)
	equal(fetches.mean_ms >= 50, true)
	equal(fetches.last_error, "HTTP 500")
	equal(health.providers.spotify.subscriptions, 1)
	equal(ann("last_poll"), health.last_poll)
end)

user("health and lists show no secrets", function()
	ann("subscribe", "spotify", "show")
	ann("set_token", "spotify", "topsecret", "topsecret2", 3600)
	local function search(value)
		if type(value) == "table" then
			for _, inner in pairs(value) do
				search(inner)
			end
		end
		equal(tostring(value):find("topsecret"), nil)
	end
	search(ann("health"))
	search(ann("list"))
end)

user("deletes a user whole, even while a poll and a refresh are under way", function()
	script("token", json(200, '{"access_token":"a2","refresh_token":"r2"}', { delay = 5000 }))
	script("feed", json(200, items(1, 2), { delay = 9000 }))
	ann("subscribe", "spotify", "show")
	local poll = begin(CLASS, "ann", "poll")
	advance(1000)
	ann("reject", "spotify", "a1")
	local refreshing = begin(CLASS, "ann", "token", "spotify")
	equal(ann("delete_user") > 0, true)
	pcall(refreshing.result, refreshing)
	poll:result()
	equal(command("DO.OBJECTS", CLASS), {})
	advance(7200 * 1000)
	equal(#provider.fetches, 1)
	equal(command("DO.OBJECTS", CLASS), {})
end)
