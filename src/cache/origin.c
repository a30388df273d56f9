/*
 * origin: see origin.h.
 *
 * An order's way: line -> running (a fetch, or a call of the server's own) -> settling (a turn of
 * the key's shard) -> freed. Where it is in the store is read in the turn that orders, what comes
 * of it is written in the turn that settles; between them it knows nothing but its token, which may
 * be void by then.
 *
 * A source is what is paused when it fails: a `cache-origin` line, or a class.
 *
 * Threads: see origin.h.
 */
#include "cache/origin.h"

#include "base/hash.h"
#include "base/memory.h"
#include "cache/freshness.h"
#include "cache/holder.h"
#include "cache/options.h"
#include "config/config.h"
#include "object/commands.h"
#include "object/fetch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define RUNNING_MAX        64
#define ORDERS_MAX         100000
#define SOURCES_MAX        1000
#define HEADERS_MAX        16
#define REDIRECTS_MAX      5
#define HELD_MS            1
#define BUSY_MS            10
#define PAUSE_MS_FIRST     1000
#define PAUSE_MS_MAX       60000
#define MARGIN_MS_MAX      500
#define TTL_MS_DEFAULT     60000
#define STALE_MS_DEFAULT   600000
#define ABSENT_MS_DEFAULT  60000
#define REFUSED_MS_DEFAULT 10000

struct source {
	struct source *next;
	bool is_class;
	struct slice prefix; /* of keys, or the class's name */
	struct slice url;
	struct fetch_header headers[HEADERS_MAX];
	uint32_t header_count;
	int64_t paused_until_ms; /* wall clock; 0: it answers */
	int64_t pause_ms;        /* the last pause */
};

enum outcome {
	FAILED,
	FILLED,
	ABSENT,
	RENEWED,
	NOT_ASKED, /* a failure that says nothing about the source */
	REFUSED,   /* the key alone: a failure where there is a value, else as absent */
};

struct job {
	struct job *next;
	struct job *previous; /* of those that run */
	struct job *held_next;
	uint64_t gate_lsn; /* of a call: what its result tells of */
	struct origins *origins;
	struct source *source;
	struct arena arena;
	struct origin_order order;
	struct slice etag;
	struct slice last_modified;
	struct fetch fetch;
	bool fetching;
	int64_t ordered_ms; /* wall clock */
	int64_t begun_ms;
	/* what came of it */
	enum outcome outcome;
	struct buffer value;
	int64_t retry_ms;
	struct freshness freshness;
};

/* So that slow ones of one kind do not stop the other. */
struct lane {
	struct job *first; /* in line */
	struct job *last;
	uint32_t count;
	struct job *running;
	uint32_t running_count;
};

struct origins {
	struct engine *engine;
	uint16_t port;
	bool closed;
	struct origins_host host;
	struct source *sources;
	uint32_t source_count;
	struct source other_classes;
	struct lane lanes[2]; /* by HTTP, by objects */
	struct job *held;     /* calls whose record is not durable yet */
};

static void wake_in(const struct origins *origins, int64_t ms)
{
	if (!origins->closed)
		origins->host.wake_in(origins->host.context, ms);
}

static void job_free(struct job *job)
{
	struct arena arena = job->arena;
	fetch_clear(&job->fetch);
	buffer_fini(&job->value);
	arena_fini(&arena);
	memory_free(job);
}

/* --- sources -------------------------------------------------------------------------------------
 */

static struct slice copy_of(struct slice bytes)
{
	char *copy = memory_zeroed(bytes.size + 1);
	memcpy(copy, bytes.data, bytes.size);
	return slice_of(copy, bytes.size);
}

static struct source *source_add(struct origins *origins, struct slice prefix, bool is_class)
{
	struct source *source = memory_zeroed(sizeof(*source));
	source->prefix = copy_of(prefix);
	source->is_class = is_class;
	source->next = origins->sources;
	origins->sources = source;
	origins->source_count++;
	return source;
}

/* `PREFIX URL [header ...]`, a header being `Name: value`. */
static bool add_line(void *context, const struct slice *words, size_t count)
{
	struct origins *origins = context;
	struct source *source = source_add(origins, words[0], false);
	source->url = copy_of(words[1]);
	for (size_t i = 2; i < count && source->header_count < HEADERS_MAX; i++) {
		struct slice line = copy_of(words[i]);
		const char *colon = memchr(line.data, ':', line.size);
		assert(colon);
		size_t name = (size_t)(colon - line.data), value = name + 1;
		while (value < line.size && line.data[value] == ' ')
			value++;
		source->headers[source->header_count++] = (struct fetch_header){
			slice_of(line.data, name),
			slice_of(line.data + value, line.size - value),
		};
	}
	return true;
}

static void source_free(struct source *source)
{
	memory_free((char *)(uintptr_t)source->prefix.data);
	if (source->url.data)
		memory_free((char *)(uintptr_t)source->url.data);
	for (uint32_t i = 0; i < source->header_count; i++)
		memory_free((char *)(uintptr_t)source->headers[i].name.data);
	memory_free(source);
}

/* The longest prefix of the key; or the class. NULL: none. */
static struct source *source_of(struct origins *origins, const struct origin_order *order)
{
	bool is_class = order->class_name.size > 0;
	struct source *best = NULL;
	for (struct source *source = origins->sources; source; source = source->next) {
		if (source->is_class != is_class)
			continue;
		bool matches = is_class ? slice_equal(order->class_name, source->prefix)
					: slice_starts_with(order->key, source->prefix);
		if (matches && (best == NULL || source->prefix.size > best->prefix.size))
			best = source;
	}
	if (best || !is_class)
		return best;
	/* Too many to tell apart are one. */
	if (origins->source_count < SOURCES_MAX)
		return source_add(origins, order->class_name, true);
	return &origins->other_classes;
}

static void pause_source(struct source *source, int64_t now_ms, int64_t retry_ms)
{
	source->pause_ms = source->pause_ms ? 2 * source->pause_ms : PAUSE_MS_FIRST;
	if (source->pause_ms > PAUSE_MS_MAX)
		source->pause_ms = PAUSE_MS_MAX;
	int64_t pause_ms = retry_ms > source->pause_ms ? retry_ms : source->pause_ms;
	source->paused_until_ms = now_ms + (pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX);
}

/* --- ordering ------------------------------------------------------------------------------------
 */

static void copy_order(struct job *job, struct turn *turn, const struct origin_order *order)
{
	struct arena *arena = &job->arena;
	struct cache_record record;
	job->order = *order;
	job->order.key = arena_copy(arena, order->key);
	job->order.token = arena_copy(arena, order->token);
	job->order.class_name = arena_copy(arena, order->class_name);
	job->order.id = arena_copy(arena, order->id);
	job->order.method = arena_copy(arena, order->method);
	if (!cache_read(turn, order->key, &record) || (record.flags & CACHE_FORMAT_FLAG_ABSENT))
		return;
	job->etag = arena_copy(arena, record.etag);
	job->last_modified = arena_copy(arena, record.last_modified);
}

bool origin_knows(const struct turn *turn, const struct origin_order *order)
{
	struct origins *origins = cache_origins(turn);
	return origins && !origins->closed && source_of(origins, order);
}

/* A key may not climb out of the URL. */
static bool climbs(const struct source *source, struct slice key)
{
	return !source->is_class &&
		memmem(key.data + source->prefix.size, key.size - source->prefix.size, "..", 2);
}

enum origin_answer origin_refresh(
	struct turn *turn, const struct origin_order *order, int64_t *retry_ms)
{
	struct origins *origins = cache_origins(turn);
	struct source *source = origins ? source_of(origins, order) : NULL;
	if (source == NULL || origins->closed)
		return ORIGIN_NONE;
	*retry_ms = PAUSE_MS_MAX;
	if (climbs(source, order->key))
		return ORIGIN_PAUSED;
	*retry_ms = source->paused_until_ms - turn->now_ms;
	if (*retry_ms > 0)
		return ORIGIN_PAUSED;
	*retry_ms = PAUSE_MS_FIRST;
	struct lane *lane = &origins->lanes[source->is_class];
	if (lane->count >= ORDERS_MAX)
		return ORIGIN_PAUSED;
	struct job *job = memory_zeroed(sizeof(*job));
	job->origins = origins;
	job->source = source;
	arena_init(&job->arena, 1024);
	buffer_init(&job->value);
	copy_order(job, turn, order);
	job->ordered_ms = turn->now_ms;
	*(lane->last ? &lane->last->next : &lane->first) = job;
	lane->last = job;
	lane->count++;
	wake_in(origins, 0);
	return ORIGIN_TAKEN;
}

/* --- settling ------------------------------------------------------------------------------------
 */

/* What is to be stored, but for who fetched it and when. */
static void lives_of(
	const struct job *job, const struct cache_record *before, struct cache_record *record)
{
	const struct freshness *freshness = &job->freshness;
	bool had = before->ttl_ms > 0 && !(before->flags & CACHE_FORMAT_FLAG_LASTING);
	int64_t ttl_ms = had ? before->ttl_ms : TTL_MS_DEFAULT;
	int64_t stale_ms = had ? before->stale_ms : STALE_MS_DEFAULT;
	if (job->order.ttl_ms >= 0) {
		ttl_ms = job->order.ttl_ms;
		stale_ms = job->order.stale_ms;
	}
	bool by_http = job->order.class_name.size == 0;
	if (by_http && !freshness->storable)
		return;
	record->ttl_ms = by_http && freshness->stated ? freshness->ttl_ms : ttl_ms;
	int64_t base_ms = freshness->stated ? 0 : record->ttl_ms;
	record->stale_ms = stale_ms > record->ttl_ms ? stale_ms : record->ttl_ms;
	if (by_http && freshness->has_stale)
		record->stale_ms = base_ms + freshness->stale_ms;
	if (by_http && freshness->has_stale_error)
		record->error_ms = base_ms + freshness->stale_error_ms;
}

static int64_t absent_ms(const struct job *job)
{
	if (job->outcome == REFUSED)
		return REFUSED_MS_DEFAULT;
	bool stated = job->freshness.stated && job->freshness.ttl_ms > 0;
	return stated ? job->freshness.ttl_ms : ABSENT_MS_DEFAULT;
}

static struct cache_record record_of(struct turn *turn, const struct job *job, bool *good)
{
	struct cache_record before = { 0 }, record = { 0 };
	bool had = cache_read(turn, job->order.key, &before);
	*good = true;
	if (had && !(before.flags & CACHE_FORMAT_FLAG_ABSENT)) {
		record.tag_count = before.tag_count;
		record.tags = before.tags;
	}
	*good = job->outcome != REFUSED || !had || (before.flags & CACHE_FORMAT_FLAG_ABSENT);
	if (job->outcome == ABSENT || job->outcome == REFUSED) {
		record.flags = CACHE_FORMAT_FLAG_ABSENT;
		record.ttl_ms = absent_ms(job);
		record.stale_ms = record.ttl_ms;
		return record;
	}
	if (job->outcome == RENEWED) {
		*good = had && !(before.flags & CACHE_FORMAT_FLAG_ABSENT);
		record.value = before.value;
	} else {
		record.value = buffer_slice(&job->value);
	}
	lives_of(job, &before, &record);
	record.etag = job->freshness.etag;
	record.last_modified = job->freshness.last_modified;
	if (job->outcome == RENEWED && record.etag.size == 0)
		record.etag = before.etag;
	if (job->outcome == RENEWED && record.last_modified.size == 0)
		record.last_modified = before.last_modified;
	return record;
}

static void settle(struct turn *turn)
{
	struct job *job = turn->request->state;
	struct slice key = job->order.key, token = job->order.token;
	bool good = job->outcome != FAILED;
	struct cache_record record = { 0 };
	if (good)
		record = record_of(turn, job, &good);
	/* What the disk has no room for, or no record holds, is a failure. */
	good = good && turn->may_write && cache_value_fits(turn, record.value);
	if (good)
		holder_put(turn, key, token, &record);
	else
		holder_fail(turn, key, token,
			job->retry_ms > 0 ? job->retry_ms : HOLDER_RETRY_MS_DEFAULT);
	stats_add(cache_stats(turn), key, STAT_ORIGIN_FETCHES, 1);
	stats_add(cache_stats(turn), key, STAT_ORIGIN_MS,
		(uint64_t)(turn->now_ms > job->begun_ms ? turn->now_ms - job->begun_ms : 0));
}

static const struct command settle_command = {
	.name = "store what an origin answered",
	.arity = -1,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE | COMMAND_RELAXED,
	.run = settle,
};

static struct lane *lane_of(const struct job *job)
{
	return &job->origins->lanes[job->source->is_class];
}

static void unlink_running(struct job *job)
{
	struct lane *lane = lane_of(job);
	*(job->previous ? &job->previous->next : &lane->running) = job->next;
	if (job->next)
		job->next->previous = job->previous;
	lane->running_count--;
}

static void on_settled(struct request *request)
{
	struct job *job = request->state;
	struct origins *origins = job->origins;
	request_put(&origins->engine->ports[origins->port].pool, &request);
	bool more = lane_of(job)->first != NULL;
	unlink_running(job);
	job_free(job);
	if (more)
		wake_in(origins, 0);
}

/* The exchange is over; not within a turn. */
static void end_exchange(struct job *job)
{
	struct origins *origins = job->origins;
	int64_t now_ms = clock_wall_ms(origins->engine->clock);
	if (job->outcome == NOT_ASKED) {
		job->outcome = FAILED;
		job->retry_ms = PAUSE_MS_FIRST;
	} else if (job->outcome == REFUSED) {
		job->retry_ms = REFUSED_MS_DEFAULT;
	} else if (job->outcome == FAILED) {
		pause_source(job->source, now_ms, job->retry_ms);
		job->retry_ms = job->source->paused_until_ms - now_ms;
	} else {
		job->source->pause_ms = job->source->paused_until_ms = 0;
	}
	engine_submit_own(origins->engine, origins->port,
		hash_slot(job->order.key) % origins->engine->shard_count, &settle_command, job,
		on_settled);
}

/* --- by HTTP -------------------------------------------------------------------------------------
 */

static bool is_plain(char letter)
{
	return letter > ' ' && letter < 0x7f && !strchr("%#\"<>\\^`{|}", letter);
}

/* The line's URL and what follows its prefix in the key. */
static struct slice url_of(struct job *job)
{
	const struct source *source = job->source;
	struct slice rest = slice_of(job->order.key.data + source->prefix.size,
		job->order.key.size - source->prefix.size);
	char *url =
		arena_alloc(&job->arena, source->url.size + 3 * rest.size + 1); /* sprintf's NUL */
	size_t size = source->url.size;
	memcpy(url, source->url.data, size);
	for (size_t i = 0; i < rest.size; i++) {
		if (is_plain(rest.data[i]))
			url[size++] = rest.data[i];
		else
			size += (size_t)sprintf(url + size, "%%%02X", (unsigned char)rest.data[i]);
	}
	return slice_of(url, size);
}

/* Of this key, and says nothing of others: not one of time (408, 425) or load (429). */
static bool is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

static void on_fetched(struct fetch *fetch)
{
	struct job *job = fetch->context;
	struct origins *origins = job->origins;
	struct slice headers = buffer_slice(&fetch->headers_in);
	int64_t now_ms = clock_wall_ms(origins->engine->clock);
	job->fetching = false;
	engine_tick(origins->engine, origins->port);
	freshness_read(fetch->status, headers, now_ms, &job->freshness);
	job->freshness.etag = arena_copy(&job->arena, job->freshness.etag);
	job->freshness.last_modified = arena_copy(&job->arena, job->freshness.last_modified);
	job->outcome = FAILED;
	if (fetch->status == 304 && (job->etag.size || job->last_modified.size))
		job->outcome = RENEWED;
	else if (fetch->status == 404 || fetch->status == 410)
		job->outcome = ABSENT;
	else if (is_refusal(fetch->status))
		job->outcome = REFUSED;
	else if (fetch->status >= 200 && fetch->status < 300)
		job->outcome = FILLED;
	if (job->outcome == FILLED)
		buffer_append(&job->value, fetch->body_in.data, fetch->body_in.size);
	if (job->outcome == FAILED)
		job->retry_ms = freshness_retry_ms(headers, now_ms);
	end_exchange(job);
}

/* The exchange ends before the lease does, so that its failure is settled and the source paused
 * when the lease would go to the next who waits, who would have it asked again. */
static int64_t time_left_ms(const struct job *job)
{
	int64_t lease_ms = job->order.lease_ms;
	int64_t margin_ms = lease_ms / 10 < MARGIN_MS_MAX ? lease_ms / 10 : MARGIN_MS_MAX;
	int64_t left_ms = lease_ms - margin_ms - (job->begun_ms - job->ordered_ms);
	return left_ms < LIMIT_FETCH_TIMEOUT_MS ? left_ms : LIMIT_FETCH_TIMEOUT_MS;
}

static void begin_fetch(struct job *job)
{
	const struct source *source = job->source;
	struct fetch_header *headers =
		arena_alloc(&job->arena, (HEADERS_MAX + 2) * sizeof(*headers));
	uint32_t count = source->header_count;
	memcpy(headers, source->headers, count * sizeof(*headers));
	if (job->etag.size)
		headers[count++] = (struct fetch_header){ slice_text("If-None-Match"), job->etag };
	if (job->last_modified.size)
		headers[count++] = (struct fetch_header){ slice_text("If-Modified-Since"),
			job->last_modified };
	job->fetch = (struct fetch){
		.headers = headers,
		.header_count = count,
		.timeout_ms = time_left_ms(job),
		.redirects_max = REDIRECTS_MAX,
		.headers_bound = true,
		.done = on_fetched,
		.context = job,
	};
	job->fetch.url = url_of(job);
	/* Its lease ended, or is about to, while it stood in line. */
	if (job->fetch.timeout_ms < 1) {
		job->outcome = NOT_ASKED;
		end_exchange(job);
		return;
	}
	job->fetching = true;
	const struct origins_host *host = &job->origins->host;
	host->fetch(host->context, &job->fetch);
}

/* --- by an object --------------------------------------------------------------------------------
 */

/* The method's result as RESP2: a string or number is the value, nil is none. */
static void read_reply(struct job *job, struct slice reply)
{
	const char *end = memchr(reply.data, '\r', reply.size);
	job->outcome = FAILED;
	if (end == NULL)
		return;
	struct slice line = slice_of(reply.data + 1, (size_t)(end - reply.data) - 1);
	if (reply.data[0] == '$' && line.data[0] == '-') {
		job->outcome = ABSENT;
	} else if (reply.data[0] == '$') {
		job->outcome = FILLED;
		size_t at = line.size + 3;
		buffer_append(&job->value, reply.data + at, reply.size - at - 2);
	} else if (reply.data[0] == ':' || reply.data[0] == '+') {
		job->outcome = FILLED;
		buffer_append(&job->value, line.data, line.size);
	}
}

/* Calls whose record is durable are settled; the others are looked at again. */
static void release_held(struct origins *origins)
{
	struct job *list = origins->held;
	uint64_t released = gate_released(origins->engine->gate);
	origins->held = NULL;
	while (list) {
		struct job *job = list;
		list = job->held_next;
		if (job->gate_lsn <= released) {
			end_exchange(job);
			continue;
		}
		job->held_next = origins->held;
		origins->held = job;
	}
	if (origins->held)
		wake_in(origins, HELD_MS);
}

static void on_called(struct request *request)
{
	struct job *job = request->told_context;
	struct origins *origins = job->origins;
	read_reply(job, buffer_slice(&request->reply));
	job->gate_lsn = request->gate_lsn;
	request_put(&origins->engine->ports[origins->port].pool, &request);
	/* Replies of the cache do not wait: what an object told is held back here. */
	job->held_next = origins->held;
	origins->held = job;
	release_held(origins);
}

static const struct command call_command = {
	.name = "do.call",
	.arity = -4,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 2,
	.key_last = 2,
	.key_step = 1,
	.run = do_call,
};

static void begin_call(struct job *job)
{
	struct origins *origins = job->origins;
	struct request *request = request_take(&origins->engine->ports[origins->port].pool);
	const struct slice words[] = { slice_text("do.call"), job->order.class_name, job->order.id,
		job->order.method, job->order.key };
	request->command = &call_command;
	request->home = origins->port;
	request->protocol = 2;
	request->told = on_called;
	request->told_context = job;
	request->argument_count = sizeof(words) / sizeof(words[0]);
	request->arguments = arena_alloc(&request->arena, sizeof(words));
	for (uint32_t i = 0; i < request->argument_count; i++)
		request->arguments[i] = arena_copy(&request->arena, words[i]);
	engine_submit(origins->engine, origins->port, &request);
}

/* --- running -------------------------------------------------------------------------------------
 */

static void begin(struct lane *lane)
{
	struct job *job = lane->first;
	lane->first = job->next;
	if (lane->first == NULL)
		lane->last = NULL;
	lane->count--;
	job->next = lane->running;
	job->previous = NULL;
	if (lane->running)
		lane->running->previous = job;
	lane->running = job;
	lane->running_count++;
	job->begun_ms = clock_wall_ms(job->origins->engine->clock);
	if (job->source->is_class)
		begin_call(job);
	else
		begin_fetch(job);
}

void origins_run(struct origins *origins)
{
	release_held(origins);
	for (int i = 0; i < 2; i++) {
		struct lane *lane = &origins->lanes[i];
		while (lane->first && lane->running_count < RUNNING_MAX && !origins->closed) {
			/* What would be written has to wait like all writes. */
			if (engine_admission(origins->engine) == GATE_BUSY) {
				wake_in(origins, BUSY_MS);
				return;
			}
			begin(lane);
		}
	}
}

struct origins *origins_new(struct engine *engine, uint16_t port, const struct origins_host *host)
{
	struct origins *origins = memory_zeroed(sizeof(*origins));
	struct config *config = (struct config *)(uintptr_t)engine->config;
	origins->engine = engine;
	origins->port = port;
	origins->other_classes.is_class = true;
	origins->host = *host;
	config_each_line(config, "cache-origin", add_line, origins);
	cache_set_origins(engine, port, origins);
	return origins;
}

void origins_closing(struct origins *origins)
{
	origins->closed = true;
}

static void free_list(struct job *job)
{
	while (job) {
		struct job *next = job->next;
		job_free(job);
		job = next;
	}
}

void origins_free(struct origins **taken)
{
	struct origins *origins = *taken;
	*taken = NULL;
	for (int i = 0; i < 2; i++) {
		free_list(origins->lanes[i].first);
		free_list(origins->lanes[i].running);
	}
	while (origins->sources) {
		struct source *source = origins->sources;
		origins->sources = source->next;
		source_free(source);
	}
	cache_set_origins(origins->engine, origins->port, NULL);
	memory_free(origins);
}
