/*
 * storage_commands: the DO.* commands that work on one object's values, alarm and life. Each is one
 * turn on the object's shard:
 *
 *   arguments are read and judged -> objects_enter -> the storage -> objects_leave -> reply
 *
 * What an argument can be wrong in is found before the object is entered, so that a command that
 * fails has touched nothing, and one that waited at the object's gate begins anew without a trace.
 *
 * DO.GET and DO.LIST build their whole reply in memory before the first byte leaves, a long one in
 * several turns with the shard held; client-output-limit bounds it. Pages (STARTAFTER and LIMIT)
 * cost what they show.
 *
 * Threads: the turn's.
 */
#include "object/commands.h"

#include "base/number.h"
#include "config/config.h"
#include "object/objects.h"
#include "object/packed.h"
#include "request/options.h"

#define FIRST 3 /* argument behind class and id */

static uint32_t count_of(const struct turn *turn);
static bool check_keys(struct turn *turn, uint32_t step);
static bool check_sizes(struct turn *turn);
static bool parse_list(struct turn *turn, struct collection_range *range, uint64_t *limit);
static bool parse_alarm(struct turn *turn, int64_t *at_ms);
static bool parse_life(struct turn *turn, int64_t *life_ms);
static void write_value(struct writer *writer, const struct value *value);

/* What a command that may take long keeps from turn to turn. */
struct visit {
	bool entered;
	struct progress at; /* arguments */
	struct slice last;  /* DO.LIST: the key shown last */
	uint64_t shown;
};

static bool enter_or_go_on(
	struct turn *turn, struct visit *visit, enum objects_intent intent, struct storage *storage)
{
	if (!objects_enter_or_go_on(turn, &visit->entered, intent, storage))
		return false;
	progress_from(&visit->at, FIRST);
	return true;
}

void do_get(struct turn *turn)
{
	struct storage storage;
	struct visit *visit = turn_state(turn, sizeof(*visit));
	uint32_t count = count_of(turn);
	bool begins = !visit->entered;
	if ((begins && !check_keys(turn, 1)) ||
		!enter_or_go_on(turn, visit, OBJECTS_READ, &storage))
		return;
	if (begins && count > FIRST + 1)
		writer_array(&turn->writer, count - FIRST);
	uint32_t *next = &visit->at.next;
	struct turn_mark mark = turn_mark(turn);
	for (; *next < count && !turn_reply_is_full(turn) && !turn_pauses(turn); ++*next) {
		struct value value;
		if (storage_get(&storage, turn_argument(turn, *next), &value))
			write_value(&turn->writer, &value);
		else
			writer_null(&turn->writer);
		turn_rewind(turn, &mark);
	}
	objects_leave(turn, &storage);
}

void do_put(struct turn *turn)
{
	struct storage storage;
	struct visit *visit = turn_state(turn, sizeof(*visit));
	if ((count_of(turn) - FIRST) % 2 != 0) {
		turn_arity_error(turn);
		return;
	}
	if ((!visit->entered && (!check_keys(turn, 2) || !check_sizes(turn))) ||
		!enter_or_go_on(turn, visit, OBJECTS_WRITE, &storage))
		return;
	uint32_t *next = &visit->at.next;
	for (; *next < count_of(turn) && !turn_pauses(turn); *next += 2) {
		struct value value = { .type = VALUE_BYTES,
			.data = turn_argument(turn, *next + 1) };
		storage_put(&storage, turn_argument(turn, *next), &value);
	}
	objects_leave(turn, &storage);
	if (*next >= count_of(turn))
		writer_ok(&turn->writer);
}

void do_del(struct turn *turn)
{
	struct storage storage;
	struct visit *visit = turn_state(turn, sizeof(*visit));
	if ((!visit->entered && !check_keys(turn, 1)) ||
		!enter_or_go_on(turn, visit, OBJECTS_WRITE, &storage))
		return;
	struct progress *deleted = &visit->at;
	for (; deleted->next < count_of(turn) && !turn_pauses(turn); deleted->next++)
		deleted->count += storage_delete(&storage, turn_argument(turn, deleted->next));
	objects_leave(turn, &storage);
	if (deleted->next == count_of(turn))
		writer_integer(&turn->writer, deleted->count);
}

/* Some of the list, from where the last turn ended. True when there is more. */
static bool show_some(struct turn *turn, struct visit *visit, struct storage *storage,
	struct collection_range *range, uint64_t limit)
{
	struct collection_walk walk;
	struct slice key;
	struct value value;
	if (turn_makes_order(turn, storage->shard, TABLE_PART))
		return true;
	if (visit->last.data)
		*(range->reverse ? &range->end : &range->start_after) = visit->last;
	storage_walk(&walk, storage, range);
	struct turn_mark mark = turn_mark(turn);
	bool more = true;
	while (!turn_reply_is_full(turn) && !turn_pauses(turn)) {
		more = visit->shown < limit && storage_walk_next(storage, &walk, &key, &value);
		if (!more)
			break;
		visit->shown++;
		writer_bulk(&turn->writer, key);
		if (!range->without_data)
			write_value(&turn->writer, &value);
		turn_rewind(turn, &mark);
	}
	more = collection_walk_pause(&walk, more, &visit->last);
	collection_walk_close(&walk);
	return more;
}

/* The header goes in front of what has been shown. */
static void head_list(struct turn *turn, uint64_t count)
{
	struct buffer *reply = turn->writer.out;
	struct buffer head;
	buffer_init(&head);
	struct writer writer = { .out = &head, .protocol = turn->writer.protocol };
	writer_array(&writer, count);
	buffer_prepend(reply, head.data, head.size);
	buffer_fini(&head);
}

void do_list(struct turn *turn)
{
	struct storage storage;
	struct collection_range range;
	uint64_t limit;
	struct visit *visit = turn_state(turn, sizeof(*visit));
	bool begins = !visit->entered;
	if (!parse_list(turn, &range, &limit) ||
		!enter_or_go_on(turn, visit, OBJECTS_READ, &storage))
		return;
	bool all = count_of(turn) == FIRST;
	bool more = false;
	range.pauses = true;
	if (!all || !begins || turn_reply_fits(turn, storage.record.values.bytes))
		more = show_some(turn, visit, &storage, &range, limit);
	objects_leave(turn, &storage);
	if (!more)
		head_list(turn, range.without_data ? visit->shown : 2 * visit->shown);
}

void do_deleteall(struct turn *turn)
{
	struct storage storage;
	bool keep_alarm;
	if (!options_flag(turn, FIRST, "keepalarm", &keep_alarm) ||
		turn_makes_order(turn, turn->shard, TABLE_PART) ||
		!objects_enter(turn, 1, OBJECTS_WRITE, &storage))
		return;
	uint64_t deleted = storage_delete_all(&storage, keep_alarm);
	objects_leave(turn, &storage);
	writer_integer(&turn->writer, (int64_t)deleted);
}

void do_setalarm(struct turn *turn)
{
	struct storage storage;
	int64_t at_ms;
	if (!parse_alarm(turn, &at_ms) || !objects_has_alarm(turn, turn_argument(turn, 1)) ||
		!objects_enter(turn, 1, OBJECTS_WRITE, &storage))
		return;
	storage_set_alarm(&storage, at_ms);
	objects_leave(turn, &storage);
	writer_ok(&turn->writer);
}

void do_getalarm(struct turn *turn)
{
	struct storage storage;
	if (!objects_enter(turn, 1, OBJECTS_READ, &storage))
		return;
	int64_t alarm_ms = storage.record.alarm_ms;
	objects_leave(turn, &storage);
	if (alarm_ms != 0)
		writer_integer(&turn->writer, alarm_ms);
	else
		writer_null(&turn->writer);
}

void do_delalarm(struct turn *turn)
{
	struct storage storage;
	if (!objects_enter(turn, 1, OBJECTS_WRITE, &storage))
		return;
	bool deleted = storage_delete_alarm(&storage);
	objects_leave(turn, &storage);
	writer_integer(&turn->writer, deleted);
}

void do_expire(struct turn *turn)
{
	struct storage storage;
	int64_t life_ms;
	bool sliding;
	if (!parse_life(turn, &life_ms) || !options_flag(turn, FIRST + 1, "touch", &sliding) ||
		!objects_enter(turn, 1, OBJECTS_READ, &storage))
		return;
	bool exists = record_exists(&storage.record);
	if (exists)
		storage_expire(&storage, life_ms, sliding);
	objects_leave(turn, &storage);
	writer_integer(&turn->writer, exists);
}

/* -1: for ever. A sliding life is said to be what was asked for, though it may last a little
 * longer. */
static int64_t left_ms(const struct object_record *record, int64_t now_ms)
{
	if (record->expire_ms == 0)
		return -1;
	int64_t left = record->expire_ms - now_ms;
	return record->life_ms && left > record->life_ms ? record->life_ms : left;
}

void do_ttl(struct turn *turn)
{
	struct storage storage;
	if (!objects_enter(turn, 1, OBJECTS_LOOK, &storage))
		return;
	int64_t left_s = -2;
	if (record_exists(&storage.record))
		left_s = left_ms(&storage.record, turn->now_ms);
	if (left_s > 0)
		left_s = (left_s + 999) / 1000;
	objects_leave(turn, &storage);
	writer_integer(&turn->writer, left_s);
}

void do_persist(struct turn *turn)
{
	struct storage storage;
	if (!objects_enter(turn, 1, OBJECTS_READ, &storage))
		return;
	bool had_end = storage_persist(&storage);
	objects_leave(turn, &storage);
	writer_integer(&turn->writer, had_end);
}

static uint32_t count_of(const struct turn *turn)
{
	return turn->asked->argument_count;
}

/* Every `step`th argument is a storage key. */
static bool check_keys(struct turn *turn, uint32_t step)
{
	for (uint32_t i = FIRST; i < count_of(turn); i += step) {
		size_t size = turn_argument(turn, i).size;
		if (size > 0 && size <= LIMIT_KEY_BYTES)
			continue;
		turn_error(turn, ERROR_STORAGE_KEY);
		return false;
	}
	return true;
}

static bool check_sizes(struct turn *turn)
{
	int64_t most = turn->config->value_bytes_max;
	for (uint32_t i = FIRST + 1; i < count_of(turn); i += 2) {
		size_t size = turn_argument(turn, i).size;
		if (size <= (uint64_t)most)
			continue;
		turn_error(turn, ERROR_VALUE_SIZE, size, (long long)most);
		return false;
	}
	return true;
}

enum list_option {
	LIST_OPTION_START = 1 << 0,
	LIST_OPTION_STARTAFTER = 1 << 1,
	LIST_OPTION_END = 1 << 2,
	LIST_OPTION_PREFIX = 1 << 3,
	LIST_OPTION_LIMIT = 1 << 4,
	LIST_OPTION_REVERSE = 1 << 5,
	LIST_OPTION_KEYS = 1 << 6,
	LIST_OPTION_ALL = (1 << 7) - 1,
};

/* Of DO.LIST. */
struct list_options {
	struct collection_range *range;
	uint64_t limit;
};

/* An empty bound is one all the same. */
static bool read_bound(struct options *options, struct slice *out)
{
	struct slice bound = options_value(options);
	*out = bound.size > 0 ? bound : slice_of("", 0);
	return true;
}

static bool read_start(struct options *options)
{
	struct list_options *list = options->out;
	return read_bound(options, &list->range->start);
}

static bool read_start_after(struct options *options)
{
	struct list_options *list = options->out;
	return read_bound(options, &list->range->start_after);
}

static bool read_end(struct options *options)
{
	struct list_options *list = options->out;
	return read_bound(options, &list->range->end);
}

static bool read_prefix(struct options *options)
{
	struct list_options *list = options->out;
	return read_bound(options, &list->range->prefix);
}

static bool read_limit(struct options *options)
{
	struct list_options *list = options->out;
	int64_t limit;
	if (!number_parse_i64(options_value(options), &limit) || limit <= 0) {
		turn_error(options->turn, ERROR_LIMIT);
		return false;
	}
	list->limit = (uint64_t)limit;
	return true;
}

static const struct option list_rows[] = {
	{ "start", LIST_OPTION_START, 0, 1, read_start },
	{ "startafter", LIST_OPTION_STARTAFTER, 0, 1, read_start_after },
	{ "end", LIST_OPTION_END, 0, 1, read_end },
	{ "prefix", LIST_OPTION_PREFIX, 0, 1, read_prefix },
	{ "limit", LIST_OPTION_LIMIT, 0, 1, read_limit },
	{ "reverse", LIST_OPTION_REVERSE, 0, 0, NULL },
	{ "keys", LIST_OPTION_KEYS, 0, 0, NULL },
};

static const struct option_table list_table = {
	.rows = list_rows,
	.count = sizeof(list_rows) / sizeof(list_rows[0]),
	.misfit = options_say_where,
};

static bool parse_list(struct turn *turn, struct collection_range *range, uint64_t *limit)
{
	struct list_options list = { .range = range, .limit = UINT64_MAX };
	struct options options = options_from(turn, FIRST, &list);
	*range = (struct collection_range){ 0 };
	if (!options_read(&options, &list_table, LIST_OPTION_ALL))
		return false;
	range->reverse = options.given & LIST_OPTION_REVERSE;
	range->without_data = options.given & LIST_OPTION_KEYS;
	*limit = list.limit;
	if (range->start.data && range->start_after.data) {
		turn_error(turn, ERROR_RANGE_START);
		return false;
	}
	return true;
}

static bool parse_alarm(struct turn *turn, int64_t *at_ms)
{
	if (!object_class_name_ok(turn_argument(turn, 1))) {
		turn_error(turn, ERROR_CLASS_NAME);
		return false;
	}
	if (!number_parse_i64(turn_argument(turn, FIRST), at_ms) || *at_ms <= 0) {
		turn_error(turn, ERROR_TIME);
		return false;
	}
	return true;
}

static bool parse_life(struct turn *turn, int64_t *life_ms)
{
	int64_t life_s;
	if (!number_parse_i64(turn_argument(turn, FIRST), &life_s) || life_s < 1 ||
		life_s > LIMIT_LIFE_S) {
		turn_error(turn, ERROR_LIFE);
		return false;
	}
	*life_ms = life_s * 1000;
	return true;
}

static void write_value(struct writer *writer, const struct value *value)
{
	if (value->type == VALUE_BYTES) {
		writer_bulk(writer, value->data);
		return;
	}
	struct buffer text;
	buffer_init(&text);
	packed_show_value(value, &text);
	writer_bulk(writer, buffer_slice(&text));
	buffer_fini(&text);
}
