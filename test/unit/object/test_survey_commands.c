/*
 * The commands that look at many objects: listings against plain tables under random operations,
 * bounded turns, figures summed over workers, wakes that are all sent.
 */
#include "object/commands.h"

#include "base/memory.h"
#include "base/random.h"
#include "object/packed.h"
#include "object/survey.h"
#include "quiet_objects.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, SHARDS);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

static const char *run_slices(
	struct turn_rig *rig, command_turn_fn run, const struct slice *arguments, uint32_t count)
{
	return turn_rig_run_slices(rig, run, arguments, count);
}

static void put(struct turn_rig *rig, const char *class_name, struct slice id)
{
	struct slice arguments[] = { slice_text("DO.PUT"), slice_text(class_name), id,
		slice_text("k"), slice_text("v") };
	assert_string_equal(run_slices(rig, do_put, arguments, 5), "+OK\r\n");
}

static void put_text(struct turn_rig *rig, const char *class_name, const char *id)
{
	put(rig, class_name, slice_text(id));
}

/* --- DO.OBJECTS ------------------------------------------------------------------------------- */

#define MODEL_IDS 300

struct model {
	struct {
		char bytes[16];
		size_t size;
		bool there;
		int64_t expire_ms;
	} ids[MODEL_IDS]; /* in byte order */
};

static struct slice model_id(const struct model *model, int i)
{
	return slice_of(model->ids[i].bytes, model->ids[i].size);
}

static int compare_ids(const void *a, const void *b)
{
	const struct slice *first = a, *second = b;
	return slice_compare(*first, *second);
}

/* Different ids of few bytes, so that many are prefixes of others. */
static void model_init(struct model *model, struct random *random)
{
	static const char alphabet[] = { 0, 'a', 'b', (char)0xff };
	static char bytes[MODEL_IDS][16];
	struct slice ids[MODEL_IDS];
	for (int i = 0; i < MODEL_IDS;) {
		size_t size = 1 + random_below(random, 7);
		for (size_t at = 0; at < size; at++)
			bytes[i][at] = alphabet[random_below(random, 4)];
		ids[i] = slice_of(bytes[i], size);
		bool fresh = true;
		for (int other = 0; other < i && fresh; other++)
			fresh = !slice_equal(ids[i], ids[other]);
		i += fresh;
	}
	qsort(ids, MODEL_IDS, sizeof(ids[0]), compare_ids);
	*model = (struct model){ 0 };
	for (int i = 0; i < MODEL_IDS; i++) {
		memcpy(model->ids[i].bytes, ids[i].data, ids[i].size);
		model->ids[i].size = ids[i].size;
	}
}

static void model_change(struct turn_rig *rig, struct model *model, struct random *random)
{
	int i = (int)random_below(random, MODEL_IDS);
	struct slice id = model_id(model, i);
	if (model->ids[i].expire_ms && model->ids[i].expire_ms <= rig->now_ms)
		model->ids[i].there = false;
	struct slice arguments[] = { slice_text("DO.X"), slice_text("Box"), id, slice_text("3") };
	switch (random_below(random, 5)) {
	case 0:
		run_slices(rig, do_deleteall, arguments, 3);
		model->ids[i].there = false;
		break;
	case 1:
		run_slices(rig, do_expire, arguments, 4);
		model->ids[i].expire_ms = rig->now_ms + 3000;
		break;
	default:
		put(rig, "Box", id);
		if (!model->ids[i].there)
			model->ids[i].expire_ms = 0;
		model->ids[i].there = true;
		break;
	}
}

/* What the reply to such a request has to be. */
static void model_page(const struct model *model, int64_t now_ms, struct slice prefix,
	struct slice after, size_t limit, struct buffer *out)
{
	struct buffer ids;
	struct writer writer = { .out = &ids, .protocol = 2 };
	size_t count = 0;
	buffer_init(&ids);
	for (int i = 0; i < MODEL_IDS && count < limit; i++) {
		struct slice id = model_id(model, i);
		bool ended = model->ids[i].expire_ms && model->ids[i].expire_ms <= now_ms;
		if (!model->ids[i].there || ended || !slice_starts_with(id, prefix) ||
			(after.size > 0 && slice_compare(id, after) <= 0))
			continue;
		writer_bulk(&writer, id);
		count++;
	}
	buffer_format(out, "*%zu\r\n", count);
	buffer_append(out, ids.data, ids.size);
	buffer_fini(&ids);
}

static void check_page(struct turn_rig *rig, const struct model *model, struct random *random)
{
	struct slice prefix = model_id(model, (int)random_below(random, MODEL_IDS));
	struct slice after = model_id(model, (int)random_below(random, MODEL_IDS));
	size_t limit = 1 + random_below(random, random_below(random, 2) ? 20 : 400);
	prefix.size = random_below(random, 2) ? 0 : random_below(random, prefix.size + 1);
	after.size = random_below(random, 2) ? 0 : after.size;
	char limit_text[16];
	snprintf(limit_text, sizeof(limit_text), "%zu", limit);
	struct slice arguments[] = { slice_text("DO.OBJECTS"), slice_text("Box"),
		slice_text("LIMIT"), slice_text(limit_text), slice_text("prefix"), prefix,
		slice_text("STARTAFTER"), after };
	struct buffer right;
	buffer_init(&right);
	model_page(model, rig->now_ms, prefix, after, limit, &right);
	run_slices(rig, do_objects, arguments, 8);
	assert_int_equal(rig->reply_size, right.size);
	assert_memory_equal(rig->reply, right.data, right.size);
	buffer_fini(&right);
}

static void lists_objects_like_a_plain_table_under_random_changes(void **state)
{
	struct turn_rig *rig = *state;
	struct model *model = memory_alloc(sizeof(*model));
	struct random random;
	random_seed(&random, 31);
	model_init(model, &random);
	put_text(rig, "Bo", "x");
	put_text(rig, "Box2", "a");
	for (int step = 0; step < 4000; step++) {
		model_change(rig, model, &random);
		rig->now_ms += (int64_t)random_below(&random, 20);
		check_page(rig, model, &random);
		if (step % 500 == 250)
			turn_rig_checkpoint(rig);
	}
	memory_free(model);
}

static void a_listing_waits_for_what_the_shards_have_written(void **state)
{
	struct turn_rig *rig = *state;
	for (char id[2] = "a"; id[0] <= 'h'; id[0]++)
		put_text(rig, "Box", id);
	turn_rig_run(rig, do_objects, "DO.OBJECTS", "Other", NULL);
	assert_int_equal(rig->read_lsn, rig->last_lsn);
}

static void pages_follow_each_other_without_a_gap(void **state)
{
	struct turn_rig *rig = *state;
	char id[32], last[32] = "";
	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof(id), "object-%04d", i);
		put_text(rig, "Box", id);
	}
	turn_rig_checkpoint(rig);
	int next = 0;
	while (next < 3000) {
		turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "STARTAFTER", last, "LIMIT",
			"700", NULL);
		assert_int_equal(rig->turns, SHARDS);
		const char *at = strchr(rig->reply, '\n') + 1;
		for (int count = atoi(rig->reply + 1); count > 0; count--) {
			snprintf(last, sizeof(last), "object-%04d", next++);
			assert_memory_equal(at, "$11\r\n", 5);
			assert_memory_equal(at + 5, last, 11);
			at += 18;
		}
	}
	assert_int_equal(next, 3000);
}

static void make_ended(struct turn *turn)
{
	for (int i = 0; i < 500; i++) {
		static int number;
		struct storage storage;
		struct slice id = arena_format(turn_arena(turn), "%06d", number++);
		struct value value = { .type = VALUE_BYTES, .data = id };
		struct object_name name = { slice_text("Box"), id };
		storage_open(&storage, turn, &name);
		storage_put(&storage, id, &value);
		storage_expire(&storage, 1000, false);
		storage_close(&storage);
	}
}

static void a_turn_looks_at_so_much_and_no_more(void **state)
{
	struct turn_rig *rig = *state;
	uint32_t most = 5 * SURVEY_TURN_COST;
	for (uint32_t i = 0; i < most; i += 500)
		turn_rig_run(rig, make_ended, "MAKE", NULL);
	put_text(rig, "Box", "zz");
	turn_rig_run(rig, do_info, "DO.INFO", "Box", NULL);
	assert_non_null(strstr(rig->reply, "$7\r\nobjects\r\n:50001\r\n"));
	assert_in_range(rig->turns, SHARDS + 2, 2 * SHARDS);
	rig->now_ms += 1000;
	assert_string_equal(
		turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", NULL), "*1\r\n$2\r\nzz\r\n");
	assert_in_range(rig->turns, SHARDS + 2, 2 * SHARDS);
	turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", NULL);
	assert_string_equal(rig->reply, "*0\r\n");
	assert_in_range(rig->turns, SHARDS + 2, 2 * SHARDS);
}

static void arguments_of_listings_are_checked(void **state)
{
	struct turn_rig *rig = *state;
	char *long_id = memory_alloc(LIMIT_KEY_BYTES + 2);
	memset(long_id, 'x', LIMIT_KEY_BYTES + 1);
	long_id[LIMIT_KEY_BYTES + 1] = '\0';
	static const char *const wrong_limits[] = { "0", "-1", "x", "100001", "" };
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "LIMIT",
					    wrong_limits[i], NULL),
			"-ERR LIMIT must be an integer from 1 to 100000\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "LIMIT", "100000", NULL),
		"*0\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", "FAILED", "LIMIT", "10001", NULL),
		"-ERR LIMIT must be an integer from 1 to 10000\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", "LIMIT", "10000", NULL), "*0\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "PREFIX", long_id, NULL),
		"-" ERROR_ID "\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "STARTAFTER", long_id, NULL),
		"-" ERROR_ID "\r\n");
	long_id[LIMIT_KEY_BYTES] = '\0';
	assert_string_equal(turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "STARTAFTER",
				    long_id, "PREFIX", long_id, NULL),
		"*0\r\n");
	assert_string_equal(turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "LIMIT", NULL),
		TURN_RIG_MISFIT("the end"));
	assert_string_equal(turn_rig_run(rig, do_objects, "DO.OBJECTS", "Box", "FAILED", NULL),
		TURN_RIG_MISFIT("'FAILED'"));
	assert_string_equal(turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", "PREFIX", "a", NULL),
		TURN_RIG_MISFIT("'PREFIX'"));
	assert_string_equal(turn_rig_run(rig, do_info, "DO.INFO", "Box", "a", "b", NULL),
		TURN_RIG_MISFIT("'b'"));
	assert_string_equal(
		turn_rig_run(rig, do_info, "DO.INFO", "Box", "", NULL), "-" ERROR_ID "\r\n");
	command_turn_fn all[] = { do_objects, do_info, do_alarms };
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(turn_rig_run(rig, all[i], "X", "no class", NULL),
			"-" ERROR_CLASS_NAME "\r\n");
	memory_free(long_id);
}

/* --- DO.INFO ---------------------------------------------------------------------------------- */

static void tells_of_one_object_what_is_stored_of_it(void **state)
{
	struct turn_rig *rig = *state;
	int64_t created_ms = rig->now_ms;
	/* Objects of every shard: the command has to find each one's. */
	for (char id[2] = "a"; id[0] <= 'h'; id[0]++) {
		rig->now_ms = created_ms;
		put_text(rig, "Box", id);
		turn_rig_run(rig, do_setalarm, "DO.SETALARM", "Box", id, "1800000000000", NULL);
		rig->now_ms += 500;
		turn_rig_run(rig, do_expire, "DO.EXPIRE", "Box", id, "60", NULL);
		assert_string_equal(turn_rig_run(rig, do_info, "DO.INFO", "Box", id, NULL),
			"*34\r\n$4\r\nkeys\r\n:1\r\n$5\r\nbytes\r\n:2\r\n"
			"$5\r\nalarm\r\n:1800000000000\r\n$13\r\nalarm-retries\r\n:0\r\n"
			"$9\r\nschedules\r\n:0\r\n$7\r\nfailing\r\n*0\r\n"
			"$7\r\nexpires\r\n:1700000060500\r\n"
			"$7\r\ncreated\r\n:1700000000000\r\n$7\r\nchanged\r\n:1700000000500\r\n"
			"$9\r\nin-memory\r\n:0\r\n$5\r\ncalls\r\n:0\r\n$6\r\nerrors\r\n:0\r\n"
			"$10\r\nlast-error\r\n$-1\r\n$13\r\nlast-error-at\r\n$-1\r\n"
			"$6\r\nqueued\r\n:0\r\n$7\r\nwaiting\r\n:0\r\n$11\r\nlast-active\r\n$-1\r\n");
	}
	turn_rig_run(rig, do_info, "DO.INFO", "Box", "none", NULL);
	assert_non_null(strstr(rig->reply, "keys\r\n:0\r\n"));
	assert_non_null(strstr(rig->reply, "created\r\n$-1\r\n"));
}

static void counts_the_objects_of_a_class(void **state)
{
	struct turn_rig *rig = *state;
	for (char id[2] = "a"; id[0] <= 'k'; id[0]++)
		put_text(rig, "Box", id);
	put_text(rig, "Other", "a");
	turn_rig_run(rig, do_deleteall, "DO.DELETEALL", "Box", "c", NULL);
	rig->protocol = 3;
	assert_string_equal(turn_rig_run(rig, do_info, "DO.INFO", "Box", NULL),
		"%12\r\n$7\r\nobjects\r\n:10\r\n$7\r\nversion\r\n_\r\n$4\r\nfrom\r\n_\r\n"
		"$9\r\ninstances\r\n:0\r\n$5\r\ncalls\r\n:0\r\n$6\r\nerrors\r\n:0\r\n"
		"$10\r\noverloaded\r\n:0\r\n$6\r\nqueued\r\n:0\r\n$7\r\nwaiting\r\n:0\r\n"
		"$12\r\nmemory-bytes\r\n:0\r\n$10\r\nlast-error\r\n_\r\n"
		"$13\r\nlast-error-at\r\n_\r\n");
	assert_int_equal(rig->read_lsn, rig->last_lsn);
}

/* --- DO.ALARMS -------------------------------------------------------------------------------- */

#define RUNS 60

/* What is to be listed, in the order in which it was made. */
struct run {
	char id[16];
	enum due_kind kind;
	int64_t due_ms;
	int64_t scheduled_ms;
	uint32_t tries;
	char error[16]; /* of the last one that failed */
};

static int compare_runs(const void *a, const void *b)
{
	const struct run *first = a, *second = b;
	return (first->due_ms > second->due_ms) - (first->due_ms < second->due_ms);
}

static struct run *made;

static void make_runs(struct turn *turn)
{
	for (int i = 0; i < RUNS; i++) {
		struct storage storage;
		struct object_name name = { slice_text(i % 3 ? "Box" : "Other"),
			slice_text(made[i].id) };
		storage_open(&storage, turn, &name);
		struct schedule schedule = {
			.name = slice_text("every day"),
			.cron = slice_text("0 0 * * *"),
			.method = slice_text("poll"),
			.next_ms = made[i].scheduled_ms,
			.due_ms = made[i].due_ms,
			.tries = made[i].tries,
			.error = slice_text(made[i].error),
		};
		struct value nothing = { .type = VALUE_BYTES };
		struct due wake = { DUE_WAKE, made[i].due_ms, name, slice_text("poll") };
		struct key key;
		if (made[i].kind == DUE_SCHEDULE)
			storage_set_schedule(&storage, &schedule);
		if (made[i].kind == DUE_ALARM) {
			storage_set_alarm(&storage, made[i].scheduled_ms);
			storage_retry_alarm(
				&storage, made[i].due_ms, made[i].tries, slice_text(made[i].error));
		}
		if (made[i].kind == DUE_WAKE) {
			key_of_due(&key, &wake);
			turn_put(turn, storage.shard, key_slice(&key), &nothing);
		}
		storage_put(&storage, slice_text("k"), &nothing);
		storage_expire(&storage, 1000000000, false);
		storage_close(&storage);
	}
}

static void runs_init(struct run *runs, int64_t now_ms, struct random *random)
{
	for (int i = 0; i < RUNS; i++) {
		struct run *run = &runs[i];
		snprintf(run->id, sizeof(run->id), "id%d", i);
		run->kind = DUE_ALARM + (enum due_kind)random_below(random, 3);
		run->scheduled_ms = now_ms + 1 + 1000 * i + (int64_t)random_below(random, 100000);
		run->due_ms = run->scheduled_ms;
		run->tries = (uint32_t)random_below(random, 3);
		if (run->kind == DUE_WAKE)
			run->tries = 0;
		run->error[0] = '\0';
		if (run->tries) {
			run->due_ms += 2000 + (int64_t)random_below(random, 30000);
			snprintf(run->error, sizeof(run->error), "no %d", i);
		}
	}
	made = runs;
}

static void write_run(struct buffer *out, const struct run *run)
{
	static const char *const kinds[] = { "", "alarm", "schedule", "wake" };
	static const char *const names[] = { "", "", "every day", "poll" };
	const char *kind = kinds[run->kind], *name = names[run->kind];
	buffer_format(out, "*14\r\n$2\r\nid\r\n$%zu\r\n%s\r\n$4\r\nkind\r\n$%zu\r\n%s\r\n",
		strlen(run->id), run->id, strlen(kind), kind);
	buffer_format(out, "$4\r\nname\r\n$%zu\r\n%s\r\n$3\r\ndue\r\n:%lld\r\n", strlen(name), name,
		(long long)run->due_ms);
	buffer_format(out, "$9\r\nscheduled\r\n:%lld\r\n$7\r\nretries\r\n:%u\r\n",
		(long long)run->scheduled_ms, run->tries);
	if (run->tries)
		buffer_format(out, "$5\r\nerror\r\n$%zu\r\n%s\r\n", strlen(run->error), run->error);
	else
		buffer_format(out, "$5\r\nerror\r\n$-1\r\n");
}

static void make_failing(struct turn *turn)
{
	struct storage storage;
	struct object_name name = { slice_text("Box"), slice_text("failing") };
	storage_open(&storage, turn, &name);
	struct schedule schedule = {
		.name = slice_text("poll"),
		.every_ms = 60000,
		.method = slice_text("poll"),
		.next_ms = turn->now_ms + 60000,
		.due_ms = turn->now_ms + 2000,
		.tries = 1,
		.error = slice_text("CLASSERR Box.poll: Box:7: no"),
	};
	storage_set_schedule(&storage, &schedule);
	schedule.name = slice_text("well");
	schedule.error = slice_text("");
	storage_set_schedule(&storage, &schedule);
	storage_set_alarm(&storage, turn->now_ms);
	storage_retry_alarm(&storage, turn->now_ms + 4000, 2, slice_text("BUSY come later"));
	storage_close(&storage);
}

static void tells_of_one_object_what_fails(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, make_failing, "MAKE", "Box", "failing", NULL);
	turn_rig_run(rig, do_info, "DO.INFO", "Box", "failing", NULL);
	assert_non_null(strstr(rig->reply,
		"failing\r\n*2\r\n$32\r\nalarm, 2 failed: BUSY come later\r\n"
		"$53\r\nschedule poll, 1 failed: CLASSERR Box.poll: Box:7: no\r\n"));
}

static void lists_what_is_due_in_the_order_of_time(void **state)
{
	struct turn_rig *rig = *state;
	struct run runs[RUNS];
	struct random random;
	random_seed(&random, 41);
	runs_init(runs, rig->now_ms, &random);
	turn_rig_run(rig, make_runs, "MAKE", NULL);
	/* Those of the class, sorted. */
	int count = 0;
	struct run sorted[RUNS];
	for (int i = 0; i < RUNS; i++)
		if (i % 3)
			sorted[count++] = runs[i];
	qsort(sorted, (size_t)count, sizeof(sorted[0]), compare_runs);
	for (int limit = 1; limit <= RUNS; limit += 3) {
		char text[16];
		struct buffer right;
		int listed = limit < count ? limit : count;
		buffer_init(&right);
		buffer_format(&right, "*%d\r\n", listed);
		for (int i = 0; i < listed; i++)
			write_run(&right, &sorted[i]);
		buffer_append(&right, "", 1);
		snprintf(text, sizeof(text), "%d", limit);
		turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", "LIMIT", text, NULL);
		assert_string_equal(rig->reply, right.data);
		buffer_fini(&right);
		if (limit == 31)
			turn_rig_checkpoint(rig);
	}
	assert_int_equal(rig->read_lsn, 1);
}

static void what_is_due_of_ended_objects_is_void(void **state)
{
	struct turn_rig *rig = *state;
	put_text(rig, "Box", "a");
	turn_rig_run(rig, do_setalarm, "DO.SETALARM", "Box", "a", "1800000000000", NULL);
	turn_rig_run(rig, do_expire, "DO.EXPIRE", "Box", "a", "10", NULL);
	turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", NULL);
	assert_memory_equal(rig->reply, "*1\r\n", 4);
	rig->now_ms += 10000;
	turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", NULL);
	assert_string_equal(rig->reply, "*0\r\n");
}

static void note_failures(struct turn *turn)
{
	for (int i = 0; i < 50; i++) {
		struct slice id = arena_format(turn_arena(turn), "id%02d", i);
		struct due due = { .kind = DUE_ALARM, .at_ms = 1000 * (i + 1) };
		due.object = (struct object_name){ slice_text(i == 7 ? "Other" : "Box"), id };
		struct buffer packed;
		buffer_init(&packed);
		packed_add_table(&packed, 4, 0);
		packed_add_string(&packed, slice_text("it broke"));
		packed_add_integer(&packed, 7);
		packed_add_integer(&packed, 500 * (i + 1));
		packed_add_integer(&packed, 1001 * (i + 1));
		struct value value = {
			.type = VALUE_PACKED,
			.expire_ms = turn->now_ms + 1000 + i,
			.data = arena_copy(turn_arena(turn), buffer_slice(&packed)),
		};
		buffer_fini(&packed);
		struct key key;
		key_of_failed(&key, &due);
		turn_put(turn, turn_shard_of(turn, id), key_slice(&key), &value);
	}
}

static void check_failed(struct turn_rig *rig, const char *limit, int first)
{
	struct buffer right;
	buffer_init(&right);
	int count = 0;
	for (int i = first; i < 50; i++)
		count += i != 7;
	buffer_format(&right, "*%d\r\n", count);
	for (int i = first; i < 50; i++) {
		if (i == 7)
			continue;
		buffer_format(&right,
			"%%7\r\n$2\r\nid\r\n$4\r\nid%02d\r\n$4\r\nkind\r\n$5\r\nalarm\r\n"
			"$4\r\nname\r\n$0\r\n\r\n$9\r\nscheduled\r\n:%d\r\n",
			i, 500 * (i + 1));
		buffer_format(&right,
			"$9\r\nfailed-at\r\n:%d\r\n$7\r\nretries\r\n:6\r\n"
			"$5\r\nerror\r\n$8\r\nit broke\r\n",
			1001 * (i + 1));
	}
	buffer_append(&right, "", 1);
	turn_rig_run(rig, do_alarms, "DO.ALARMS", "Box", "LIMIT", limit, "FAILED", NULL);
	assert_string_equal(rig->reply, right.data);
	buffer_fini(&right);
}

static void lists_the_latest_runs_given_up_newest_last(void **state)
{
	struct turn_rig *rig = *state;
	rig->protocol = 3;
	turn_rig_run(rig, note_failures, "MAKE", NULL);
	check_failed(rig, "49", 0);
	check_failed(rig, "10000", 0);
	check_failed(rig, "48", 1);
	check_failed(rig, "20", 30);
	check_failed(rig, "1", 49);
	rig->now_ms += 1045; /* the first 46 have been forgotten */
	check_failed(rig, "100", 46);
}

/* --- DO.WAKE ---------------------------------------------------------------------------------- */

#define WORKERS 2

static uint32_t wake_turns;
static size_t wake_bytes_most; /* of the request's arena, at the end of a turn */

static void watched_wake(struct turn *turn)
{
	do_wake(turn);
	wake_turns++;
	if (turn_arena(turn)->bytes > wake_bytes_most)
		wake_bytes_most = turn_arena(turn)->bytes;
}

static void put_many(struct turn *turn)
{
	for (int i = 0; i < 100; i++) {
		static int number;
		struct slice id = arena_format(turn_arena(turn), "user-%05d", number++);
		struct storage storage;
		struct value value = { .type = VALUE_BYTES, .data = id };
		struct object_name name = { slice_text("Box"), id };
		storage_open(&storage, turn, &name);
		storage_put(&storage, id, &value);
		storage_close(&storage);
	}
}

static const struct command wake_command = {
	.name = "handler",
	.syntax = "words",
	.arity = -3,
	.route = ROUTE_WALK,
	.run = watched_wake,
};
static const struct command put_many_command = {
	.name = "put many", .arity = 1, .route = ROUTE_ALL, .run = put_many
};

#define wake(rig, ...)                                                                             \
	wait_for(rig, engine_rig_send_command(rig, 1, &wake_command, __VA_ARGS__, NULL))

static const char *wait_for(struct engine_rig *rig, struct engine_ticket *ticket)
{
	engine_rig_settle(rig);
	assert_true(ticket->done);
	return ticket->reply;
}

static int set_up_engine(void **state)
{
	struct engine_rig *rig = memory_zeroed(sizeof(*rig));
	engine_rig_init(rig, SHARDS);
	engine_rig_start(rig, WORKERS, WORKERS);
	*state = rig;
	return 0;
}

static int tear_down_engine(void **state)
{
	engine_rig_fini(*state);
	memory_free(*state);
	return 0;
}

/* Entries of wakes in the index, and those of them whose value is `arguments`. */
static uint32_t count_wakes(
	struct engine_rig *rig, const char *method, struct slice arguments, uint32_t *right)
{
	uint32_t count = 0;
	*right = 0;
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		struct key start = { .size = 1, .bytes = { TABLE_DUE } }, end = start;
		struct arena arena;
		struct cursor cursor;
		struct slice key;
		struct value value;
		struct due due;
		key_prefix_end(&end);
		arena_init(&arena, 4096);
		cursor_open(&cursor, rig->engine->stores[shard], NULL, &arena, key_slice(&start),
			key_slice(&end), false);
		while (cursor_next(&cursor, &key, &value)) {
			assert_true(key_parse_due(key, &due));
			assert_int_equal(due.kind, DUE_WAKE);
			assert_int_equal(value.type, VALUE_PACKED);
			if (slice_equal(due.name, slice_text(method))) {
				count++;
				*right += slice_equal(value.data, arguments);
			}
		}
		cursor_close(&cursor);
		arena_fini(&arena);
	}
	return count;
}

static void check_wakes(
	struct engine_rig *rig, const char *method, struct slice arguments, uint32_t count)
{
	uint32_t right;
	assert_int_equal(count_wakes(rig, method, arguments, &right), count);
	assert_int_equal(right, count);
}

static void every_object_is_sent_the_call_in_bounded_turns(void **state)
{
	struct engine_rig *rig = *state;
	for (int i = 0; i < 40; i++)
		wait_for(rig, engine_rig_send_command(rig, 0, &put_many_command, "PUT", NULL));
	engine_rig_checkpoint(rig);
	wake_turns = 0;
	wake_bytes_most = 0;
	assert_string_equal(wake(rig, "DO.WAKE", "Box", "poll", "ARGS", "a", ""), ":4000\r\n");
	assert_in_range(wake_turns, 4000 / 256 + 1, 4000 / 256 + 1 + 2 * SHARDS);
	/* One turn's writes, not those of all. */
	assert_in_range(wake_bytes_most, 1, 200 << 10);
	check_wakes(rig, "poll", slice_of("\6\2\0\5\1a\5\0", 8), 4000);

	/* The same call once more in the same millisecond is another one. */
	assert_string_equal(wake(rig, "DO.WAKE", "Box", "poll", "ARGS", "a", ""), ":4000\r\n");
	check_wakes(rig, "poll", slice_of("\6\2\0\5\1a\5\0", 8), 8000);

	assert_string_equal(wake(rig, "DO.WAKE", "Box", "tidy", "PREFIX", "user-000"), ":100\r\n");
	check_wakes(rig, "tidy", slice_of("\6\0\0", 3), 100);
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "part", "prefix", "user-00012", "args", "x"), ":1\r\n");
	check_wakes(rig, "part", slice_of("\6\1\0\5\1x", 6), 1);
	assert_string_equal(wake(rig, "DO.WAKE", "Nobody", "poll"), ":0\r\n");
}

static void a_wake_is_acknowledged_when_it_is_on_disk(void **state)
{
	struct engine_rig *rig = *state;
	rig_run(rig, 0, "DO.PUT", "Box", "a", "k", "v");
	engine_rig_settle(rig);
	struct engine_ticket *ticket =
		engine_rig_send_command(rig, 1, &wake_command, "DO.WAKE", "Box", "poll", NULL);
	engine_rig_deliver(rig);
	assert_true(ticket->done);
	assert_false(engine_rig_is_released(ticket));
	engine_rig_settle(rig);
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	check_wakes(rig, "poll", slice_of("\6\0\0", 3), 1);
}

static void only_methods_that_clients_may_call_are_sent(void **state)
{
	struct engine_rig *rig = *state;
	rig_run(rig, 0, "DO.PUT", "Box", "a", "k", "v");
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "_hidden"), "-NOMETHOD Box._hidden is private\r\n");
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "init"), "-NOMETHOD Box.init is private\r\n");
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "alarm"), "-NOMETHOD Box.alarm is private\r\n");
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "a b"), "-NOMETHOD Box has no method 'a b'\r\n");
	assert_string_equal(wake(rig, "DO.WAKE", "Box", ""), "-NOMETHOD Box has no method ''\r\n");
	char name[LIMIT_CLASS_NAME_BYTES + 2];
	memset(name, 'm', sizeof(name));
	name[LIMIT_CLASS_NAME_BYTES + 1] = '\0';
	assert_non_null(strstr(wake(rig, "DO.WAKE", "Box", name), "-NOMETHOD Box has no method"));
	name[LIMIT_CLASS_NAME_BYTES] = '\0';
	assert_string_equal(wake(rig, "DO.WAKE", "Box", name), ":1\r\n");
	assert_string_equal(wake(rig, "DO.WAKE", "B-x", "poll"), "-" ERROR_CLASS_NAME "\r\n");
	assert_string_equal(wake(rig, "DO.WAKE", "Box", "poll", "a"), TURN_RIG_MISFIT("'a'"));
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "poll", "PREFIX"), TURN_RIG_MISFIT("the end"));
	assert_string_equal(
		wake(rig, "DO.WAKE", "Box", "poll", "PREFIX", "a", "b"), TURN_RIG_MISFIT("'b'"));
	assert_string_equal(wake(rig, "DO.WAKE", "Box", "poll", "ARGS"), ":1\r\n");
}

/* --- with classes ----------------------------------------------------------------------------- */

static void figures_are_summed_over_the_workers_each_once(void **state)
{
	struct engine_rig *rig = *state;
	struct quiet_objects objects;
	quiet_objects_open(&objects, rig);
	assert_string_equal(rig_run(rig, 0, "DO.CLASS", "LOAD", "Box",
				    "local B = class('Box') "
				    "function B:keep() self.storage:put('k', 1) return 1 end "
				    "function B:fail() error('no', 0) end return B"),
		":1\r\n");
	char id[ENGINE_RIG_KEY_BYTES];
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		for (uint32_t n = 0; n < 5; n++) {
			engine_rig_key(rig, shard, n, id);
			rig_run(rig, 0, "DO.CALL", "Box", id, "keep");
		}
	rig->now_ms += 1000;
	rig_run(rig, 0, "DO.CALL", "Box", id, "fail");
	const char *reply = rig_run(rig, 0, "DO.INFO", "Box");
	assert_non_null(strstr(reply, "objects\r\n:20\r\n"));
	assert_non_null(strstr(reply, "version\r\n:1\r\n$4\r\nfrom\r\n$7\r\ncommand\r\n"));
	assert_non_null(strstr(reply, "calls\r\n:21\r\n"));
	assert_non_null(strstr(reply, "errors\r\n:1\r\n"));
	assert_non_null(strstr(reply, "last-error-at\r\n:1700000001000\r\n"));
	assert_null(strstr(reply, "memory-bytes\r\n:0\r\n"));
	engine_rig_key(rig, 0, 0, id);
	reply = rig_run(rig, 1, "DO.INFO", "Box", id);
	assert_non_null(strstr(reply, "in-memory\r\n:1\r\n$5\r\ncalls\r\n:1\r\n"));
	assert_string_equal(rig_run(rig, 0, "DO.WAKE", "Nobody", "poll"),
		"-NOCLASS class 'Nobody' is not loaded\r\n");
	assert_string_equal(rig_run(rig, 0, "DO.WAKE", "Box", "keep"), ":20\r\n");
	quiet_objects_close(&objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			lists_objects_like_a_plain_table_under_random_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_listing_waits_for_what_the_shards_have_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			pages_follow_each_other_without_a_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_turn_looks_at_so_much_and_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			arguments_of_listings_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			tells_of_one_object_what_is_stored_of_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_the_objects_of_a_class, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lists_what_is_due_in_the_order_of_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_of_one_object_what_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_due_of_ended_objects_is_void, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lists_the_latest_runs_given_up_newest_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_object_is_sent_the_call_in_bounded_turns,
			set_up_engine, tear_down_engine),
		cmocka_unit_test_setup_teardown(
			a_wake_is_acknowledged_when_it_is_on_disk, set_up_engine, tear_down_engine),
		cmocka_unit_test_setup_teardown(only_methods_that_clients_may_call_are_sent,
			set_up_engine, tear_down_engine),
		cmocka_unit_test_setup_teardown(figures_are_summed_over_the_workers_each_once,
			set_up_engine, tear_down_engine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
