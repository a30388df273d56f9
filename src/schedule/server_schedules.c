/*
 * server_schedules: see server_schedules.h.
 *
 *   start:  a turn on shard 0 reads when each line ran last; new lines are written as run now,
 *           those that are no longer configured are forgotten
 *   due:    a turn on shard 0 writes now --> DO.WAKE walks the shards --> told: under way no more
 *
 * A run counts from the moment it is written. What a crash interrupts is not sent a second time to
 * those that had it: the objects whose calls were filed by then have them, the others get the next.
 *
 * A line whose last run is still being sent when its next time comes leaves that time out.
 *
 * Threads: the worker of shard 0.
 */
#include "schedule/server_schedules.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "object/commands.h"
#include "store/damage.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>

#define CRON_KEY_BYTES 9
#define HOME_SHARD     0
#define FORGET_MAX     1024 /* lines of earlier configurations, a start */

static bool add_line(void *context, const struct slice *words, size_t count);
static void run_read(struct turn *turn);
static void on_read(struct request **request);
static void begin_line(struct server_schedule *line, int64_t now_ms);
static void run_note(struct turn *turn);
static void on_noted(struct request **request);
static void on_woken(struct request **request);

static const struct command read_command = {
	.name = "read when schedules ran", .route = ROUTE_KEYS, .run = run_read
};

static const struct command note_command = {
	.name = "note that a schedule runs", .route = ROUTE_KEYS, .run = run_note
};

static const struct command wake_command = {
	.name = "do.wake", .arity = -3, .route = ROUTE_WALK, .flags = COMMAND_WRITE, .run = do_wake
};

struct server_schedules *server_schedules_new(struct scheduler *scheduler, struct config *config)
{
	struct server_schedules *schedules = memory_zeroed(sizeof(*schedules));
	schedules->scheduler = scheduler;
	schedules->wake = &wake_command;
	if (config)
		config_each_line(config, "schedule", add_line, schedules);
	return schedules;
}

void server_schedules_free(struct server_schedules **taken)
{
	struct server_schedules *schedules = *taken;
	*taken = NULL;
	memory_free(schedules->lines);
	memory_free(schedules);
}

void server_schedules_run(struct server_schedules *schedules, int64_t now_ms)
{
	if (schedules->state == SCHEDULES_UNREAD) {
		schedules->state = SCHEDULES_READING;
		scheduler_ask(schedules->scheduler, &read_command, HOME_SHARD, schedules, on_read);
	}
	if (schedules->state != SCHEDULES_READY)
		return;
	for (uint32_t i = 0; i < schedules->count; i++) {
		if (schedules->lines[i].next_ms <= now_ms)
			begin_line(&schedules->lines[i], now_ms);
	}
}

void server_schedules_follow(struct server_schedules *schedules, int64_t now_ms)
{
	for (uint32_t i = 0; i < schedules->count; i++) {
		struct server_schedule *line = &schedules->lines[i];
		int64_t next_ms = cron_next(&line->cron, now_ms);
		if (line->next_ms > next_ms)
			line->next_ms = next_ms;
	}
}

int64_t server_schedules_next_ms(const struct server_schedules *schedules)
{
	if (schedules->state == SCHEDULES_UNREAD)
		return 0;
	int64_t next_ms = INT64_MAX;
	for (uint32_t i = 0; schedules->state == SCHEDULES_READY && i < schedules->count; i++) {
		if (schedules->lines[i].next_ms < next_ms)
			next_ms = schedules->lines[i].next_ms;
	}
	return next_ms;
}

/* --- the lines -------------------------------------------------------------------------------- */

static uint64_t hash_words(const struct slice *words, size_t count)
{
	uint64_t hash = count;
	for (size_t i = 0; i < count; i++)
		hash = hash_checksum(words[i], hash);
	return hash;
}

static struct server_schedule *find_line(const struct server_schedules *schedules, uint64_t hash)
{
	for (uint32_t i = 0; i < schedules->count; i++) {
		if (schedules->lines[i].hash == hash)
			return &schedules->lines[i];
	}
	return NULL;
}

static void say(const struct server_schedule *line, const char *what)
{
	const struct slice *words = line->words;
	logline(LOGLINE_WARNING, "schedule \"%.*s\" %.*s %.*s: %s", (int)words[0].size,
		words[0].data, (int)words[1].size, words[1].data, (int)words[2].size, words[2].data,
		what);
}

/* The configuration has checked each line; a second one of the same words is the same line. */
static bool add_line(void *context, const struct slice *words, size_t count)
{
	struct server_schedules *schedules = context;
	char error[128];
	assert(count == 3 || count == SERVER_SCHEDULE_WORDS_MAX);
	struct server_schedule line = {
		.schedules = schedules,
		.word_count = (uint32_t)count,
		.hash = hash_words(words, count),
	};
	memcpy(line.words, words, count * sizeof(*words));
	int failed = cron_parse(words[0], &line.cron, error, sizeof(error));
	assert(!failed);
	if (find_line(schedules, line.hash))
		return true;
	schedules->lines =
		memory_resize(schedules->lines, (schedules->count + 1) * sizeof(*schedules->lines));
	schedules->lines[schedules->count++] = line;
	return true;
}

/* --- when they ran last ----------------------------------------------------------------------- */

static struct slice key_of_line(uint64_t hash, char out[CRON_KEY_BYTES])
{
	uint64_t number = htobe64(hash);
	out[0] = TABLE_CRON;
	memcpy(out + 1, &number, sizeof(number));
	return slice_of(out, CRON_KEY_BYTES);
}

static uint64_t number_in(struct slice key, struct slice bytes)
{
	uint64_t number;
	if (bytes.size != sizeof(number))
		damaged("when a line of schedules ran last", HOME_SHARD, key);
	memcpy(&number, bytes.data, sizeof(number));
	return le64toh(number);
}

static void put_now(struct turn *turn, const struct server_schedule *line)
{
	char key[CRON_KEY_BYTES];
	uint64_t number = htole64((uint64_t)turn->now_ms);
	struct slice data = arena_copy(turn_arena(turn), slice_of(&number, sizeof(number)));
	struct value value = { .type = VALUE_NUMBER, .data = data };
	turn_put(turn, HOME_SHARD, key_of_line(line->hash, key), &value);
}

/* Forgets lines that are configured no more: if they come back, they are new. */
static void forget_others(struct turn *turn, const struct server_schedules *schedules)
{
	static const char start[] = { TABLE_CRON }, end[] = { TABLE_CRON + 1 };
	struct slice forgotten[FORGET_MAX], key;
	uint32_t count = 0;
	struct value value;
	struct cursor cursor;
	cursor_open(&cursor, turn->stores[HOME_SHARD], &turn->changes, turn_arena(turn),
		slice_of(start, 1), slice_of(end, 1), false);
	while (count < FORGET_MAX && cursor_next(&cursor, &key, &value)) {
		uint64_t hash;
		if (key.size != CRON_KEY_BYTES)
			continue;
		memcpy(&hash, key.data + 1, sizeof(hash));
		if (!find_line(schedules, be64toh(hash)))
			forgotten[count++] = arena_copy(turn_arena(turn), key);
	}
	cursor_close(&cursor);
	for (uint32_t i = 0; i < count; i++)
		turn_delete(turn, HOME_SHARD, forgotten[i]);
}

static void run_read(struct turn *turn)
{
	struct server_schedules *schedules = turn->state;
	forget_others(turn, schedules);
	for (uint32_t i = 0; i < schedules->count; i++) {
		struct server_schedule *line = &schedules->lines[i];
		char bytes[CRON_KEY_BYTES];
		struct slice key = key_of_line(line->hash, bytes);
		struct value value;
		int64_t last_ms = turn->now_ms;
		if (turn_get(turn, HOME_SHARD, key, &value))
			last_ms = (int64_t)number_in(key, value.data);
		else
			put_now(turn, line);
		/* The clock may have been set back since. */
		if (last_ms < 0 || last_ms > turn->now_ms)
			last_ms = turn->now_ms;
		line->next_ms = cron_next(&line->cron, last_ms);
	}
}

static void on_read(struct request **request)
{
	struct server_schedules *schedules = (*request)->turn.state;
	schedules->state = SCHEDULES_READY;
	objects_ask(schedules->scheduler->objects);
}

/* --- a run ------------------------------------------------------------------------------------ */

static void begin_line(struct server_schedule *line, int64_t now_ms)
{
	line->next_ms = cron_next(&line->cron, now_ms);
	if (line->under_way) {
		say(line, "its last run is still being sent; this one is left out");
		return;
	}
	line->under_way = true;
	scheduler_ask(line->schedules->scheduler, &note_command, HOME_SHARD, line, on_noted);
}

static void run_note(struct turn *turn)
{
	put_now(turn, turn->state);
}

static void on_noted(struct request **request)
{
	struct server_schedule *line = (*request)->turn.state;
	struct scheduler *scheduler = line->schedules->scheduler;
	if (scheduler->quiesced)
		return;
	/* The command's name in place of the line's times. */
	struct slice words[SERVER_SCHEDULE_WORDS_MAX];
	memcpy(words, line->words, sizeof(words));
	words[0] = slice_text(wake_command.name);
	engine_ask(scheduler->engine, scheduler->port,
		&(struct question){ .command = line->schedules->wake,
			.words = words,
			.word_count = line->word_count,
			.routed = true,
			.context = line,
			.told = on_woken });
}

static void on_woken(struct request **taken)
{
	const struct request *request = *taken;
	struct server_schedule *line = request->told_context;
	line->under_way = false;
	if (request->turn.failed) {
		struct slice text = request_error(request);
		char error[LIMIT_ERROR_BYTES];
		snprintf(error, sizeof(error), "%.*s", (int)text.size, text.data);
		say(line, error);
	}
}
