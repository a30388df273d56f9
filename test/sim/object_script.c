/*
 * object_script: see object_script.h. Nothing in the class's code depends on the order of a table
 * or on chance, so that a run can be repeated.
 */
#include "sim/object_script.h"

#include "sim/object_model.h"

#define DEPTH_MAX 3

const char *const script_classes[2] = { "Even", "Odd" };

static const char source[] =
	"local instances = 0\n"
	"local play\n"

	"local function tell(self, verb, ...)\n"
	"	local parts = { verb, self.id, self.instance, ... }\n"
	"	for i = 1, #parts do parts[i] = tostring(parts[i]) end\n"
	"	log(table.concat(parts, ' '))\n"
	"end\n"

	"local function wait(self, call, begin, ...)\n"
	"	tell(self, 'pause')\n"
	"	local ok, a, b, c = pcall(begin, ...)\n"
	"	tell(self, 'resume')\n"
	"	local at_once = not ok and (a.code == 'CYCLE' or a.code == 'DEPTH')\n"
	"	if call and not at_once then call.dirty = false end\n"
	"	return ok, a, b, c\n"
	"end\n"

	"function C:init()\n"
	"	instances = instances + 1\n"
	"	self.instance = VERSION .. '/' .. instances\n"
	"	self.jobs = 0\n"
	"	tell(self, 'init')\n"
	"	local beside = tonumber(self.storage:get('o')) or 0\n"
	"	if beside % 5 == 3 then wait(self, nil, sleep, 20) end\n"
	"	if beside % 7 == 5 then\n"
	"		wait(self, nil, http.fetch, { url = 'http://sim/', timeout = 300 })\n"
	"	end\n"
	"	if beside % 13 == 7 then tell(self, 'fail') error('injected') end\n"
	"	self.v = self.storage:get('v') or 0\n"
	"	tell(self, 'inited')\n"
	"end\n"

	"local function write(self, call)\n"
	"	call.writes = call.writes + 1\n"
	"	call.dirty = true\n"
	"	local v = (self.storage:get('v') or 0) + 1\n"
	"	local token = call.id .. '#' .. call.writes\n"
	"	self.storage:put('v', v)\n"
	"	self.storage:put('t' .. v, token)\n"
	"	self.storage:put('w', v)\n"
	"	self.v = v\n"
	"	return { v, token }\n"
	"end\n"

	"local function fail_now(self, call)\n"
	"	tell(self, 'fail')\n"
	"	error('injected')\n"
	"end\n"

	"local function read(self)\n"
	"	tell(self, 'read', self.storage:get('v') or 0, self.storage:get('w') or 0)\n"
	"end\n"

	"local steps = {}\n"

	"function steps.w(self, call)\n"
	"	local written = write(self, call)\n"
	"	tell(self, 'wrote', written[1], written[2])\n"
	"end\n"

	"function steps.r(self) read(self) end\n"

	"function steps.s(self, call, ms) wait(self, call, sleep, ms) end\n"

	"function steps.f(self, call, ms)\n"
	"	local _, answer, _, code = wait(self, call, http.fetch,\n"
	"		{ url = 'http://sim/' .. self.id, timeout = ms, method = 'POST', body = 'x' })\n"
	"	tell(self, 'fetched', answer and answer.status or code)\n"
	"end\n"

	"local function call_other(self, call, n, script)\n"
	"	call.calls = call.calls + 1\n"
	"	local id = call.id .. '.' .. call.calls\n"
	"	tell(self, 'asks', id)\n"
	"	local ok, answer = wait(self, call, objects.call,\n"
	"		n % 2 == 0 and 'Even' or 'Odd', 'o' .. n, 'run', id, script)\n"
	"	tell(self, 'joined', id, ok and answer or (answer.code or '-'))\n"
	"	return ok\n"
	"end\n"

	"function steps.c(self, call, n, script) call_other(self, call, n, script) end\n"

	"function steps.C(self, call, n, script)\n"
	"	if not call_other(self, call, n, script) then fail_now(self) end\n"
	"end\n"

	"function steps.x(self, call, _, script)\n"
	"	local ok, e = pcall(self.exclusive, self, function()\n"
	"		tell(self, 'closed')\n"
	"		play(self, call, script)\n"
	"	end)\n"
	"	if not ok and e ~= call then error(e, 0) end\n"
	"	tell(self, 'opened')\n"
	"end\n"

	"function steps.z(self, call) if call.caught then error(call, 0) end end\n"

	"function steps.t(self, call, n)\n"
	"	local written = {}\n"
	"	self.storage:transaction(function()\n"
	"		for i = 1, n do written[i] = write(self, call) end\n"
	"	end)\n"
	"	for i = 1, n do tell(self, 'wrote', written[i][1], written[i][2]) end\n"
	"end\n"

	"local function undone(self, call, n, undo)\n"
	"	local before = self.v\n"
	"	pcall(self.storage.transaction, self.storage, function(rollback)\n"
	"		for i = 1, n do write(self, call) end\n"
	"		self.storage:set_alarm(time.now() + 10)\n"
	"		self:schedule('k0', { every = 1, method = 'tick' })\n"
	"		self:unschedule('k1')\n"
	"		self.storage:expire(1)\n"
	"		undo(rollback)\n"
	"	end)\n"
	"	self.v = before\n"
	"	read(self)\n"
	"end\n"

	"function steps.T(self, call, n)\n"
	"	undone(self, call, n, function(rollback) rollback() end)\n"
	"end\n"

	"function steps.X(self, call, n) undone(self, call, n, error) end\n"

	"steps.e = fail_now\n"

	"function steps.E(self, call)\n"
	"	tell(self, 'fail')\n"
	"	if call.dirty then error('injected') end\n"
	"	fail('SOFT', 'injected')\n"
	"end\n"

	"function steps.y(self, call, n)\n"
	"	if call.info and call.info.retry_count < n then fail_now(self) end\n"
	"end\n"

	"function steps.a(self, call, ms, script)\n"
	"	local at = time.now() + ms\n"
	"	self.storage:put('as', script)\n"
	"	self.storage:set_alarm(at)\n"
	"	tell(self, 'alarm', at)\n"
	"end\n"

	"function steps.d(self) tell(self, 'noalarm', self.storage:delete_alarm()) end\n"

	"function steps.m(self) tell(self, 'hasalarm', self.storage:get_alarm() or 0) end\n"

	"function steps.k(self, call, ms, script)\n"
	"	local n = ms // 1000 % 2\n"
	"	self:schedule('k' .. n, { every = ms / 1000, method = 'tick', argument = script })\n"
	"	tell(self, 'schedule', n, ms)\n"
	"end\n"

	"function steps.u(self, call, n) tell(self, 'unschedule', n, self:unschedule('k' .. n)) end\n"

	"function steps.b(self, call)\n"
	"	for i = 1, BULK do self.storage:put('b' .. i, i) end\n"
	"	tell(self, 'bulk')\n"
	"end\n"

	"local function clear(self, call, options)\n"
	"	call.dirty = true\n"
	"	local count = self.storage:delete_all(options)\n"
	"	self.v = 0\n"
	"	return count\n"
	"end\n"

	"function steps.D(self, call) tell(self, 'clear', 0, clear(self, call)) end\n"

	"function steps.K(self, call)\n"
	"	tell(self, 'clear', 1, clear(self, call, { keep_alarm = true }))\n"
	"end\n"

	"function steps.p(self, call, ms)\n"
	"	self.storage:expire(ms / 1000)\n"
	"	tell(self, 'expire', ms, 0)\n"
	"end\n"

	"function steps.P(self, call, ms)\n"
	"	self.storage:expire(ms / 1000, true)\n"
	"	tell(self, 'expire', ms, ms)\n"
	"end\n"

	"function steps.q(self) tell(self, 'persist', self.storage:persist()) end\n"

	"play = function(self, call, script)\n"
	"	local at = 1\n"
	"	while at <= #script do\n"
	"		local step, number, rest = script:match('^(%a)(%-?%d*)()', at)\n"
	"		local inner\n"
	"		if script:sub(rest, rest) == '[' then\n"
	"			inner, rest = script:match('^(%b[])()', rest)\n"
	"			inner = inner:sub(2, -2)\n"
	"		end\n"
	"		local caught = call.caught\n"
	"		call.caught = caught or step == 'x'\n"
	"		steps[step](self, call, math.tointeger(tonumber(number)), inner)\n"
	"		call.caught = caught\n"
	"		at = rest\n"
	"	end\n"
	"end\n"

	"local function run(self, id, script, info)\n"
	"	local call = { id = id, writes = 0, calls = 0, info = info, dirty = false }\n"
	"	tell(self, 'enter', id, self.v, self.storage:get('v') or 0,\n"
	"		info and info.scheduled_time or 0, info and info.retry_count or 0)\n"
	"	play(self, call, script)\n"
	"	local v = self.storage:get('v') or 0\n"
	"	tell(self, 'leave', v)\n"
	"	return v\n"
	"end\n"

	"local function run_job(self, script, info)\n"
	"	self.jobs = self.jobs + 1\n"
	"	run(self, table.concat({ 'j', self.id, self.instance, self.jobs }, '/'), script, info)\n"
	"end\n"

	"function C:run(id, script) return run(self, id, script) end\n"
	"function C:alarm(info) run_job(self, self.storage:get('as') or 'w', info) end\n"
	"function C:tick(script, info) run_job(self, script or 'w', info) end\n"
	"function C:woken(script) run_job(self, script) end\n"
	"return C\n";

void script_class(struct buffer *out, uint32_t class, uint64_t version)
{
	buffer_format(out, "local VERSION, BULK, C = %llu, %d, class('%s')\n",
		(unsigned long long)version, MODEL_BULK, script_classes[class]);
	buffer_append(out, source, sizeof(source) - 1);
}

static bool chance(struct random *random, uint64_t one_in)
{
	return random_below(random, one_in) == 0;
}

static int ms_of(struct random *random, const int *choices, uint64_t count)
{
	return choices[random_below(random, count)];
}

static void write_steps(struct buffer *out, struct random *random, bool job, int depth);

static void write_inner(struct buffer *out, struct random *random, bool job, int depth)
{
	buffer_append_text(out, "[");
	write_steps(out, random, job, depth + 1);
	buffer_append_text(out, "]");
}

static void write_wait(struct buffer *out, struct random *random, bool job, int depth)
{
	static const int sleeps[] = { 0, 1, 5, 50, 400, 3000, 29990, 40000 };
	static const int fetches[] = { 20, 100, 500, 5000 };
	uint64_t choice = random_below(random, 10);
	if (choice < 4) {
		buffer_format(out, "s%d", ms_of(random, sleeps, 8));
	} else if (choice < 7 || depth >= DEPTH_MAX) {
		buffer_format(out, "f%d", ms_of(random, fetches, 4));
	} else {
		buffer_format(out, "%c%u", chance(random, 3) ? 'C' : 'c',
			(unsigned)random_below(random, MODEL_OBJECTS));
		write_inner(out, random, false, depth);
	}
}

static void write_due(struct buffer *out, struct random *random, int depth)
{
	static const int alarms[] = { -1000, 0, 1, 20, 500, 20000, 100000 };
	static const int schedules[] = { 1000, 2200, 5000, 30000, 67000 };
	static const int lives[] = { 30, 1000, 16000, 100000 };
	uint64_t choice = random_below(random, 12);
	if (choice < 5 && depth < DEPTH_MAX) {
		buffer_format(out, "a%d", ms_of(random, alarms, 7));
		write_inner(out, random, true, depth);
	} else if (choice < 6) {
		buffer_append_text(out, chance(random, 3) ? "d" : "m");
	} else if (choice < 8 && depth < DEPTH_MAX) {
		buffer_format(out, "k%d", ms_of(random, schedules, 5));
		write_inner(out, random, true, depth);
	} else if (choice < 9) {
		buffer_format(out, "u%u", (unsigned)random_below(random, 2));
	} else if (choice < 11) {
		buffer_format(out, "%c%d", chance(random, 2) ? 'p' : 'P', ms_of(random, lives, 4));
	} else {
		buffer_append_text(out, "q");
	}
}

static void write_step(struct buffer *out, struct random *random, bool job, int depth)
{
	uint64_t choice = random_below(random, 100);
	if (choice < 34) {
		buffer_append_text(out, "w");
	} else if (choice < 40) {
		buffer_append_text(out, "r");
	} else if (choice < 62) {
		write_wait(out, random, job, depth);
	} else if (choice < 72) {
		write_due(out, random, depth);
	} else if (choice < 80 && depth < DEPTH_MAX) {
		buffer_append_text(out, "x0");
		write_inner(out, random, job, depth);
	} else if (choice < 84) {
		buffer_format(out, "%c%u", "tTX"[random_below(random, 3)],
			1 + (unsigned)random_below(random, 3));
	} else if (choice < 88) {
		buffer_append_text(out, chance(random, 2) ? "e" : "E");
	} else if (choice < 90) {
		buffer_append_text(out, "z");
	} else if (choice < 92) {
		buffer_append_text(out, chance(random, 2) ? "D" : "K");
	} else if (choice < 93 && chance(random, 4)) {
		buffer_append_text(out, "b");
	} else if (job && choice < 98) {
		buffer_format(out, "y%u", 1 + (unsigned)random_below(random, 8));
	} else {
		buffer_append_text(out, "w");
	}
}

static void write_steps(struct buffer *out, struct random *random, bool job, int depth)
{
	uint64_t steps = random_below(random, depth ? 4 : 6);
	write_step(out, random, job, depth);
	while (steps-- > 0)
		write_step(out, random, job, depth);
}

void script_write(struct buffer *out, struct random *random, bool job)
{
	out->size = 0;
	write_steps(out, random, job, 0);
	buffer_append(out, "", 1);
	out->size--;
}
