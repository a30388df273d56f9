/*
 * Calls of objects on an engine whose time, disk and threads are the test's: who enters an object
 * when, what a call holds on to and gives back, what its replies and requests wait for. HTTP is
 * answered by the test; time passes only in `pass`.
 *
 * A held shard (an MSET that also wants a shard of the other worker, which is not delivered to yet)
 * makes requests pile up at it, as happens between workers.
 */
#include "lua/lua_class.h"
#include "lua/lua_runtime.h"
#include "lua/sandbox_private.h"
#include "object/objects_private.h"
#include "schedule/scheduler.h"
#include "support/engine_rig.h"

#include "base/buffer.h"
#include "base/heap.h"
#include "base/memory.h"
#include "base/random.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS      2
#define WORKERS     2
#define FETCHES_MAX 64
#define ROUNDS_MAX  100000

struct world;

struct worker {
	struct world *world;
	struct objects *objects;
	int64_t wanted_ms; /* what its objects asked the host for */
	size_t held;       /* at the most in the arena of a turn that logged */
};

struct world {
	struct engine_rig rig;
	struct class_registry *registry;
	struct worker workers[WORKERS];
	struct fetch *fetches[FETCHES_MAX]; /* under way */
	uint32_t fetch_count;
	char near[ENGINE_RIG_KEY_BYTES]; /* an id on worker 0 */
	char far[ENGINE_RIG_KEY_BYTES];  /* and one on worker 1 */
};

/* What all tests call. `log` notes who has entered, in the order of entering. */
static const char thing[] =
	"local T = class('Thing')\n"
	"local function note(self, word)\n"
	"  self.storage:put('log', (self.storage:get('log') or '') .. word .. ' ')\n"
	"end\n"
	"function T:init() self.n = self.storage:get('n') or 0 end\n"
	"function T:add() self.n = self.n + 1 self.storage:put('n', self.n) return self.n end\n"
	"function T:count() return self.n end\n"
	"function T:plain(word) note(self, word) return word end\n"
	"function T:rest(word, ms) note(self, word) sleep(tonumber(ms)) return word end\n"
	"function T:alone(word, ms)\n"
	"  note(self, word)\n"
	"  self:exclusive(function() sleep(tonumber(ms)) end)\n"
	"  return word\n"
	"end\n"
	"function T:later_alone(ms, more)\n"
	"  sleep(tonumber(ms))\n"
	"  self:exclusive(function() sleep(tonumber(more)) end)\n"
	"  return 'later'\n"
	"end\n"
	"function T:in_section(first, ms)\n"
	"  self:exclusive('a', function() sleep(tonumber(first)) sleep(tonumber(ms)) end)\n"
	"  return 'in'\n"
	"end\n"
	"function T:other(id, method, ...) return objects.call('Thing', id, method, ...) end\n"
	"function T:arguments(...) return select('#', ...) end\n"
	"function T:begin_anew(ms) sleep(tonumber(ms)) self.storage:put('other', 1) end\n"
	"function T:many(id, count)\n"
	"  local all = {}\n"
	"  for i = 1, tonumber(count) do all[i] = i end\n"
	"  return objects.call('Thing', id, 'arguments', table.unpack(all))\n"
	"end\n"
	"function T:heavy(id, count)\n"
	"  local all = {}\n"
	"  for i = 1, tonumber(count) do all[i] = string.rep('x', 60000) end\n"
	"  return objects.call('Thing', id, 'arguments', table.unpack(all))\n"
	"end\n"
	"function T:fill()\n"
	"  for i = 1, 20 do self.storage:put('k' .. i, string.rep('x', 30000)) end\n"
	"end\n"
	"function T:fill_and_call(id) self:fill() return objects.call('Thing', id, 'count') end\n"
	"function T:fetch() return (http.fetch{url = 'http://a.test/'}).body end\n"
	"function T:add_and_fetch() self:add() return self:fetch() end\n"
	"function T:fetch_then_time() self:fetch() return time.now() end\n"
	"function T:turns(count)\n"
	"  for i = 1, tonumber(count) do\n"
	"    self.storage:put('v', string.rep('x', 10000) .. i)\n"
	"    sleep(0)\n"
	"  end\n"
	"  return 'done'\n"
	"end\n"
	"function T:fetch_turns(count)\n"
	"  for i = 1, tonumber(count) do\n"
	"    self.storage:put('v', string.rep('x', 10000) .. i)\n"
	"    if self:fetch() ~= 'body' then return 'lost' end\n"
	"  end\n"
	"  return 'done'\n"
	"end\n"
	"function T:repeat_large()\n"
	"  self:schedule('s', {every = 1, method = 'large', argument = string.rep('y', 50000)})\n"
	"end\n"
	"function T:large() self.n = self.n + 1 self.storage:put('z', string.rep('z', 75000)) end\n"
	"function T:big() return string.rep('x', 60000) end\n"
	"function T:tight(id)\n"
	"  local all = {}\n"
	"  pcall(function() for i = 1, 100 do all[i] = string.rep('y', 20000) .. i end end)\n"
	"  all[#all], all[#all - 1] = nil\n"
	"  local ok, told = pcall(objects.call, 'Thing', id, 'big')\n"
	"  return #all > 20 and (ok and 'fits' or told.message)\n"
	"end\n"
	"local hoards = {\n"
	"  put = function(self, s, i) self.storage:put('k' .. i, s .. i) end,\n"
	"  put_table = function(self, s, i) self.storage:put('k' .. i, {s, i}) end,\n"
	"  put_many = function(self, s, i)\n"
	"    local t = {} for n = 1, 50 do t[s:sub(1, 2000) .. i * 100 + n] = n end\n"
	"    self.storage:put(t)\n"
	"  end,\n"
	"  delete = function(self, s, i) self.storage:delete{s:sub(1, 2000) .. i, 'l1'} end,\n"
	"  url = function(self, s, i) http.fetch{url = s .. i, method = 1} end,\n"
	"  headers = function(self, s, i)\n"
	"    http.fetch{url = 'http://a.test/', headers = {a = s .. i, [1] = 2}}\n"
	"  end,\n"
	"  schedule = function(self, s, i)\n"
	"    self:schedule('s' .. i % 9, {every = 1000, method = 'add', argument = s .. i})\n"
	"  end,\n"
	"  cron = function(self, s, i) self:schedule('s', {cron = s, method = 'add'}) end,\n"
	"  schedules = function(self) self:schedules() end,\n"
	"  list = function(self) self.storage:list{prefix = 'l'} end,\n"
	"  get = function(self, s, i) self.storage:get('l' .. i % 6 + 1) end,\n"
	"}\n"
	"function T:hoard(kind)\n"
	"  local s, n = string.rep('x', 60000), 0\n"
	"  for i = 1, 300 do\n"
	"    n = n + (pcall(hoards[kind], self, s, i) and 1 or 0)\n"
	"    log('hoarded')\n"
	"  end\n"
	"  return n\n"
	"end\n"
	"function T:everything(id)\n"
	"  self:exclusive(function()\n"
	"    self.storage:transaction(function() self.storage:put('a', {1, 2, {x = 'y'}}) end)\n"
	"    sleep(1)\n"
	"    self.kept = objects.call('Thing', id, 'plain', 'w')\n"
	"  end)\n"
	"  pcall(function() self:exclusive(function() sleep(1) error({}) end) end)\n"
	"  self.storage:list{prefix = 'a'}\n"
	"  self:schedule('s', {every = 1000, method = 'add', argument = {1}})\n"
	"  return {self:fetch(), #self:schedules(), self.kept}\n"
	"end\n"
	"return T\n";

#define command(world, port, ...) rig_send(&(world)->rig, port, __VA_ARGS__)
#define send(world, port, ...)    command(world, port, "do.call", "Thing", __VA_ARGS__)

/* --- the world -------------------------------------------------------------------------------- */

static void wake_at(void *context, int64_t at_ms)
{
	struct worker *worker = context;
	worker->wanted_ms = at_ms;
}

static void begin_fetch(void *context, struct fetch *fetch)
{
	struct worker *worker = context;
	struct world *world = worker->world;
	assert_true(world->fetch_count < FETCHES_MAX);
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	world->fetches[world->fetch_count++] = fetch;
}

static void forget_fetch(struct world *world, const struct fetch *fetch)
{
	uint32_t at = 0;
	while (at < world->fetch_count && world->fetches[at] != fetch)
		at++;
	assert_true(at < world->fetch_count);
	world->fetches[at] = world->fetches[--world->fetch_count];
}

static void cancel_fetch(void *context, struct fetch *fetch)
{
	struct worker *worker = context;
	forget_fetch(worker->world, fetch);
	fetch_clear(fetch);
}

static void answer_fetch(struct world *world)
{
	struct fetch *fetch = world->fetches[0];
	forget_fetch(world, fetch);
	fetch->status = 200;
	buffer_append(&fetch->body_in, "body", 4);
	fetch->done(fetch);
}

/* A class's line of the log is a moment to look at what its turn holds. */
static void look_at_turn(void *context, const struct call *call, int level, const char *text)
{
	struct worker *worker = context;
	if (call && call->request->arena.bytes > worker->held)
		worker->held = call->request->arena.bytes;
}

static void publish(struct world *world, const char *source)
{
	char error[LIMIT_ERROR_BYTES] = "";
	if (!objects_check_class(world->workers[0].objects, slice_text("Thing"), slice_text(source),
		    error, sizeof(error)))
		fail_msg("%s", error);
	struct class_given given = {
		.name = slice_text("Thing"),
		.source = slice_text(source),
		.version = 1,
		.from_file = true,
	};
	class_publish(world->registry, &given);
}

static void open_objects(struct world *world)
{
	world->registry = class_registry_new();
	for (uint16_t port = 0; port < WORKERS; port++) {
		struct worker *worker = &world->workers[port];
		*worker = (struct worker){ .world = world, .wanted_ms = INT64_MAX };
		struct objects_options options = {
			.engine = world->rig.engine,
			.config = &world->rig.config,
			.port = port,
			.registry = world->registry,
			.runtime = &lua_runtime,
			.schedule = &scheduler_of_objects,
			.host = { worker, wake_at, begin_fetch, cancel_fetch },
			.say = look_at_turn,
			.say_context = worker,
		};
		engine_tick(world->rig.engine, port);
		worker->objects = objects_new(&options);
	}
}

static void close_objects(struct world *world)
{
	for (uint16_t port = 0; port < WORKERS; port++)
		objects_free(&world->workers[port].objects);
	class_registry_free(&world->registry);
	assert_int_equal(world->fetch_count, 0);
}

static int set_up(void **state)
{
	struct world *world = memory_zeroed(sizeof(*world));
	engine_rig_init(&world->rig, SHARDS);
	engine_rig_start(&world->rig, WORKERS, WORKERS);
	open_objects(world);
	publish(world, thing);
	engine_rig_key(&world->rig, 0, 0, world->near);
	engine_rig_key(&world->rig, 1, 0, world->far);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	close_objects(world);
	engine_rig_fini(&world->rig);
	memory_free(world);
	return 0;
}

static bool run_due(struct world *world)
{
	bool ran = false;
	for (uint16_t port = 0; port < WORKERS; port++) {
		struct worker *worker = &world->workers[port];
		if (worker->wanted_ms > world->rig.now_ms)
			continue;
		worker->wanted_ms = INT64_MAX;
		engine_tick(world->rig.engine, port);
		objects_run(worker->objects);
		ran = true;
	}
	return ran;
}

/* All that can happen without time passing and without the log. */
static void run_on(struct world *world)
{
	int rounds = 0;
	do {
		assert_true(rounds++ < ROUNDS_MAX);
		engine_rig_deliver(&world->rig);
	} while (run_due(world));
}

/* The log's part, and what waited for it. */
static void sync_log(struct world *world)
{
	gate_keeper_step(world->rig.engine->gate);
	while (gate_step(world->rig.engine->gate) > 0)
		;
	for (uint16_t port = 0; port < WORKERS; port++)
		gate_waits_run(&world->rig.engine->ports[port].waits);
}

static void settle(struct world *world)
{
	run_on(world);
	while (gate_durable(world->rig.engine->gate) < gate_appended(world->rig.engine->gate)) {
		sync_log(world);
		run_on(world);
	}
	sync_log(world);
}

/* Millisecond by millisecond where something is due. */
static void pass(struct world *world, int64_t ms)
{
	int64_t end_ms = world->rig.now_ms + ms;
	for (;;) {
		settle(world);
		int64_t next_ms = end_ms;
		for (uint16_t port = 0; port < WORKERS; port++)
			if (world->workers[port].wanted_ms < next_ms)
				next_ms = world->workers[port].wanted_ms;
		if (world->rig.now_ms >= end_ms)
			return;
		world->rig.now_ms = next_ms > world->rig.now_ms ? next_ms : world->rig.now_ms + 1;
	}
}

static const char *result(struct world *world, struct engine_ticket *ticket)
{
	settle(world);
	assert_true(ticket->done);
	return ticket->reply;
}

static void starts_with(const struct engine_ticket *ticket, const char *start)
{
	assert_true(ticket->done);
	if (strncmp(ticket->reply, start, strlen(start)) != 0)
		fail_msg("%s does not start with %s", ticket->reply, start);
}

/* --- the gate --------------------------------------------------------------------------------- */

/* The shard of `near` stays held until port 1 is delivered to. */
static struct engine_ticket *hold_shard(struct world *world)
{
	char one[ENGINE_RIG_KEY_BYTES], two[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 7, one);
	engine_rig_key(&world->rig, 1, 7, two);
	return command(world, 0, "mset", one, "1", two, "2");
}

static void does_not_turn_away_a_read_that_it_has_let_in(void **state)
{
	struct world *world = *state;
	world->rig.config.object_queue_max = 1;
	assert_string_equal(result(world, send(world, 0, world->near, "count")), ":0\r\n");
	struct engine_ticket *closes = send(world, 0, world->near, "later_alone", "10", "1000");
	struct engine_ticket *closed = send(world, 0, world->near, "alone", "a", "9");
	struct engine_ticket *read = command(world, 0, "do.get", "Thing", world->near, "log");
	assert_false(read->done);
	/* At the shard: the end of `closed`, which lets the read in; `closes`; one more call. */
	struct engine_ticket *holder = hold_shard(world);
	for (int i = 0; i < 2; i++) {
		world->rig.now_ms += 9;
		engine_tick(world->rig.engine, 0);
		objects_run(world->workers[0].objects);
	}
	struct engine_ticket *waits = send(world, 0, world->near, "plain", "b");
	settle(world);
	assert_true(holder->done && closed->done);
	assert_false(waits->done);
	pass(world, 2000);
	assert_string_equal(closes->reply, "$5\r\nlater\r\n");
	assert_string_equal(read->reply, "$2\r\na \r\n");
	assert_string_equal(waits->reply, "$1\r\nb\r\n");
}

struct entry {
	struct engine_ticket *ticket;
	bool is_call;
};

static struct engine_ticket *send_random(
	struct world *world, struct random *random, const char *word, bool *is_call)
{
	uint16_t port = (uint16_t)random_below(random, WORKERS);
	char ms[16];
	snprintf(ms, sizeof(ms), "%d", (int)random_below(random, 4));
	*is_call = true;
	switch (random_below(random, 7)) {
	case 0:
		return send(world, port, world->near, "plain", word);
	case 1:
	case 2:
		return send(world, port, world->near, "rest", word, ms);
	case 3:
	case 4:
		return send(world, port, world->near, "alone", word, ms);
	case 5:
		*is_call = false;
		return command(world, port, "do.get", "Thing", world->near, "log");
	default:
		*is_call = false;
		return command(world, port, "do.evict", "Thing", world->near);
	}
}

static void lets_in_first_who_came_first_and_forgets_nobody(void **state)
{
	enum { ENTRIES = 60, ROUNDS = 60 };
	struct world *world = *state;
	struct random random;
	random_seed(&random, 20);
	for (int round = 0; round < ROUNDS; round++) {
		struct entry entries[ENTRIES];
		char expected[ENTRIES * 4] = "";
		for (int i = 0; i < ENTRIES; i++) {
			char word[8];
			if (random_below(&random, 8) == 0)
				hold_shard(world);
			snprintf(word, sizeof(word), "%d", i);
			entries[i].ticket = send_random(world, &random, word, &entries[i].is_call);
			/* It stands in the shard's queue, or has run. */
			engine_deliver(world->rig.engine, 0);
			if (entries[i].is_call)
				strcat(strcat(expected, word), " ");
			if (random_below(&random, 3) == 0)
				pass(world, (int64_t)random_below(&random, 3));
		}
		pass(world, 1000);
		for (int i = 0; i < ENTRIES; i++)
			assert_true(entries[i].ticket->done && !entries[i].ticket->failed);
		char shown[sizeof(expected) + 16];
		snprintf(shown, sizeof(shown), "$%zu\r\n%s\r\n", strlen(expected), expected);
		assert_string_equal(
			result(world, command(world, 0, "do.get", "Thing", world->near, "log")),
			shown);
		result(world, command(world, 0, "do.deleteall", "Thing", world->near));
	}
}

/* What holds of a command when it comes need not when its turn has come. */
static void goes_on_when_one_that_it_has_let_in_is_refused(void **state)
{
	struct world *world = *state;
	assert_string_equal(result(world, send(world, 0, world->near, "count")), ":0\r\n");
	struct engine_ticket *closed = send(world, 0, world->near, "alone", "a", "50");
	struct engine_ticket *put =
		command(world, 0, "do.put", "Thing", world->near, "k", "a value");
	struct engine_ticket *next = send(world, 0, world->near, "plain", "b");
	settle(world);
	assert_false(closed->done || put->done || next->done);
	world->rig.config.value_bytes_max = 4;
	pass(world, 60);
	assert_string_equal(closed->reply, "$1\r\na\r\n");
	starts_with(put, "-");
	assert_string_equal(result(world, next), "$1\r\nb\r\n");
	assert_string_equal(
		result(world, command(world, 0, "do.get", "Thing", world->near, "k")), "$-1\r\n");
}

static void two_that_wait_for_each_other_end_by_the_time_out(void **state)
{
	struct world *world = *state;
	publish(world,
		"local T = class('Thing')\n"
		"function T:one() return 1 end\n"
		"function T:lock(id) return self:exclusive(function()\n"
		"  sleep(10) return objects.call('Thing', id, 'one') end) end\n"
		"return T\n");
	struct engine_ticket *first = send(world, 0, world->near, "lock", world->far);
	struct engine_ticket *second = send(world, 1, world->far, "lock", world->near);
	struct engine_ticket *behind = send(world, 1, world->near, "one");
	pass(world, LIMIT_CALL_TIMEOUT_MS);
	assert_false(behind->done);
	pass(world, LIMIT_CALL_TIMEOUT_MS + 100);
	assert_true(first->done && second->done && behind->done);
	assert_true(first->failed || second->failed);
	assert_string_equal(behind->reply, ":1\r\n");
}

static const char visitor[] =
	"local T = class('Thing')\n"
	"function T:one() self.n = (self.n or 0) + 1 return self.n end\n"
	"function T:visit(id, ms) sleep(tonumber(ms)) return objects.call('Thing', id, 'one') end\n"
	"function T:alone(ms) self:exclusive(function() sleep(tonumber(ms)) end) end\n"
	"function T:stay(ms) self:one() sleep(tonumber(ms)) return self.n end\n"
	"return T\n";

static int count_of_answers(struct engine_ticket **calls, int count, const char *start)
{
	int found = 0;
	for (int i = 0; i < count; i++)
		found += calls[i]->done && strncmp(calls[i]->reply, start, strlen(start)) == 0;
	return found;
}

static void two_that_call_each_other_may_be_doomed_meanwhile(void **state)
{
	struct world *world = *state;
	publish(world, visitor);
	struct engine_ticket *calls[] = {
		send(world, 0, world->near, "visit", world->far, "10"),
		send(world, 1, world->far, "visit", world->near, "10"),
	};
	pass(world, 5);
	result(world, command(world, 0, "do.evict", "Thing", world->near));
	result(world, command(world, 0, "do.evict", "Thing", world->far));
	struct engine_ticket *behind = send(world, 1, world->near, "one");
	pass(world, 5);
	assert_int_equal(count_of_answers(calls, 2, "-CYCLE Thing"), 1);
	assert_int_equal(count_of_answers(calls, 2, ":"), 1);
	assert_int_equal(count_of_answers(&behind, 1, ":"), 1);
}

/* Who queues when the object is doomed waits for those in it from then on. */
static void two_that_queue_at_each_other_may_be_doomed_then(void **state)
{
	struct world *world = *state;
	publish(world, visitor);
	struct engine_ticket *calls[] = {
		send(world, 0, world->near, "visit", world->far, "5"),
		send(world, 1, world->far, "visit", world->near, "5"),
	};
	pass(world, 1);
	struct engine_ticket *alone[] = {
		send(world, 0, world->near, "alone", "20"),
		send(world, 1, world->far, "alone", "20"),
	};
	pass(world, 10);
	result(world, command(world, 0, "do.evict", "Thing", world->near));
	result(world, command(world, 0, "do.evict", "Thing", world->far));
	pass(world, 20);
	assert_int_equal(count_of_answers(alone, 2, "$-1"), 2);
	assert_int_equal(count_of_answers(calls, 2, "-CYCLE Thing"), 1);
	assert_int_equal(count_of_answers(calls, 2, ":1"), 1);
}

/* Doomed one after the other by writes past them. */
static void a_circle_of_three_may_be_doomed_meanwhile(void **state)
{
	struct world *world = *state;
	publish(world, visitor);
	char third[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 1, third);
	const char *ids[] = { world->near, world->far, third };
	struct engine_ticket *calls[3];
	for (int i = 0; i < 3; i++)
		calls[i] = send(world, 0, ids[i], "visit", ids[(i + 1) % 3], "10");
	for (int i = 0; i < 3; i++) {
		pass(world, 3);
		result(world, command(world, 0, "do.put", "Thing", ids[i], "k", "v"));
	}
	struct engine_ticket *behind = send(world, 1, world->near, "one");
	pass(world, 20);
	assert_int_equal(count_of_answers(calls, 3, "-CYCLE Thing"), 1);
	assert_int_equal(count_of_answers(calls, 3, ":"), 2);
	assert_int_equal(count_of_answers(&behind, 1, ":"), 1);
}

/* What waits for no circle waits. */
static void a_call_waits_at_a_doomed_object_that_does_not_wait_for_it(void **state)
{
	struct world *world = *state;
	publish(world, visitor);
	struct engine_ticket *stays = send(world, 1, world->far, "stay", "100");
	struct engine_ticket *visits = send(world, 0, world->near, "visit", world->far, "20");
	pass(world, 10);
	result(world, command(world, 0, "do.evict", "Thing", world->far));
	result(world, command(world, 0, "do.evict", "Thing", world->near));
	pass(world, 20);
	assert_false(visits->done);
	pass(world, 70);
	assert_string_equal(stays->reply, ":1\r\n");
	assert_string_equal(visits->reply, ":1\r\n");
}

/* The caller's time-out has ended its wait, but its object is closed when the answer comes. */
static void an_answer_to_a_caller_at_the_gate_lets_nobody_in(void **state)
{
	struct world *world = *state;
	struct engine_ticket *late =
		send(world, 0, world->near, "other", world->far, "rest", "a", "30050");
	pass(world, LIMIT_CALL_TIMEOUT_MS - 50);
	struct engine_ticket *closes = send(world, 0, world->near, "alone", "b", "1000");
	struct engine_ticket *sleeps = send(world, 0, world->near, "rest", "c", "5000");
	pass(world, 500);
	assert_false(late->done || closes->done);
	pass(world, 6000);
	assert_true(late->done && closes->done && sleeps->done);
	starts_with(late, "-TIMEOUT");
	assert_true(closes->order < late->order);
	assert_string_equal(result(world, command(world, 0, "do.get", "Thing", world->near, "log")),
		"$4\r\nb c \r\n");
}

/* The caller is gone when the answer comes: nobody else may be woken by it. */
static void an_answer_that_comes_after_the_time_out_is_dropped(void **state)
{
	struct world *world = *state;
	struct engine_ticket *calls[8];
	for (int i = 0; i < 8; i++) {
		char id[16];
		snprintf(id, sizeof(id), "caller%d", i);
		calls[i] = send(
			world, (uint16_t)(i % 2), id, "other", world->far, "rest", "w", "40000");
	}
	pass(world, LIMIT_CALL_TIMEOUT_MS + 1);
	for (int i = 0; i < 8; i++)
		starts_with(calls[i], "-TIMEOUT");
	pass(world, 20000);
	assert_string_equal(result(world, send(world, 0, world->far, "count")), ":0\r\n");
}

/* The host looks at the clock at least every second. */
static void set_clock(struct world *world, int64_t by_ms)
{
	world->rig.now_ms += by_ms;
	world->rig.set_ms += by_ms;
	for (uint16_t port = 0; port < WORKERS; port++)
		world->workers[port].wanted_ms = 0;
	settle(world);
}

static void waits_do_not_follow_a_clock_that_is_set(void **state)
{
	struct world *world = *state;
	const int64_t day_ms = 24ll * 3600 * 1000;
	for (int back = 0; back < 2; back++) {
		struct engine_ticket *sleeps = send(world, 0, world->near, "rest", "a", "5000");
		settle(world);
		set_clock(world, back ? -day_ms : day_ms);
		assert_false(sleeps->done);
		pass(world, 4999);
		assert_false(sleeps->done);
		pass(world, 1);
		assert_true(sleeps->done);
		assert_false(sleeps->failed);
	}
	/* Idle instances go although they were active tomorrow. */
	set_clock(world, day_ms);
	result(world, send(world, 0, world->near, "count"));
	set_clock(world, -day_ms);
	struct objects_figures figures;
	struct object_name name = { slice_text("Thing"), slice_of(NULL, 0) };
	pass(world, world->rig.config.object_idle_s * 1000 + 2000);
	objects_figures(world->workers[0].objects, &name, &figures);
	assert_int_equal(figures.instances, 0);
}

/* --- classes and instances -------------------------------------------------------------------- */

static void a_newer_class_takes_over_objects_that_are_idle(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 3; i++)
		result(world, send(world, 0, world->near, "add"));
	publish(world, "local T = class('Thing') function T:count() return 'new' end return T");
	assert_string_equal(result(world, send(world, 0, world->near, "count")), "$3\r\nnew\r\n");
	struct engine_ticket *refused = send(world, 0, world->near, "add");
	starts_with(refused, "-NOMETHOD");
	class_withdraw(world->registry, slice_text("Thing"));
	starts_with(send(world, 0, world->near, "count"), "-NOCLASS");
}

static uint64_t instances_of(struct world *world)
{
	struct object_name name = { .class_name = slice_text("Thing") };
	struct objects_figures figures;
	objects_figures(world->workers[0].objects, &name, &figures);
	return figures.instances;
}

/* Nobody looks among the idle ones of a class that has been replaced. */
static void an_instance_of_a_replaced_class_goes_with_its_last_call(void **state)
{
	struct world *world = *state;
	struct engine_ticket *old = send(world, 0, world->near, "rest", "a", "50");
	settle(world);
	publish(world, "local T = class('Thing') function T:count() return 2 end return T");
	char other[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 1, other);
	assert_string_equal(result(world, send(world, 0, other, "count")), ":2\r\n");
	assert_int_equal(instances_of(world), 2);
	pass(world, 50);
	assert_true(old->done);
	assert_int_equal(instances_of(world), 1);
}

/* Its life is over when the call goes on, and what that writes is another's: the index has not been
 * looked at in between. */
static void an_object_that_ended_under_a_call_keeps_no_memory(void **state)
{
	struct world *world = *state;
	assert_string_equal(result(world, send(world, 0, world->near, "add")), ":1\r\n");
	struct engine_ticket *waits = send(world, 0, world->near, "begin_anew", "3000");
	result(world, command(world, 0, "do.expire", "Thing", world->near, "1"));
	objects_quiesce(world->workers[0].objects);
	world->rig.now_ms += 3000;
	settle(world);
	assert_true(waits->done && !waits->failed);
	assert_string_equal(result(world, send(world, 0, world->near, "count")), ":0\r\n");
}

/* --- what a call holds ------------------------------------------------------------------------ */

static void all_arguments_arrive_or_the_call_fails(void **state)
{
	struct world *world = *state;
	world->rig.config.value_bytes_max = 1 << 20;
	char shown[32], count[16];
	snprintf(count, sizeof(count), "%d", LIMIT_LIST_KEYS);
	snprintf(shown, sizeof(shown), ":%d\r\n", LIMIT_LIST_KEYS);
	assert_string_equal(
		result(world, send(world, 0, world->near, "many", world->far, count)), shown);
	snprintf(count, sizeof(count), "%d", LIMIT_LIST_KEYS + 1);
	struct engine_ticket *more = send(world, 0, world->near, "many", world->far, count);
	settle(world);
	starts_with(more, "-CLASSERR");
}

/* Each value may be as large as any; together they are no larger. */
static void arguments_together_are_no_larger_than_a_value(void **state)
{
	struct world *world = *state;
	assert_string_equal(
		result(world, send(world, 0, world->near, "heavy", world->far, "1")), ":1\r\n");
	struct engine_ticket *more = send(world, 0, world->near, "heavy", world->far, "2");
	settle(world);
	starts_with(more, "-CLASSERR");
}

static uint32_t pooled(struct world *world)
{
	settle(world);
	return world->rig.engine->ports[0].pool.count;
}

static void a_call_that_was_never_sent_is_given_back(void **state)
{
	struct world *world = *state;
	result(world, send(world, 0, world->near, "other", world->far, "count"));
	uint32_t before = pooled(world);
	for (int i = 0; i < 10; i++) {
		struct engine_ticket *ticket =
			send(world, 0, world->near, "fill_and_call", world->far);
		settle(world);
		starts_with(ticket, "-ERR the changes of one command");
	}
	assert_int_equal(pooled(world), before);
}

/* What is held while a call waits is what its last turn needed. */
static size_t held_by_calls(struct world *world)
{
	size_t bytes = 0;
	struct list_node *node = world->workers[0].objects->parked.first;
	for (; node; node = node->next)
		bytes += container_of(node, struct call, in_parked)->request->arena.bytes;
	return bytes;
}

static void a_call_of_many_turns_holds_the_memory_of_one(void **state)
{
	struct world *world = *state;
	struct engine_ticket *ticket = send(world, 0, world->near, "fetch_turns", "100");
	size_t most = 0;
	for (int i = 0; i < 100; i++) {
		settle(world);
		assert_int_equal(world->fetch_count, 1);
		if (held_by_calls(world) > most)
			most = held_by_calls(world);
		answer_fetch(world);
	}
	assert_string_equal(result(world, ticket), "$4\r\ndone\r\n");
	assert_true(most > 0 && most < 100000);
	ticket = send(world, 0, world->near, "turns", "100");
	pass(world, 1000);
	assert_string_equal(result(world, ticket), "$4\r\ndone\r\n");
}

/* --- what counts as the memory of a class ----------------------------------------------------- */

static struct sandbox *sandbox_of_worker(struct world *world, uint16_t worker)
{
	return lua_class_of(world->workers[worker].objects->slots->state)->sandbox;
}

static size_t lent(struct world *world, uint16_t worker)
{
	return sandbox_of_worker(world, worker)->lent;
}

/* Each of these wants some megabytes outside of Lua, in one turn, and catches the errors. */
static void what_a_turn_takes_is_bounded_by_the_memory_of_its_class(void **state)
{
	struct world *world = *state;
	static const char *const kinds[] = { "put", "put_table", "put_many", "delete", "url",
		"headers", "schedule", "cron", "schedules", "list", "get" };
	world->rig.config.class_memory_bytes = 1 << 20;
	publish(world, thing);
	char value[60001];
	memset(value, 'v', 60000);
	value[60000] = '\0';
	for (int i = 1; i <= 6; i++) {
		char key[3] = { 'l', (char)('0' + i), '\0' };
		result(world, command(world, 0, "do.put", "Thing", world->near, key, value));
	}
	/* Values of the tree are assembled where they are wanted. */
	settle(world);
	engine_rig_checkpoint(&world->rig);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct worker *worker = &world->workers[0];
		worker->held = 0;
		struct engine_ticket *ticket = send(world, 0, world->near, "hoard", kinds[i]);
		settle(world);
		assert_true(ticket->done);
		if (worker->held == 0 || worker->held > (1 << 20) + 32768)
			fail_msg("%s holds %zu: %s", kinds[i], worker->held, ticket->reply);
		assert_true(lent(world, 0) < 1000);
	}
	assert_string_equal(result(world, send(world, 0, world->near, "count")), ":0\r\n");
}

static void arguments_are_lent_until_the_other_call_has_ended(void **state)
{
	struct world *world = *state;
	world->rig.config.value_bytes_max = 1 << 20;
	result(world, send(world, 0, world->near, "count"));
	size_t before = lent(world, 0);
	assert_true(before > 0 && before < 1000);
	char argument[50001];
	memset(argument, 'a', 50000);
	argument[50000] = '\0';
	struct engine_ticket *slow =
		send(world, 0, world->near, "other", world->far, "rest", "w", "40000", argument);
	settle(world);
	assert_true(lent(world, 0) >= before + 50000);
	/* The caller has given up; what the other one was told still stands. */
	pass(world, 31000);
	starts_with(slow, "-TIMEOUT");
	assert_true(lent(world, 0) >= 50000);
	pass(world, 10000);
	assert_true(lent(world, 0) < 50000);
	result(world, command(world, 0, "do.evict", "Thing", world->near));
	assert_int_equal(lent(world, 0), 0);
	/* One that a newer class has not made: the loan is forgotten with the state. */
	struct engine_ticket *last =
		send(world, 0, world->near, "other", world->far, "rest", "w", "1000", argument);
	settle(world);
	publish(world, thing);
	assert_string_equal(result(world, send(world, 0, "other", "count")), ":0\r\n");
	pass(world, 2000);
	assert_string_equal(result(world, last), "$1\r\nw\r\n");
	assert_true(lent(world, 0) < 1000);
}

static void an_answer_that_does_not_fit_into_the_class_is_an_error(void **state)
{
	struct world *world = *state;
	world->rig.config.class_memory_bytes = 1 << 20;
	publish(world, thing);
	struct engine_ticket *ticket = send(world, 0, world->near, "tight", world->far);
	assert_string_equal(result(world, ticket),
		"$50\r\nnot enough memory for the answer: see class-memory\r\n");
	assert_true(lent(world, 0) < 1000);
	assert_true(lent(world, 1) < 1000);
}

static void instances_count_with_what_is_kept_of_them_outside_of_lua(void **state)
{
	struct world *world = *state;
	char id[2001];
	memset(id, 'i', sizeof(id));
	id[2000] = '\0';
	for (int i = 0; i < 50; i++) {
		snprintf(id, 10, "%09d", i);
		id[9] = 'i';
		result(world, send(world, 0, id, "count"));
	}
	assert_true(lent(world, 0) + lent(world, 1) >= 50 * 2000);
	for (uint16_t port = 0; port < WORKERS; port++)
		objects_stop(world->workers[port].objects);
}

static void a_schedule_whose_run_does_not_fit_is_tried_again(void **state)
{
	struct world *world = *state;
	result(world, send(world, 0, world->near, "repeat_large"));
	pass(world, 10000);
	assert_string_equal(result(world, send(world, 0, world->near, "count")), ":0\r\n");
	/* It has moved on, and says why. */
	const char *alarms = result(world, command(world, 0, "do.alarms", "Thing"));
	assert_non_null(strstr(alarms, "schedule"));
	struct object_name name = { .class_name = slice_text("Thing") };
	struct objects_figures figures;
	objects_figures(world->workers[0].objects, &name, &figures);
	assert_true(figures.errors > 1);
}

/* One allocation after the other is refused, and again when Lua has collected what it could;
 * whatever it was for, the call is answered, and the worker goes on. */
static void an_allocation_that_fails_anywhere_fails_one_call(void **state)
{
	struct world *world = *state;
	uint32_t failed = 0, done = 0;
	bool reached = true;
	for (uint64_t after = 0; reached; after++) {
		/* Anew, for a state of its own. */
		struct class_given given = {
			.name = slice_text("Thing"),
			.source = slice_text(thing),
			.version = 1,
			.from_file = true,
		};
		class_publish(world->registry, &given);
		result(world, send(world, 0, world->near, "add"));
		result(world, send(world, 0, world->far, "add"));
		heap_fault = (struct heap_fault){ after, 2 };
		struct engine_ticket *ticket =
			send(world, 0, world->near, "everything", world->far);
		for (int i = 0; i < 5; i++) {
			pass(world, 2);
			while (world->fetch_count)
				answer_fetch(world);
		}
		settle(world);
		reached = heap_fault.count == 0;
		heap_fault.count = 0;
		assert_true(ticket->done);
		failed += ticket->failed;
		done += !ticket->failed;
		result(world, command(world, 0, "do.deleteall", "Thing", world->near));
	}
	assert_true(done > 0 && failed > 50);
}

/* --- what is waited for ----------------------------------------------------------------------- */

static void nothing_leaves_the_server_before_the_log_has_it(void **state)
{
	struct world *world = *state;
	struct engine_ticket *writes = send(world, 0, world->near, "add_and_fetch");
	run_on(world);
	assert_int_equal(world->fetch_count, 0);
	/* Another object's: what it was told of is not on disk either. */
	struct engine_ticket *adds = send(world, 0, world->far, "add");
	run_on(world);
	assert_false(engine_rig_is_released(adds));
	struct engine_ticket *told = send(world, 0, world->far, "count");
	struct engine_ticket *fetches = send(world, 0, world->far, "fetch");
	run_on(world);
	assert_string_equal(told->reply, ":1\r\n");
	assert_false(engine_rig_is_released(told));
	assert_int_equal(world->fetch_count, 0);
	sync_log(world);
	assert_true(engine_rig_is_released(told));
	assert_int_equal(world->fetch_count, 2);
	answer_fetch(world);
	answer_fetch(world);
	settle(world);
	assert_true(writes->done && fetches->done);
}

/* A value that came by another object's answer is as good as that object's write. */
static void memory_made_from_an_answer_waits_for_what_it_tells_of(void **state)
{
	struct world *world = *state;
	publish(world,
		"local T = class('Thing')\n"
		"function T:add() self.storage:put('n', 1) return 'secret' end\n"
		"function T:ask(id) self.told = objects.call('Thing', id, 'add') end\n"
		"function T:tell() return self.told end\n"
		"return T\n");
	struct engine_ticket *asks = send(world, 0, world->near, "ask", world->far);
	run_on(world);
	assert_true(asks->done);
	struct engine_ticket *tells = send(world, 0, world->near, "tell");
	run_on(world);
	assert_string_equal(tells->reply, "$6\r\nsecret\r\n");
	assert_false(engine_rig_is_released(asks));
	assert_false(engine_rig_is_released(tells));
	sync_log(world);
	assert_true(engine_rig_is_released(tells));
}

/* The loop's clock is as old as its last tick when an exchange ends. */
static void the_time_after_an_exchange_is_that_of_its_end(void **state)
{
	struct world *world = *state;
	char shown[32];
	struct engine_ticket *ticket = send(world, 0, world->near, "fetch_then_time");
	settle(world);
	world->rig.now_ms += 90;
	snprintf(shown, sizeof(shown), ":%lld\r\n", (long long)world->rig.now_ms);
	answer_fetch(world);
	assert_string_equal(result(world, ticket), shown);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void every_call_is_answered_when_the_server_stops(void **state)
{
	enum { CALLS = 40 };
	struct world *world = *state;
	struct engine_ticket *tickets[CALLS];
	for (int i = 0; i < CALLS; i++) {
		uint16_t port = (uint16_t)(i % 2);
		char id[16];
		snprintf(id, sizeof(id), "o%d", i % 12);
		switch (i % 5) {
		case 0:
			tickets[i] = send(world, port, id, "rest", "a", "100000");
			break;
		case 1:
			tickets[i] = send(world, port, id, "alone", "b", "100000");
			break;
		case 2:
			tickets[i] =
				send(world, port, id, "other", world->far, "alone", "c", "100000");
			break;
		case 3:
			tickets[i] = send(world, port, id, "fetch");
			break;
		default:
			tickets[i] = send(world, port, id, "add");
		}
		if (i % 3)
			run_on(world);
	}
	/* One begins its wait while the objects are stopped already. */
	for (uint16_t port = 0; port < WORKERS; port++) {
		engine_tick(world->rig.engine, port);
		objects_quiesce(world->workers[port].objects);
		objects_stop(world->workers[port].objects);
	}
	settle(world);
	for (int i = 0; i < CALLS; i++)
		assert_true(tickets[i]->done);
	for (uint16_t port = 0; port < WORKERS; port++)
		assert_false(objects_are_busy(world->workers[port].objects));
	starts_with(send(world, 0, world->near, "add"), "-ERR the server is shutting down");
}

static void who_leaves_a_section_lets_in_nobody_whose_wait_is_over(void **state)
{
	struct world *world = *state;
	struct engine *engine = world->rig.engine;
	struct objects *objects = world->workers[0].objects;
	struct engine_ticket *in = send(world, 0, world->near, "in_section", "1", "100000");
	struct engine_ticket *next = send(world, 0, world->near, "in_section", "1", "1");
	/* The first has come to its second sleep: it is the first to be told. */
	pass(world, 10);
	assert_false(in->done);
	/* Turns take time, and a tick has one of them; this tick has had it. */
	world->rig.look_ns = 1000;
	engine->ports[0].burst_ns = engine->ports[0].burst_ns_max = 1;
	objects_quiesce(objects);
	objects_stop(objects);
	for (int tick = 0; tick < 10; tick++) {
		objects_run(objects);
		engine->ports[0].burst_ns = 0;
		engine_deliver(engine, 0);
	}
	starts_with(in, "-ERR the server is shutting down");
	starts_with(next, "-ERR the server is shutting down");
	assert_false(objects_are_busy(objects));
	engine->ports[0].burst_ns_max = 0;
}

static void what_still_waits_at_the_end_is_given_back(void **state)
{
	struct world *world = *state;
	send(world, 0, world->near, "rest", "a", "100000");
	send(world, 1, world->near, "alone", "b", "100000");
	send(world, 0, world->near, "plain", "c");
	command(world, 1, "do.get", "Thing", world->near, "log");
	send(world, 0, world->far, "fetch");
	send(world, 0, "x", "other", world->near, "plain", "d");
	settle(world);
	assert_int_equal(world->fetch_count, 1);
	/* tear_down frees it all; the sanitizer counts. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(does_not_turn_away_a_read_that_it_has_let_in),
		TEST(lets_in_first_who_came_first_and_forgets_nobody),
		TEST(goes_on_when_one_that_it_has_let_in_is_refused),
		TEST(two_that_wait_for_each_other_end_by_the_time_out),
		TEST(two_that_call_each_other_may_be_doomed_meanwhile),
		TEST(two_that_queue_at_each_other_may_be_doomed_then),
		TEST(a_circle_of_three_may_be_doomed_meanwhile),
		TEST(a_call_waits_at_a_doomed_object_that_does_not_wait_for_it),
		TEST(an_answer_to_a_caller_at_the_gate_lets_nobody_in),
		TEST(an_answer_that_comes_after_the_time_out_is_dropped),
		TEST(waits_do_not_follow_a_clock_that_is_set),
		TEST(a_newer_class_takes_over_objects_that_are_idle),
		TEST(an_instance_of_a_replaced_class_goes_with_its_last_call),
		TEST(an_object_that_ended_under_a_call_keeps_no_memory),
		TEST(all_arguments_arrive_or_the_call_fails),
		TEST(arguments_together_are_no_larger_than_a_value),
		TEST(a_call_that_was_never_sent_is_given_back),
		TEST(a_call_of_many_turns_holds_the_memory_of_one),
		TEST(what_a_turn_takes_is_bounded_by_the_memory_of_its_class),
		TEST(arguments_are_lent_until_the_other_call_has_ended),
		TEST(an_answer_that_does_not_fit_into_the_class_is_an_error),
		TEST(instances_count_with_what_is_kept_of_them_outside_of_lua),
		TEST(a_schedule_whose_run_does_not_fit_is_tried_again),
		TEST(an_allocation_that_fails_anywhere_fails_one_call),
		TEST(nothing_leaves_the_server_before_the_log_has_it),
		TEST(memory_made_from_an_answer_waits_for_what_it_tells_of),
		TEST(the_time_after_an_exchange_is_that_of_its_end),
		TEST(every_call_is_answered_when_the_server_stops),
		TEST(who_leaves_a_section_lets_in_nobody_whose_wait_is_over),
		TEST(what_still_waits_at_the_end_is_given_back),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
