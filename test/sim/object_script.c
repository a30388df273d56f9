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

	"function steps.n(self, call, n, script)\n"
	"	if call.section then return play(self, call, script) end\n"
	"	call.section = true\n"
	"	tell(self, 'pause')\n"
	"	local ok, e = pcall(self.exclusive, self, 'n' .. n, function()\n"
	"		tell(self, 'resume')\n"
	"		tell(self, 'in', n)\n"
	"		play(self, call, script)\n"
	"	end)\n"
	"	call.section = false\n"
	"	if ok or e == call then tell(self, 'out', n) end\n"
	"	if not ok then error(e, 0) end\n"
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

	"function steps.l(self)\n"
	"	tell(self, 'fail')\n"
	"	while true do end\n"
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

/* Where a step stands. */
struct place {
	struct random *random;
	struct buffer *out;
	bool job;    /* of an alarm and the like */
	bool closed; /* within an x: a section that another call is in would never be left */
	int depth;
};

static uint64_t below(const struct place *place, uint64_t bound)
{
	return random_below(place->random, bound);
}

static int ms_of(const struct place *place, const int *choices, uint64_t count)
{
	return choices[below(place, count)];
}

static void write_steps(const struct place *place);

static void write_inner(const struct place *place, bool job, bool closed)
{
	struct place inner = *place;
	inner.job = job;
	inner.closed = closed;
	inner.depth++;
	buffer_append_text(place->out, "[");
	write_steps(&inner);
	buffer_append_text(place->out, "]");
}

static void write_wait(const struct place *place)
{
	static const int sleeps[] = { 0, 1, 5, 50, 400, 3000, 29990, 40000 };
	static const int fetches[] = { 20, 100, 500, 5000 };
	uint64_t choice = below(place, 10);
	if (choice < 4) {
		buffer_format(place->out, "s%d", ms_of(place, sleeps, 8));
	} else if (choice < 7 || place->depth >= DEPTH_MAX) {
		buffer_format(place->out, "f%d", ms_of(place, fetches, 4));
	} else {
		buffer_format(place->out, "%c%u", below(place, 3) == 0 ? 'C' : 'c',
			(unsigned)below(place, MODEL_OBJECTS));
		write_inner(place, false, false);
	}
}

static void write_due(const struct place *place)
{
	static const int alarms[] = { -1000, 0, 1, 20, 500, 20000, 100000 };
	static const int schedules[] = { 1000, 2200, 5000, 30000, 67000 };
	static const int lives[] = { 30, 1000, 16000, 100000 };
	uint64_t choice = below(place, 12);
	bool nests = place->depth < DEPTH_MAX;
	if (choice < 5 && nests) {
		buffer_format(place->out, "a%d", ms_of(place, alarms, 7));
		write_inner(place, true, false);
	} else if (choice < 6) {
		buffer_append_text(place->out, below(place, 3) == 0 ? "d" : "m");
	} else if (choice < 8 && nests) {
		buffer_format(place->out, "k%d", ms_of(place, schedules, 5));
		write_inner(place, true, false);
	} else if (choice < 9) {
		buffer_format(place->out, "u%u", (unsigned)below(place, 2));
	} else if (choice < 11) {
		buffer_format(place->out, "%c%d", "pP"[below(place, 2)], ms_of(place, lives, 4));
	} else {
		buffer_append_text(place->out, "q");
	}
}

static void write_section(const struct place *place)
{
	if (place->depth >= DEPTH_MAX) {
		buffer_append_text(place->out, "w");
	} else if (place->closed || below(place, 2) == 0) {
		buffer_append_text(place->out, "x0");
		write_inner(place, place->job, true);
	} else {
		buffer_format(place->out, "n%u", (unsigned)below(place, 2));
		write_inner(place, place->job, false);
	}
}

/* What is not a write, a wait or a section. */
static void write_other(const struct place *place)
{
	static const char *const others[] = { "e", "E", "e", "E", "z", "z", "D", "K", "r", "r",
		"r" };
	uint64_t choice = below(place, 20);
	if (choice < 11)
		buffer_append_text(place->out, others[choice]);
	else if (choice < 15)
		buffer_format(
			place->out, "%c%u", "tTX"[below(place, 3)], 1 + (unsigned)below(place, 3));
	else if (choice < 18 && place->job)
		buffer_format(place->out, "y%u", 1 + (unsigned)below(place, 8));
	else if (choice == 19 && below(place, 3) == 0)
		buffer_append_text(place->out, "b");
	else if (choice == 18 && below(place, 3) == 0)
		buffer_append_text(place->out, "l");
	else
		buffer_append_text(place->out, "w");
}

static void write_step(const struct place *place)
{
	uint64_t choice = below(place, 100);
	if (choice < 34)
		buffer_append_text(place->out, "w");
	else if (choice < 56)
		write_wait(place);
	else if (choice < 66)
		write_due(place);
	else if (choice < 77)
		write_section(place);
	else
		write_other(place);
}

static void write_steps(const struct place *place)
{
	uint64_t steps = 1 + below(place, place->depth ? 4 : 6);
	while (steps-- > 0)
		write_step(place);
}

void script_write(struct buffer *out, struct random *random, bool job)
{
	struct place place = { .random = random, .out = out, .job = job };
	out->size = 0;
	write_steps(&place);
	buffer_append(out, "", 1);
	out->size--;
}
