/*
 * origin: see origin.h.
 *
 * An order's way: line -> running (a fetch, or a call of the server's own) -> storing (a turn of
 * the key's shard) -> freed. Where it is in the store is read in the turn that orders, what comes
 * of it is written in the turn that stores it; between them it knows nothing but its token, which
 * may be void by then.
 *
 * What fails is left alone: the key for itself (pauses.h), and its source, a `cache-origin` line or
 * a class, when that cannot be reached or most of it fails (origin_source.h).
 *
 * Threads: see origin.h.
 */
#include "cache/origin.h"

#include "base/container.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/number.h"
#include "cache/freshness.h"
#include "cache/holder.h"
#include "cache/options.h"
#include "cache/origin_source.h"
#include "cache/origin_url.h"
#include "cache/pauses.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "object/object_call.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

#define RUNNING_MAX        64 /* of a lane */
#define FREE_TIMES         3
#define REDIRECTS_MAX      5
#define BUSY_MS            10
#define RETRY_MS           1000
#define CLIMBS_RETRY_MS    60000
#define MARGIN_MS_MAX      500
#define TTL_MS_DEFAULT     60000
#define STALE_MS_DEFAULT   600000
#define ABSENT_MS_DEFAULT  60000
#define REFUSED_MS_DEFAULT 10000

enum outcome {
	FAILED,
	FILLED,
	ABSENT,
	RENEWED,
	NOT_ASKED, /* a failure that says nothing, of the key neither */
	REFUSED,   /* the key alone: a failure where there is a value, else as absent */
};

struct job {
	struct list_node in_lane; /* in line, then running */
	struct gate_wait held;    /* of a call: until what its result tells of is durable */
	struct origins *origins;
	struct origin_source *source;
	bool is_probe; /* of the source, which is left alone otherwise */
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
	int64_t retry_ms;    /* of a failure: when to try again, -1 while it is not known */
	bool is_unreachable; /* a failure without a connection */
	char error[ORIGIN_ERROR_BYTES];
	struct freshness freshness;
};

/* So that slow ones of one kind do not stop the other. */
struct lane {
	struct list line; /* jobs that wait */
	uint32_t count;
	struct list running;
	uint32_t running_count;
};

struct origins {
	struct engine *engine;
	uint16_t port;
	bool closed;
	struct origins_host host;
	struct origin_sources *sources;
	struct pauses *pauses; /* of keys */
	struct lane lanes[2];  /* by HTTP, by objects */
};

static void wake_in(const struct origins *origins, int64_t ms)
{
	if (!origins->closed)
		origins->host.wake_in(origins->host.context, ms);
}

static void job_free(struct job *job)
{
	struct arena arena = job->arena;
	job->source->jobs--;
	gate_wait_end(&job->held);
	fetch_clear(&job->fetch);
	buffer_fini(&job->value);
	arena_fini(&arena);
	memory_free(job);
}

/* Of a clock that never goes back: what is left alone is not so for longer when the other does. */
static int64_t steady_ms(const struct origins *origins)
{
	return (int64_t)(clock_monotonic_ns(origins->engine->clock) / 1000000);
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* NULL: it is the caller's. */
static struct origin_source *source_of(struct origins *origins, const struct origin_order *order)
{
	return order->class_name.size > 0
		? origin_source_of_class(origins->sources, order->class_name)
		: origin_source_of_key(origins->sources, order->key);
}

/* --- ordering --------------------------------------------------------------------------------- */

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
	return origins && !origins->closed &&
		(order->class_name.size > 0 || origin_source_of_key(origins->sources, order->key));
}

static struct slice rest_of(const struct origin_source *source, struct slice key)
{
	return slice_of(key.data + source->prefix.size, key.size - source->prefix.size);
}

/* How long the key is left alone, or its source; 0: it may be asked. */
static int64_t left_ms(
	struct origins *origins, struct origin_source *source, struct slice key, bool *is_probe)
{
	int64_t now_ms = steady_ms(origins), retry_ms = 0;
	if (!source->is_class && origin_url_climbs(source->url, rest_of(source, key)))
		return CLIMBS_RETRY_MS;
	int64_t pause_ms = pauses_left_ms(origins->pauses, key, now_ms);
	if (pause_ms > 0)
		return larger(pause_ms, breaker_left_ms(&source->breaker, now_ms));
	if (origins->lanes[source->is_class].count >= LIMIT_CACHE_ORDERS)
		return RETRY_MS;
	enum breaker_admission admission = breaker_admit(&source->breaker, now_ms, &retry_ms);
	*is_probe = admission == BREAKER_PROBE;
	return admission == BREAKER_WAIT ? retry_ms : 0;
}

enum origin_answer origin_refresh(
	struct turn *turn, const struct origin_order *order, int64_t *retry_ms)
{
	struct origins *origins = cache_origins(turn);
	struct origin_source *source =
		origins && !origins->closed ? source_of(origins, order) : NULL;
	bool is_probe = false;
	if (source == NULL)
		return ORIGIN_NONE;
	*retry_ms = left_ms(origins, source, order->key, &is_probe);
	if (*retry_ms > 0)
		return ORIGIN_PAUSED;
	struct lane *lane = &origins->lanes[source->is_class];
	struct job *job = memory_zeroed(sizeof(*job));
	job->origins = origins;
	job->source = source;
	job->is_probe = is_probe;
	source->jobs++;
	arena_init(&job->arena, 1024);
	buffer_init(&job->value);
	copy_order(job, turn, order);
	job->ordered_ms = turn->now_ms;
	list_append(&lane->line, &job->in_lane);
	lane->count++;
	wake_in(origins, 0);
	return ORIGIN_TAKEN;
}

bool origin_look(struct turn *turn, struct slice key, struct origin_look *out)
{
	struct origins *origins = cache_origins(turn);
	struct origin_source *source = origins ? origin_source_of_key(origins->sources, key) : NULL;
	*out = (struct origin_look){ 0 };
	if (source == NULL)
		return false;
	int64_t now_ms = steady_ms(origins);
	out->prefix = source->prefix;
	out->error = source->error;
	out->is_paused = source->breaker.is_open;
	out->retry_ms = pauses_left_ms(origins->pauses, key, now_ms);
	out->has_failed = out->retry_ms > 0;
	int64_t left_ms = breaker_left_ms(&source->breaker, now_ms);
	if (left_ms > out->retry_ms)
		out->retry_ms = left_ms;
	return true;
}

/* Of a value that an object gave. */
static void called_lives(
	const struct job *job, const struct cache_record *before, struct cache_record *record)
{
	bool had = before->ttl_ms > 0 && !(before->flags & CACHE_FORMAT_FLAG_LASTING);
	record->ttl_ms = had ? before->ttl_ms : TTL_MS_DEFAULT;
	record->stale_ms = had ? before->stale_ms : STALE_MS_DEFAULT;
	if (job->order.ttl_ms >= 0) {
		record->ttl_ms = job->order.ttl_ms;
		record->stale_ms = job->order.stale_ms;
	}
}

/* Of an answer of HTTP: what it says; what 304 leaves unsaid was said before (RFC 9111, 4.3.4);
 * then the caller's, then the configuration's. */
static void fetched_lives(const struct turn *turn, const struct job *job,
	const struct cache_record *before, struct cache_record *record)
{
	const struct freshness *says = &job->freshness;
	const struct origin_order *order = &job->order;
	bool is_named = order->ttl_ms >= 0;
	bool is_kept = job->outcome == RENEWED && !says->stated;
	if (!says->storable)
		return;
	record->ttl_ms = is_kept ? before->ttl_ms
		: says->stated   ? says->ttl_ms
		: is_named       ? order->ttl_ms
				 : TTL_MS_DEFAULT;
	/* Windows of an answer that states no life begin when the default ends. */
	int64_t base_ms = says->stated ? 0 : record->ttl_ms;
	int64_t stale_ms = record->ttl_ms + turn->config->cache_origin_stale_s * 1000;
	stale_ms = is_kept ? before->stale_ms : is_named ? order->stale_ms : stale_ms;
	stale_ms = says->has_stale ? base_ms + says->stale_ms : stale_ms;
	record->stale_ms = larger(stale_ms, record->ttl_ms);
	int64_t error_ms = record->ttl_ms + turn->config->cache_origin_error_s * 1000;
	error_ms = is_kept ? before->error_ms : error_ms;
	error_ms = says->has_stale_error ? base_ms + says->stale_error_ms : error_ms;
	record->error_ms = larger(error_ms, record->ttl_ms);
}

/* What is to be stored, but for who fetched it and when. */
static void lives_of(const struct turn *turn, const struct job *job,
	const struct cache_record *before, struct cache_record *record)
{
	if (job->source->is_class)
		called_lives(job, before, record);
	else
		fetched_lives(turn, job, before, record);
}

/* Negative answers are kept by the same rules as others. */
static int64_t absent_ms(const struct job *job)
{
	if (!job->source->is_class && !job->freshness.storable)
		return 0;
	if (job->freshness.stated)
		return job->freshness.ttl_ms;
	return job->outcome == REFUSED ? REFUSED_MS_DEFAULT : ABSENT_MS_DEFAULT;
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
	lives_of(turn, job, &before, &record);
	record.etag = job->freshness.etag;
	record.last_modified = job->freshness.last_modified;
	if (job->outcome == RENEWED && record.etag.size == 0)
		record.etag = before.etag;
	if (job->outcome == RENEWED && record.last_modified.size == 0)
		record.last_modified = before.last_modified;
	return record;
}

static void store_answer(struct turn *turn)
{
	struct job *job = turn->state;
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

static const struct command store_command = {
	.name = "store what an origin answered",
	.arity = -1,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE | COMMAND_RELAXED,
	.run = store_answer,
};

static struct lane *lane_of(const struct job *job)
{
	return &job->origins->lanes[job->source->is_class];
}

static void unlink_running(struct job *job)
{
	struct lane *lane = lane_of(job);
	list_remove(&lane->running, &job->in_lane);
	lane->running_count--;
	job->source->running--;
}

static void on_stored(struct request **request)
{
	struct job *job = (*request)->turn.state;
	struct origins *origins = job->origins;
	bool more = lane_of(job)->line.first != NULL;
	unlink_running(job);
	job_free(job);
	if (more)
		wake_in(origins, 0);
}

/* What the outcome says of the key and of its source. */
static void judge(struct job *job)
{
	struct origins *origins = job->origins;
	struct slice key = job->order.key;
	int64_t now_ms = steady_ms(origins), asked_ms = job->retry_ms;
	enum breaker_result result = BREAKER_ANSWERED;
	if (job->outcome == NOT_ASKED) {
		job->outcome = FAILED;
		job->retry_ms = RETRY_MS;
		return;
	}
	if (job->outcome == FAILED) {
		result = job->is_unreachable ? BREAKER_UNREACHABLE : BREAKER_FAILED;
		job->retry_ms = pauses_fail(origins->pauses, key, asked_ms, now_ms);
	} else {
		/* Refused, with a value there, it is a failure. */
		job->retry_ms = REFUSED_MS_DEFAULT;
		pauses_end(origins->pauses, key);
	}
	origin_source_note(
		origins->sources, job->source, job->is_probe, result, asked_ms, job->error, now_ms);
	if (result != BREAKER_ANSWERED)
		job->retry_ms =
			larger(job->retry_ms, breaker_left_ms(&job->source->breaker, now_ms));
}

/* The exchange is over; not within a turn. */
static void end_exchange(struct job *job)
{
	struct origins *origins = job->origins;
	judge(job);
	engine_ask(origins->engine, origins->port,
		&(struct question){ .command = &store_command,
			.shard = hash_shard_of(
				hash_slot(job->order.key), origins->engine->shard_count),
			.state = job,
			.told = on_stored });
}

/* --- by HTTP ---------------------------------------------------------------------------------- */

/* Of this key, and says nothing of others: not one of time (408, 425) or load (429). */
static bool is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

/* Of 2xx these alone have a whole representation (RFC 9110, 15.3): 203 is one that was changed on
 * the way. */
static bool has_value(int status)
{
	return status == 200 || status == 203;
}

static enum outcome outcome_of(const struct job *job)
{
	int status = job->fetch.status;
	if (status == 304 && (job->etag.size || job->last_modified.size))
		return RENEWED;
	if (status == 404 || status == 410)
		return ABSENT;
	if (is_refusal(status))
		return REFUSED;
	return has_value(status) ? FILLED : FAILED;
}

/* Why there is no answer, and what that says. */
static void note_failure(struct job *job)
{
	const struct fetch *fetch = &job->fetch;
	if (fetch->status != 0) {
		snprintf(job->error, sizeof(job->error), "it answers %d", fetch->status);
		return;
	}
	snprintf(job->error, sizeof(job->error), "%s %s", fetch->code, fetch->error);
	bool has_tried = fetch->reach != FETCH_WAITED;
	bool is_of_url = strcmp(fetch->code, "BADURL") == 0;
	/* In line for too long; or it is not allowed to be asked. */
	if (!has_tried && strcmp(fetch->code, "TIMEOUT") == 0)
		job->outcome = NOT_ASKED;
	else
		job->is_unreachable = fetch->reach != FETCH_CONNECTED && !is_of_url;
}

static void on_fetched(struct fetch *fetch)
{
	struct job *job = fetch->context;
	struct origins *origins = job->origins;
	struct slice headers = buffer_slice(&fetch->headers_in);
	int64_t now_ms = clock_wall_ms(origins->engine->clock);
	job->fetching = false;
	engine_tick(origins->engine, origins->port);
	job->outcome = outcome_of(job);
	/* All refusals are read like those that a cache may keep by itself. */
	int status = job->outcome == REFUSED ? 404 : fetch->status;
	freshness_read(status, headers, now_ms, &job->freshness);
	job->freshness.etag = arena_copy(&job->arena, job->freshness.etag);
	job->freshness.last_modified = arena_copy(&job->arena, job->freshness.last_modified);
	job->retry_ms = -1;
	if (job->outcome == FILLED)
		buffer_append(&job->value, fetch->body_in.data, fetch->body_in.size);
	if (job->outcome == FAILED) {
		job->retry_ms = freshness_retry_ms(headers, now_ms);
		note_failure(job);
	}
	end_exchange(job);
}

/* The exchange ends before the lease does, so that its failure is stored and the source paused
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
	const struct origin_source *source = job->source;
	struct fetch_header *headers =
		arena_alloc(&job->arena, (ORIGIN_HEADERS_MAX + 2) * sizeof(*headers));
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
	job->fetch.url = origin_url(source->url, rest_of(source, job->order.key), &job->arena);
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

/* --- by an object ----------------------------------------------------------------------------- */

/* The line that the source's failure is told by. */
static void note_error(struct job *job, struct slice error)
{
	snprintf(job->error, sizeof(job->error), "%.*s", (int)error.size, error.data);
	for (char *at = job->error; *at; at++) {
		if (!isprint((unsigned char)*at))
			*at = '.';
	}
}

/* A string or a number is the value, nil is none; booleans are numbers, as RESP2 has them. */
static void read_result(struct job *job, const struct packed_item *result)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];
	size_t size = 0;
	job->outcome = FILLED;
	switch (result->kind) {
	case PACKED_NIL:
	case PACKED_NULL:
		job->outcome = ABSENT;
		break;
	case PACKED_STRING:
		buffer_append(&job->value, result->bytes.data, result->bytes.size);
		break;
	case PACKED_FALSE:
	case PACKED_TRUE:
		size = number_format_i64(text, result->kind == PACKED_TRUE);
		break;
	case PACKED_INTEGER:
		size = number_format_i64(text, result->integer);
		break;
	case PACKED_FLOAT:
		size = number_format_double(text, result->number);
		break;
	case PACKED_TABLE:
	case PACKED_OBJECT:
		job->outcome = FAILED;
		note_error(job, slice_text("its result is no string and no number"));
	}
	buffer_append(&job->value, text, size);
}

static void read_answer(struct job *job, const struct request *request)
{
	struct packed_item result;
	job->retry_ms = -1;
	if (object_call_result(request, &result)) {
		read_result(job, &result);
	} else {
		job->outcome = FAILED;
		note_error(job, request_error(request));
	}
}

static void on_released(struct gate_wait *held)
{
	end_exchange(container_of(held, struct job, held));
}

static void on_called(struct request **taken)
{
	const struct request *request = *taken;
	struct job *job = request->told_context;
	struct engine *engine = job->origins->engine;
	read_answer(job, request);
	/* Replies of the cache do not wait: what an object told is held back here. */
	if (request->gate_lsn <= gate_released(engine->gate)) {
		end_exchange(job);
		return;
	}
	job->held.told = on_released;
	gate_wait_begin(&engine->ports[job->origins->port].waits, &job->held, request->gate_lsn);
}

static void begin_call(struct job *job)
{
	struct origins *origins = job->origins;
	struct object_call call = {
		.name = { job->order.class_name, job->order.id },
		.method = job->order.method,
		.context = job,
		.told = on_called,
	};
	if (!object_call_check(&call.name, call.method, job->error, sizeof(job->error))) {
		job->outcome = FAILED;
		job->retry_ms = -1;
		end_exchange(job);
		return;
	}
	struct buffer arguments;
	buffer_init(&arguments);
	packed_add_table(&arguments, 1, 0);
	packed_add_string(&arguments, job->order.key);
	call.arguments = buffer_slice(&arguments);
	struct request *request = object_call_new(origins->engine, origins->port, &call);
	buffer_fini(&arguments);
	engine_submit(origins->engine, origins->port, &request);
}

/* --- running ---------------------------------------------------------------------------------- */

/* The first in line whose source leaves enough of the lane to others: it may have three times as
 * much as is free. So one that never answers takes three quarters, and whoever comes next most of
 * the rest, but nobody all. NULL: nobody may begin. */
static struct job *next_in_line(const struct lane *lane)
{
	uint32_t most = FREE_TIMES * (RUNNING_MAX - lane->running_count);
	for (struct list_node *node = lane->line.first; node; node = node->next) {
		struct job *job = container_of(node, struct job, in_lane);
		if (job->source->running < most)
			return job;
	}
	return NULL;
}

static void begin(struct lane *lane, struct job *job)
{
	list_remove(&lane->line, &job->in_lane);
	lane->count--;
	job->source->running++;
	list_append(&lane->running, &job->in_lane);
	lane->running_count++;
	job->begun_ms = clock_wall_ms(job->origins->engine->clock);
	if (job->source->is_class)
		begin_call(job);
	else
		begin_fetch(job);
}

void origins_run(struct origins *origins)
{
	for (int i = 0; i < 2; i++) {
		struct lane *lane = &origins->lanes[i];
		struct job *job;
		while (!origins->closed && (job = next_in_line(lane)) != NULL) {
			/* What would be written has to wait like all writes. */
			if (engine_admission(origins->engine) == GATE_BUSY) {
				wake_in(origins, BUSY_MS);
				return;
			}
			begin(lane, job);
		}
	}
}

struct origins *origins_new(struct engine *engine, uint16_t port, const struct origins_host *host)
{
	struct origins *origins = memory_zeroed(sizeof(*origins));
	struct config *config = (struct config *)(uintptr_t)engine->config;
	origins->engine = engine;
	origins->port = port;
	origins->host = *host;
	origins->sources = origin_sources_new(config, cache_board(engine));
	origins->pauses = pauses_new();
	cache_set_origins(engine, port, origins);
	return origins;
}

void origins_closing(struct origins *origins)
{
	origins->closed = true;
}

static void free_list(struct list *jobs)
{
	struct list_node *node;
	while ((node = list_take(jobs)) != NULL)
		job_free(container_of(node, struct job, in_lane));
}

void origins_free(struct origins **taken)
{
	struct origins *origins = *taken;
	*taken = NULL;
	for (int i = 0; i < 2; i++) {
		free_list(&origins->lanes[i].line);
		free_list(&origins->lanes[i].running);
	}
	origin_sources_free(&origins->sources);
	pauses_free(&origins->pauses);
	cache_set_origins(origins->engine, origins->port, NULL);
	memory_free(origins);
}
