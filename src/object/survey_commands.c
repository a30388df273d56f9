/*
 * survey_commands: DO.OBJECTS, DO.INFO, DO.ALARMS, DO.WAKE: what looks at many objects, without
 * waking one (DO.WAKE files calls; the scheduler makes them).
 *
 * All go from shard to shard, in turns of bounded work (survey.h), and keep in turn->state what
 * they have gathered; the reply is written in the last turn. Their replies wait for everything the
 * shards they walked had written. DO.INFO of one object goes to its shard only.
 *
 * Nobody sees all shards at one moment: an object that is there during the whole walk is seen once,
 * one that comes or goes meanwhile may be seen or not.
 *
 * DO.ALARMS reads the index of what is due. That tells when, what kind and whose; what the run is
 * for and how often it has failed stands with the object, which is looked up for those entries only
 * that have a place in the reply.
 *
 * Threads: the turn's; the state travels with the request.
 */
#include "object/commands.h"

#include "base/number.h"
#include "object/objects.h"
#include "object/packed.h"
#include "object/survey.h"
#include "request/options.h"
#include "store/damage.h"

#include <assert.h>

#define OBJECTS_LIMIT_DEFAULT 1000
#define ALARMS_LIMIT_DEFAULT  100
/* Calls filed by one turn of DO.WAKE: each is a write. */
#define WAKES_PER_TURN 256
/* Of an argument, in errors. */
#define SHOWN_BYTES_MAX 128

struct objects_walk {
	struct survey_range range; /* what is left to be read of the shard */
	struct slice prefix;
	struct slice start_after;
	uint32_t limit;
	struct page page;
};

struct info_walk {
	struct survey_range range;
	uint64_t objects;
	struct objects_figures figures;
	struct objects *workers[LIMIT_WORKERS]; /* whose figures are in the sum */
	uint32_t worker_count;
};

struct alarms_walk {
	struct survey_range range;
	bool failed; /* the runs given up */
	uint32_t limit;
	struct page page;
};

/* What DO.ALARMS tells of an entry besides its key. */
struct alarm_detail {
	int64_t scheduled_ms;
	int64_t failed_ms; /* 0: not given up */
	int64_t tries;
	struct slice error;
};

struct wake_walk {
	struct survey_range range;
	struct slice prefix;
	struct slice method;
	struct slice arguments; /* packed */
	struct arena_mark mark;
	uint64_t sent;
};

static bool class_argument(struct turn *turn, struct slice *out);
static bool parse_limit(struct turn *turn, struct slice text, uint32_t max, uint32_t *out);
static bool parse_prefix(struct turn *turn, struct slice text, struct slice *out);
static struct objects_walk *objects_walk_new(struct turn *turn);
static bool gather_objects(struct turn *turn, struct slice class_name, struct objects_walk *walk);
static void info_of_object(struct turn *turn, struct slice class_name, struct slice id);
static void info_of_class(struct turn *turn, struct slice class_name);
static struct alarms_walk *alarms_walk_new(struct turn *turn);
static bool gather_alarms(struct turn *turn, struct slice class_name, struct alarms_walk *walk);
static void write_alarms(struct turn *turn, const struct alarms_walk *walk);
static struct wake_walk *wake_walk_new(struct turn *turn, struct slice class_name);
static bool send_wakes(struct turn *turn, struct slice class_name, struct wake_walk *walk);

void do_objects(struct turn *turn)
{
	struct slice class_name;
	if (!class_argument(turn, &class_name))
		return;
	struct objects_walk *walk = turn->state;
	if (!walk && !(walk = objects_walk_new(turn)))
		return;
	if (turn_walks(turn, gather_objects(turn, class_name, walk)))
		return;
	writer_array(&turn->writer, walk->page.count);
	for (uint32_t i = 0; i < walk->page.count; i++)
		writer_bulk(&turn->writer, walk->page.entries[i].key);
}

void do_info(struct turn *turn)
{
	struct slice class_name;
	uint32_t count = turn->asked->argument_count;
	if (!class_argument(turn, &class_name))
		return;
	if (count == 2)
		info_of_class(turn, class_name);
	else if (count == 3)
		info_of_object(turn, class_name, turn_argument(turn, 2));
	else
		turn_syntax_error(turn, 3);
}

void do_alarms(struct turn *turn)
{
	struct slice class_name;
	if (!class_argument(turn, &class_name))
		return;
	struct alarms_walk *walk = turn->state;
	if (!walk && !(walk = alarms_walk_new(turn)))
		return;
	if (!turn_walks(turn, gather_alarms(turn, class_name, walk)))
		write_alarms(turn, walk);
}

void do_wake(struct turn *turn)
{
	struct slice class_name;
	if (!class_argument(turn, &class_name))
		return;
	struct wake_walk *walk = turn->state;
	if (!walk && !(walk = wake_walk_new(turn, class_name)))
		return;
	if (!turn->may_write) {
		turn_error(turn, ERROR_DISK_FULL);
		return;
	}
	/* What earlier turns wrote has been committed: their memory is free. */
	arena_rewind(turn_arena(turn), walk->mark);
	if (!turn_walks(turn, send_wakes(turn, class_name, walk)))
		writer_integer(&turn->writer, (int64_t)walk->sent);
}

/* --- what they share -------------------------------------------------------------------------- */

static int shown(struct slice text)
{
	return text.size < SHOWN_BYTES_MAX ? (int)text.size : SHOWN_BYTES_MAX;
}

static bool class_argument(struct turn *turn, struct slice *out)
{
	*out = turn_argument(turn, 1);
	if (object_class_name_ok(*out))
		return true;
	turn_error(turn, ERROR_CLASS_NAME);
	return false;
}

static bool parse_limit(struct turn *turn, struct slice text, uint32_t max, uint32_t *out)
{
	int64_t limit;
	if (!number_parse_i64(text, &limit) || limit < 1 || limit > max) {
		turn_error(turn, ERROR_LIMIT_RANGE, max);
		return false;
	}
	*out = (uint32_t)limit;
	return true;
}

/* Of ids, or a whole id; may be empty. */
static bool parse_prefix(struct turn *turn, struct slice text, struct slice *out)
{
	if (text.size > LIMIT_KEY_BYTES) {
		turn_error(turn, ERROR_ID);
		return false;
	}
	*out = text;
	return true;
}

static void write_moment(struct writer *writer, const char *name, int64_t moment_ms)
{
	writer_bulk_text(writer, name);
	if (moment_ms)
		writer_integer(writer, moment_ms);
	else
		writer_null(writer);
}

static void write_count(struct writer *writer, const char *name, uint64_t count)
{
	writer_bulk_text(writer, name);
	writer_integer(writer, (int64_t)count);
}

static void write_bytes(struct writer *writer, const char *name, struct slice bytes)
{
	writer_bulk_text(writer, name);
	writer_bulk(writer, bytes);
}

/* --- DO.OBJECTS ------------------------------------------------------------------------------- */

static bool read_objects_limit(struct options *options)
{
	struct objects_walk *walk = options->out;
	return parse_limit(options->turn, options_value(options), LIMIT_OBJECTS_PAGE, &walk->limit);
}

static bool read_prefix(struct options *options)
{
	struct objects_walk *walk = options->out;
	return parse_prefix(options->turn, options_value(options), &walk->prefix);
}

static bool read_start_after(struct options *options)
{
	struct objects_walk *walk = options->out;
	return parse_prefix(options->turn, options_value(options), &walk->start_after);
}

static const struct option objects_rows[] = {
	{ "limit", OPTION_ANY, 0, 1, read_objects_limit },
	{ "prefix", OPTION_ANY, 0, 1, read_prefix },
	{ "startafter", OPTION_ANY, 0, 1, read_start_after },
};

static const struct option_table objects_table = {
	.rows = objects_rows,
	.count = sizeof(objects_rows) / sizeof(objects_rows[0]),
	.repeats = true,
	.misfit = options_say_where,
};

/* NULL: answered with an error. */
static struct objects_walk *objects_walk_new(struct turn *turn)
{
	struct objects_walk *walk = arena_alloc(turn_arena(turn), sizeof(*walk));
	struct options options = options_from(turn, 2, walk);
	walk->prefix = walk->start_after = slice_of(NULL, 0);
	walk->limit = OBJECTS_LIMIT_DEFAULT;
	if (!options_read(&options, &objects_table, OPTION_ANY))
		return NULL;
	page_init(&walk->page, turn_arena(turn), walk->limit, false);
	turn->state = walk;
	return walk;
}

/* True: there is more to read on this shard. */
static bool gather_objects(struct turn *turn, struct slice class_name, struct objects_walk *walk)
{
	struct survey survey;
	struct slice id;
	bool full = false;
	if (turn_arrives(turn))
		survey_range_objects(&walk->range, class_name, walk->prefix, walk->start_after);
	survey_open(&survey, turn, turn->shard, &walk->range);
	while (!full && survey_next_object(&survey, class_name, &id)) {
		full = !page_admits(&walk->page, id);
		if (!full)
			page_add(&walk->page, arena_copy(turn_arena(turn), id), NULL);
	}
	page_end_run(&walk->page);
	return survey_close(&survey) && !full;
}

/* --- DO.INFO ---------------------------------------------------------------------------------- */

static void write_last_error(struct writer *writer, const struct objects_figures *figures)
{
	writer_bulk_text(writer, "last-error");
	if (figures->last_error_ms)
		writer_bulk_text(writer, figures->last_error);
	else
		writer_null(writer);
	write_moment(writer, "last-error-at", figures->last_error_ms);
}

/* What recurs or is tried again, and ended in an error when it ran last. */
struct failing {
	struct storage *storage;
	struct slice *texts;
	uint32_t count;
};

static void add_failing(struct failing *failing, const char *kind, enum due_kind due, int64_t at_ms,
	struct slice name, uint32_t tries)
{
	struct storage *storage = failing->storage;
	struct slice error = storage_due_error(storage, due, at_ms, name);
	if (error.size > 0)
		failing->texts[failing->count++] = arena_format(turn_arena(storage->turn),
			"%s%s%.*s, %u failed: %.*s", kind, name.size ? " " : "", (int)name.size,
			name.data, tries, (int)error.size, error.data);
}

static bool add_schedule(void *context, const struct schedule *schedule)
{
	/* After the last retry the count begins anew. */
	uint32_t tries = schedule->tries ? schedule->tries : 1;
	add_failing(context, "schedule", DUE_SCHEDULE, schedule->due_ms, schedule->name, tries);
	return true;
}

static struct failing failing_of(struct storage *storage)
{
	const struct object_record *record = &storage->record;
	struct failing failing = { .storage = storage };
	failing.texts = arena_alloc(
		turn_arena(storage->turn), (1 + record->schedules) * sizeof(*failing.texts));
	if (record->alarm_ms != 0)
		add_failing(&failing, "alarm", DUE_ALARM, record->alarm_due_ms, slice_of("", 0),
			record->alarm_tries);
	if (record->schedules > 0)
		storage_each_schedule(storage, add_schedule, &failing);
	return failing;
}

/* It looks past the object's gate: how many wait there is part of the answer. */
static void info_of_object(struct turn *turn, struct slice class_name, struct slice id)
{
	struct object_name name = { class_name, id };
	struct objects_figures figures = { 0 };
	struct storage storage;
	struct writer *writer = &turn->writer;
	if (id.size == 0 || id.size > LIMIT_KEY_BYTES) {
		turn_error(turn, ERROR_ID);
		return;
	}
	if (turn_goes_to(turn, turn_shard_of(turn, id)))
		return;
	storage_open(&storage, turn, &name);
	struct object_record record = storage.record;
	struct failing failing = failing_of(&storage);
	storage_close(&storage);
	if (objects_on(turn))
		objects_figures(objects_on(turn), &name, &figures);
	writer_map(writer, 17);
	write_count(writer, "keys", record.values.count);
	write_count(writer, "bytes", record.values.bytes);
	write_moment(writer, "alarm", record.alarm_ms);
	write_count(writer, "alarm-retries", record.alarm_tries);
	write_count(writer, "schedules", record.schedules);
	writer_bulk_text(writer, "failing");
	writer_array(writer, failing.count);
	for (uint32_t i = 0; i < failing.count; i++)
		writer_bulk(writer, failing.texts[i]);
	write_moment(writer, "expires", record.expire_ms);
	write_moment(writer, "created", record.created_ms);
	write_moment(writer, "changed", record.changed_ms);
	write_count(writer, "in-memory", figures.instances > 0);
	write_count(writer, "calls", figures.calls);
	write_count(writer, "errors", figures.errors);
	write_last_error(writer, &figures);
	write_count(writer, "queued", figures.queued);
	write_count(writer, "waiting", figures.waiting);
	write_moment(writer, "last-active", figures.last_active_ms);
}

/* The figures of the worker that this turn runs on, if they are not in the sum yet. */
static void add_figures(struct turn *turn, struct slice class_name, struct info_walk *walk)
{
	struct object_name name = { class_name, slice_of(NULL, 0) };
	struct objects_figures *sum = &walk->figures, figures = { 0 };
	for (uint32_t i = 0; i < walk->worker_count; i++)
		if (walk->workers[i] == objects_on(turn))
			return;
	if (objects_on(turn) == NULL)
		return;
	assert(walk->worker_count < LIMIT_WORKERS);
	walk->workers[walk->worker_count++] = objects_on(turn);
	objects_figures(objects_on(turn), &name, &figures);
	sum->calls += figures.calls;
	sum->errors += figures.errors;
	sum->overloaded += figures.overloaded;
	sum->instances += figures.instances;
	sum->queued += figures.queued;
	sum->waiting += figures.waiting;
	sum->memory_bytes += figures.memory_bytes;
	if (figures.last_error_ms > sum->last_error_ms) {
		sum->last_error_ms = figures.last_error_ms;
		memcpy(sum->last_error, figures.last_error, sizeof(sum->last_error));
	}
}

/* True: there is more to read on this shard. */
static bool count_objects(struct turn *turn, struct slice class_name, struct info_walk *walk)
{
	struct survey survey;
	struct slice id, none = { NULL, 0 };
	if (turn_arrives(turn))
		survey_range_objects(&walk->range, class_name, none, none);
	survey_open(&survey, turn, turn->shard, &walk->range);
	while (survey_next_object(&survey, class_name, &id))
		walk->objects++;
	return survey_close(&survey);
}

static void write_version(struct turn *turn, struct slice class_name)
{
	struct writer *writer = &turn->writer;
	struct class *class = NULL;
	if (objects_on(turn))
		class = class_find(objects_registry(objects_on(turn)), class_name);
	if (class && class->lsn > turn->gate_lsn)
		turn->gate_lsn = class->lsn;
	writer_bulk_text(writer, "version");
	if (class)
		writer_integer(writer, (int64_t) class->version);
	else
		writer_null(writer);
	writer_bulk_text(writer, "from");
	if (class)
		writer_bulk_text(writer, class->from_file ? "file" : "command");
	else
		writer_null(writer);
	class_release(&class);
}

static void info_of_class(struct turn *turn, struct slice class_name)
{
	struct info_walk *walk = turn_state(turn, sizeof(*walk));
	struct writer *writer = &turn->writer;
	add_figures(turn, class_name, walk);
	if (turn_walks(turn, count_objects(turn, class_name, walk)))
		return;
	writer_map(writer, 12);
	write_count(writer, "objects", walk->objects);
	write_version(turn, class_name);
	write_count(writer, "instances", walk->figures.instances);
	write_count(writer, "calls", walk->figures.calls);
	write_count(writer, "errors", walk->figures.errors);
	write_count(writer, "overloaded", walk->figures.overloaded);
	write_count(writer, "queued", walk->figures.queued);
	write_count(writer, "waiting", walk->figures.waiting);
	write_count(writer, "memory-bytes", walk->figures.memory_bytes);
	write_last_error(writer, &walk->figures);
}

/* --- DO.ALARMS -------------------------------------------------------------------------------- */

static bool read_alarms_limit(struct options *options)
{
	struct alarms_walk *walk = options->out;
	return parse_limit(options->turn, options_value(options), LIMIT_ALARMS_PAGE, &walk->limit);
}

enum alarms_option {
	ALARMS_OPTION_LIMIT = 1 << 0,
	ALARMS_OPTION_FAILED = 1 << 1,
};

static const struct option alarms_rows[] = {
	{ "limit", ALARMS_OPTION_LIMIT, 0, 1, read_alarms_limit },
	{ "failed", ALARMS_OPTION_FAILED, 0, 0, NULL },
};

static const struct option_table alarms_table = {
	.rows = alarms_rows,
	.count = sizeof(alarms_rows) / sizeof(alarms_rows[0]),
	.repeats = true,
	.misfit = options_say_where,
};

/* NULL: answered with an error. */
static struct alarms_walk *alarms_walk_new(struct turn *turn)
{
	struct alarms_walk *walk = arena_alloc(turn_arena(turn), sizeof(*walk));
	struct options options = options_from(turn, 2, walk);
	walk->limit = ALARMS_LIMIT_DEFAULT;
	if (!options_read(&options, &alarms_table, ALARMS_OPTION_LIMIT | ALARMS_OPTION_FAILED))
		return NULL;
	walk->failed = options.given & ALARMS_OPTION_FAILED;
	page_init(&walk->page, turn_arena(turn), walk->limit, walk->failed);
	turn->state = walk;
	return walk;
}

/* Everything that is due, whatever its class; of the runs given up those of the class, the latest
 * first. */
static void alarms_range(struct alarms_walk *walk, struct slice class_name)
{
	struct survey_range *range = &walk->range;
	range->reverse = walk->failed;
	if (walk->failed)
		key_of_class_failed(&range->start, class_name);
	else
		range->start = (struct key){ .size = 1, .bytes = { TABLE_DUE } };
	range->end = range->start;
	key_prefix_end(&range->end);
}

/* False for what the server does by itself: ends of lives, sweeps. */
static bool parse_run(
	struct turn *turn, const struct alarms_walk *walk, struct slice key, struct due *out)
{
	bool parsed = walk->failed ? key_parse_failed(key, out) : key_parse_due(key, out);
	if (!parsed)
		damaged(walk->failed ? "the key of a run given up" : "the key of a due entry",
			turn->shard, key);
	return out->kind == DUE_ALARM || out->kind == DUE_SCHEDULE || out->kind == DUE_WAKE;
}

/* False when the entry is void: the object has ended. */
static bool describe_due(struct turn *turn, const struct due *due, const struct value *value,
	struct alarm_detail *out)
{
	struct storage storage;
	struct schedule schedule;
	bool found = true;
	*out = (struct alarm_detail){ .scheduled_ms = due->at_ms };
	if (due->kind != DUE_WAKE)
		out->error = value->data;
	storage_open(&storage, turn, &due->object);
	if (due->kind == DUE_ALARM) {
		found = storage.record.alarm_ms != 0;
		out->scheduled_ms = storage.record.alarm_ms;
		out->tries = storage.record.alarm_tries;
	} else if (due->kind == DUE_SCHEDULE) {
		found = storage_get_schedule(&storage, due->name, &schedule);
		if (found) {
			out->scheduled_ms = schedule.next_ms;
			out->tries = schedule.tries;
		}
	}
	storage_close(&storage);
	return found;
}

/* The value: a table of error, runs that failed, scheduled time, time when it was given up. */
static bool decode_failed(struct slice rest, struct alarm_detail *out)
{
	struct packed_item table, items[4];
	*out = (struct alarm_detail){ 0 };
	if (!packed_take(&rest, &table) || table.kind != PACKED_TABLE || table.items != 4)
		return false;
	for (int i = 0; i < 4; i++)
		if (!packed_take(&rest, &items[i]) ||
			items[i].kind != (i == 0 ? PACKED_STRING : PACKED_INTEGER))
			return false;
	out->error = items[0].bytes;
	out->tries = items[1].integer - 1; /* all but the first were retries */
	out->scheduled_ms = items[2].integer;
	out->failed_ms = items[3].integer;
	return rest.size == 0;
}

/* Copies what the page keeps of an entry; NULL: the entry is void. */
static struct alarm_detail *describe(struct turn *turn, const struct alarms_walk *walk,
	struct slice key, const struct due *due, const struct value *value)
{
	struct alarm_detail detail;
	if (walk->failed && !decode_failed(value->data, &detail))
		damaged("a run given up", turn->shard, key);
	if (!walk->failed && !describe_due(turn, due, value, &detail))
		return NULL;
	struct alarm_detail *kept = arena_alloc(turn_arena(turn), sizeof(*kept));
	*kept = detail;
	kept->error = arena_copy(turn_arena(turn), detail.error);
	return kept;
}

/* True: there is more to read on this shard. */
static bool gather_alarms(struct turn *turn, struct slice class_name, struct alarms_walk *walk)
{
	struct survey survey;
	struct slice key;
	struct value value;
	bool full = false;
	if (turn_arrives(turn))
		alarms_range(walk, class_name);
	survey_open(&survey, turn, turn->shard, &walk->range);
	while (!full && survey_next(&survey, &key, &value)) {
		struct due due;
		full = !page_admits(&walk->page, key);
		if (full || !parse_run(turn, walk, key, &due) ||
			!slice_equal(due.object.class_name, class_name))
			continue;
		survey_charge(&survey, SURVEY_LOOKUP_COST);
		struct alarm_detail *detail = describe(turn, walk, key, &due, &value);
		if (detail)
			page_add(&walk->page, arena_copy(turn_arena(turn), key), detail);
	}
	page_end_run(&walk->page);
	return survey_close(&survey) && !full;
}

static void write_alarm(
	struct turn *turn, const struct alarms_walk *walk, const struct page_entry *entry)
{
	static const char *const kinds[] = {
		[DUE_ALARM] = "alarm", [DUE_SCHEDULE] = "schedule", [DUE_WAKE] = "wake"
	};
	const struct alarm_detail *detail = entry->detail;
	struct writer *writer = &turn->writer;
	struct due due;
	bool is_run = parse_run(turn, walk, entry->key, &due);
	assert(is_run);
	writer_map(writer, 7);
	write_bytes(writer, "id", due.object.id);
	write_bytes(writer, "kind", slice_text(kinds[due.kind]));
	write_bytes(writer, "name", due.name);
	if (!walk->failed)
		write_moment(writer, "due", due.at_ms);
	write_moment(writer, "scheduled", detail->scheduled_ms);
	if (walk->failed)
		write_moment(writer, "failed-at", detail->failed_ms);
	write_count(writer, "retries", (uint64_t)detail->tries);
	if (walk->failed || detail->error.size > 0) {
		write_bytes(writer, "error", detail->error);
	} else {
		writer_bulk_text(writer, "error");
		writer_null(writer);
	}
}

/* In the order of time: a page of the latest begins with the last of them. */
static void write_alarms(struct turn *turn, const struct alarms_walk *walk)
{
	const struct page *page = &walk->page;
	writer_array(&turn->writer, page->count);
	for (uint32_t i = 0; i < page->count; i++)
		write_alarm(turn, walk, &page->entries[page->reverse ? page->count - 1 - i : i]);
}

/* --- DO.WAKE ---------------------------------------------------------------------------------- */

static bool read_wake_prefix(struct options *options)
{
	struct wake_walk *walk = options->out;
	return parse_prefix(options->turn, options_value(options), &walk->prefix);
}

/* In front of ARGS, which takes all the rest. */
static const struct option wake_row = { "prefix", OPTION_ANY, 0, 1, read_wake_prefix };

static const struct option_table wake_table = {
	.rows = &wake_row,
	.count = 1,
	.leads = true,
	.misfit = options_say_where,
};

/* What can be known of a method without the class's code: that clients may call one of this name.
 */
static bool check_method(struct turn *turn, struct slice class_name, struct slice method)
{
	if (method.size > 0 && !object_method_is_public(method)) {
		turn_error(turn, ERROR_PRIVATE, (int)class_name.size, class_name.data,
			shown(method), method.data);
		return false;
	}
	if (!object_class_name_ok(method)) { /* a method's name has the same form */
		turn_error(turn, ERROR_NO_METHOD, (int)class_name.size, class_name.data,
			shown(method), method.data);
		return false;
	}
	return true;
}

/* The arguments from `first` on as one packed table. */
static struct slice pack_arguments(struct turn *turn, uint32_t first)
{
	uint32_t count = turn->asked->argument_count;
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, count - first, 0);
	for (uint32_t i = first; i < count; i++)
		packed_add_string(&packed, turn_argument(turn, i));
	struct slice copy = arena_copy(turn_arena(turn), buffer_slice(&packed));
	buffer_fini(&packed);
	return copy;
}

/* NULL: answered with an error. */
static struct wake_walk *wake_walk_new(struct turn *turn, struct slice class_name)
{
	uint32_t count = turn->asked->argument_count;
	struct wake_walk *walk = arena_alloc(turn_arena(turn), sizeof(*walk));
	walk->prefix = slice_of(NULL, 0);
	walk->method = turn_argument(turn, 2);
	walk->sent = 0;
	if (!check_method(turn, class_name, walk->method) ||
		!objects_has_method(turn, class_name, walk->method))
		return NULL;
	struct options options = options_from(turn, 3, walk);
	if (!options_read(&options, &wake_table, OPTION_ANY))
		return NULL;
	if (options.at < count && !slice_is(turn_argument(turn, options.at), "args")) {
		turn_syntax_error(turn, options.at);
		return NULL;
	}
	walk->arguments = pack_arguments(turn, options.at < count ? options.at + 1 : count);
	walk->mark = arena_mark(turn_arena(turn));
	turn->state = walk;
	return walk;
}

/* Each wake is a call of its own, though the same one may have been sent in this millisecond: then
 * it is due a little later. */
static void send_wake(
	struct turn *turn, struct slice class_name, struct slice id, const struct wake_walk *walk)
{
	struct due due = {
		.kind = DUE_WAKE,
		.at_ms = turn->now_ms,
		.object = { class_name, id },
		.name = walk->method,
	};
	struct value value = { .type = VALUE_PACKED, .data = walk->arguments }, there;
	struct key key;
	key_of_due(&key, &due);
	while (turn_look(turn, turn->shard, key_slice(&key), &there)) {
		due.at_ms++;
		key_of_due(&key, &due);
	}
	turn_put(turn, turn->shard, key_slice(&key), &value);
	objects_note_due(objects_on(turn), turn->shard, due.at_ms);
}

/* True: there is more to do on this shard. The ids are read before anything is written, for a
 * cursor does not go with writing. */
static bool send_wakes(struct turn *turn, struct slice class_name, struct wake_walk *walk)
{
	struct survey survey;
	struct slice ids[WAKES_PER_TURN];
	uint32_t count = 0;
	if (turn_arrives(turn))
		survey_range_objects(&walk->range, class_name, walk->prefix, slice_of(NULL, 0));
	survey_open(&survey, turn, turn->shard, &walk->range);
	size_t most = 1 + LIMIT_TURN_BYTES / (1 + walk->arguments.size);
	if (most > WAKES_PER_TURN)
		most = WAKES_PER_TURN;
	while (count < most && survey_next_object(&survey, class_name, &ids[count])) {
		ids[count] = arena_copy(turn_arena(turn), ids[count]);
		count++;
	}
	bool more = survey_close(&survey);
	for (uint32_t i = 0; i < count; i++)
		send_wake(turn, class_name, ids[i], walk);
	walk->sent += count;
	return more;
}
