/*
 * The log as its users see it, on the kernel's disk and on the simulated one: what is written comes
 * back, segments are taken, recycled and removed, and failures are said.
 */
#include "base/memory.h"
#include "log/log.h"
#include "log/segment.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT_BYTES (16 * LOG_BLOCK_BYTES)
#define VALUE_BYTES   1000

struct fixture {
	struct disk *disk;
	bool simulated;
	char directory[64];
	struct log *log;
	struct log_options options;
	struct log_recovery recovery;
	char error[256];
	struct log_batch batch;
	uint64_t replayed_first;
	uint64_t replayed_last;
	int replay_error; /* returned by the replay of record 3 */
};

static int replay(void *context, uint64_t lsn, struct record_reader *reader)
{
	struct fixture *fixture = context;
	struct effect effect;
	if (fixture->replay_error && lsn == 3)
		return fixture->replay_error;
	if (fixture->replayed_first == 0)
		fixture->replayed_first = lsn;
	else
		assert_int_equal(lsn, fixture->replayed_last + 1);
	fixture->replayed_last = lsn;
	assert_int_equal(record_next_effect(reader, &effect), 1);
	assert_int_equal(effect.key.size, sizeof(lsn));
	assert_memory_equal(effect.key.data, &lsn, sizeof(lsn));
	return 0;
}

static int open_log(struct fixture *fixture, uint64_t after_lsn)
{
	log_close(&fixture->log);
	fixture->replayed_first = fixture->replayed_last = 0;
	fixture->error[0] = '\0';
	return log_open(&fixture->log, &fixture->options, after_lsn, replay, fixture,
		&fixture->recovery, fixture->error, sizeof(fixture->error));
}

static void collect(struct fixture *fixture, uint64_t count, size_t value_bytes)
{
	char *value = memory_zeroed(value_bytes);
	log_batch_clear(&fixture->batch, SIZE_MAX);
	fixture->batch.first_lsn = log_next_lsn(fixture->log);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t lsn = fixture->batch.first_lsn + i;
		struct effect effect = { .kind = EFFECT_PUT,
			.key = slice_of(&lsn, sizeof(lsn)),
			.value = slice_of(value, value_bytes) };
		log_batch_add(&fixture->batch, &effect, 1);
	}
	memory_free(value);
}

/* In batches of one record of VALUE_BYTES; a sync now and then, and at the end. */
static void write_records(struct fixture *fixture, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		collect(fixture, 1, VALUE_BYTES);
		int result = log_write(fixture->log, &fixture->batch);
		if (result == -EAGAIN) {
			assert_int_equal(log_prepare(fixture->log), 0);
			result = log_write(fixture->log, &fixture->batch);
		}
		assert_int_equal(result, 0);
		if (i % 32 == 31 || i == count - 1)
			assert_int_equal(log_sync(fixture->log), 0);
	}
}

static struct log_usage usage(struct fixture *fixture)
{
	struct log_usage usage;
	log_usage(fixture->log, &usage);
	return usage;
}

static void count_file(void *context, const char *name)
{
	uint64_t number;
	*(int *)context += segment_number(name, &number);
}

struct sum {
	struct fixture *fixture;
	uint64_t bytes;
};

static void add_size(void *context, const char *name)
{
	struct sum *sum = context;
	uint64_t number, bytes;
	struct disk_file *file;
	if (!segment_number(name, &number))
		return;
	char *path = segment_path(sum->fixture->directory, number);
	assert_int_equal(disk_open(sum->fixture->disk, path, DISK_OPEN_EXISTING, &file), 0);
	assert_int_equal(disk_size(file, &bytes), 0);
	sum->bytes += bytes;
	disk_close(&file);
	memory_free(path);
}

static uint64_t bytes_of_files(struct fixture *fixture)
{
	struct sum sum = { .fixture = fixture };
	assert_int_equal(disk_list(fixture->disk, fixture->directory, add_size, &sum), 0);
	return sum.bytes;
}

static int files(struct fixture *fixture)
{
	int count = 0;
	assert_int_equal(disk_list(fixture->disk, fixture->directory, count_file, &count), 0);
	return count;
}

static void is_empty_at_first(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->recovery.last_lsn, 0);
	assert_false(fixture->recovery.torn_tail);
	assert_int_equal(log_next_lsn(fixture->log), 1);
	assert_int_equal(usage(fixture).spares, 2);
	assert_int_equal(usage(fixture).segments, 0);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(log_next_lsn(fixture->log), 1);
	assert_int_equal(files(fixture), 2);
}

static void replays_what_was_written_in_order(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 200);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_first, 1);
	assert_int_equal(fixture->replayed_last, 200);
	assert_int_equal(fixture->recovery.records, 200);
	assert_int_equal(fixture->recovery.last_lsn, 200);
	assert_false(fixture->recovery.torn_tail);
	assert_int_equal(log_next_lsn(fixture->log), 201);
}

static void goes_on_after_every_opening(void **state)
{
	struct fixture *fixture = *state;
	for (uint64_t round = 0; round < 10; round++) {
		assert_int_equal(open_log(fixture, 0), 0);
		assert_int_equal(fixture->replayed_last, round * 3);
		write_records(fixture, 3);
	}
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->recovery.records, 30);
}

static void replays_only_what_the_tree_does_not_hold(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 200);
	assert_int_equal(open_log(fixture, 150), 0);
	assert_int_equal(fixture->replayed_first, 151);
	assert_int_equal(fixture->replayed_last, 200);
	assert_int_equal(fixture->recovery.records, 50);
	assert_int_equal(open_log(fixture, 200), 0);
	assert_int_equal(fixture->recovery.records, 0);
	assert_int_equal(log_next_lsn(fixture->log), 201);
}

static void goes_on_behind_a_tree_that_is_ahead(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 5);
	assert_int_equal(open_log(fixture, 1000), 0);
	assert_int_equal(fixture->recovery.records, 0);
	assert_int_equal(log_next_lsn(fixture->log), 1001);
	write_records(fixture, 5);
	assert_int_equal(open_log(fixture, 1000), 0);
	assert_int_equal(fixture->replayed_first, 1001);
	assert_int_equal(fixture->replayed_last, 1005);
}

static void fills_a_segment_to_its_last_byte(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	size_t bytes_max = log_batch_bytes_max(fixture->log);
	uint64_t key = 0;
	struct effect empty = { .kind = EFFECT_PUT, .key = slice_of(&key, sizeof(key)) };
	size_t value_bytes = bytes_max - record_size(&empty, 1);
	for (int i = 0; i < 5; i++) {
		/* As much as fits, in one record. */
		size_t bytes = value_bytes + 7;
		do
			collect(fixture, 1, bytes--);
		while (fixture->batch.size > bytes_max);
		assert_int_equal(fixture->batch.size, bytes_max);
		int result = log_write(fixture->log, &fixture->batch);
		if (result == -EAGAIN) {
			assert_int_equal(log_prepare(fixture->log), 0);
			result = log_write(fixture->log, &fixture->batch);
		}
		assert_int_equal(result, 0);
		assert_int_equal(log_sync(fixture->log), 0);
	}
	assert_int_equal(usage(fixture).segments, 5);
	assert_int_equal(usage(fixture).bytes_live, 5 * SEGMENT_BYTES);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, 5);
}

static void asks_for_a_segment_and_writes_nothing(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	int result = 0;
	uint64_t written = 0;
	for (; result == 0; written += result == 0) {
		collect(fixture, 4, VALUE_BYTES);
		result = log_write(fixture->log, &fixture->batch);
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(log_next_lsn(fixture->log), written * 4 + 1);
	assert_int_equal(log_write(fixture->log, &fixture->batch), -EAGAIN);
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, written * 4 + 4);
}

static void recycles_what_the_tree_holds(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	uint64_t tree = 0;
	for (int round = 0; round < 20; round++) {
		write_records(fixture, 200);
		assert_true(usage(fixture).segments >= 3);
		tree = log_next_lsn(fixture->log) - 1;
		assert_int_equal(log_recycle(fixture->log, tree), 0);
		assert_int_equal(usage(fixture).segments, 1);
		assert_true(files(fixture) < 12);
	}
	assert_int_equal(open_log(fixture, tree), 0);
	assert_int_equal(fixture->recovery.records, 0);
	write_records(fixture, 10);
	assert_int_equal(open_log(fixture, tree), 0);
	assert_int_equal(fixture->replayed_first, tree + 1);
	assert_int_equal(fixture->recovery.records, 10);
}

static void keeps_a_segment_with_one_record_that_is_needed(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	collect(fixture, 10, 5000);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	collect(fixture, 10, 5000);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(usage(fixture).segments, 2);
	assert_int_equal(log_recycle(fixture->log, 9), 0);
	assert_int_equal(usage(fixture).segments, 2);
	assert_int_equal(log_recycle(fixture->log, 10), 0);
	assert_int_equal(usage(fixture).segments, 1);
	/* The current segment stays whatever the tree holds. */
	assert_int_equal(log_recycle(fixture->log, 20), 0);
	assert_int_equal(usage(fixture).segments, 1);
}

static void gives_back_what_a_burst_has_left(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 2000);
	int burst = usage(fixture).segments;
	assert_true(burst > 20);
	for (int round = 0; round < 40; round++) {
		assert_int_equal(log_recycle(fixture->log, log_next_lsn(fixture->log) - 1), 0);
		write_records(fixture, 70);
	}
	assert_true(files(fixture) < burst / 2);
	assert_int_equal(open_log(fixture, log_next_lsn(fixture->log) - 1), 0);
}

static void changes_the_size_of_its_segments(void **state)
{
	struct fixture *fixture = *state;
	uint64_t tree = 0;
	static const uint64_t sizes[] = { 8, 32, 4, 16 };
	for (int i = 0; i < 8; i++) {
		fixture->options.segment_bytes = sizes[i % 4] * LOG_BLOCK_BYTES;
		assert_int_equal(open_log(fixture, tree), 0);
		assert_int_equal(fixture->recovery.records, i ? 60 : 0);
		assert_int_equal(log_batch_bytes_max(fixture->log),
			(sizes[i % 4] - 1) * LOG_BLOCK_BYTES - LOG_BATCH_HEADER_BYTES);
		write_records(fixture, 30);
		tree = log_next_lsn(fixture->log) - 1;
		assert_int_equal(log_recycle(fixture->log, tree), 0);
		write_records(fixture, 60);
	}
	/* Of the former sizes only what is needed is left. */
	fixture->options.segment_bytes = 64 * LOG_BLOCK_BYTES;
	assert_int_equal(open_log(fixture, log_next_lsn(fixture->log) - 1), 0);
	assert_int_equal(files(fixture), 2);
	assert_int_equal(usage(fixture).spares, 2);
}

static void its_segments_grow(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.first_bytes = 2 * LOG_BLOCK_BYTES;
	fixture->options.segment_bytes = 64 * LOG_BLOCK_BYTES;
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(log_room(fixture->log), LOG_BLOCK_BYTES - LOG_BATCH_HEADER_BYTES);
	size_t room = log_room(fixture->log);
	/* Little in it: small files. Much: large ones, and never smaller again. */
	write_records(fixture, 3);
	assert_true(bytes_of_files(fixture) <= 8 * LOG_BLOCK_BYTES);
	for (int i = 0; i < 100; i++) {
		write_records(fixture, 40);
		assert_int_equal(log_prepare(fixture->log), 0);
		assert_true(log_room(fixture->log) >= room);
		room = log_room(fixture->log);
	}
	assert_int_equal(room, log_batch_bytes_max(fixture->log));
	uint64_t last = log_next_lsn(fixture->log) - 1;
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->recovery.records, last);
	assert_int_equal(log_recycle(fixture->log, last), 0);
	write_records(fixture, 40);
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_int_equal(log_room(fixture->log), room);
}

static void a_large_batch_has_segments_made_that_hold_it(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.first_bytes = 2 * LOG_BLOCK_BYTES;
	fixture->options.segment_bytes = 64 * LOG_BLOCK_BYTES;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 3);
	size_t size = log_batch_bytes_max(fixture->log) / 2;
	collect(fixture, 1, size);
	assert_int_equal(log_write(fixture->log, &fixture->batch), -EAGAIN);
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_true(log_room(fixture->log) >= fixture->batch.size);
	assert_int_equal(usage(fixture).spares, 2);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	/* Said before, it waits for nothing. */
	size = log_batch_bytes_max(fixture->log) - 200;
	log_need(fixture->log, size);
	assert_int_equal(log_prepare(fixture->log), 0);
	collect(fixture, 1, size);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->recovery.records, 5);
}

static void ends_with_the_error_of_the_replay(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 5);
	fixture->replay_error = -ECANCELED;
	assert_int_equal(open_log(fixture, 0), -ECANCELED);
	assert_null(fixture->log);
	assert_non_null(strstr(fixture->error, "record 3"));
	fixture->replay_error = 0;
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, 5);
}

static void ignores_files_that_are_not_segments(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = { "0.log", "000000000000000g.log",
		"0000000000000001.logs", "000000000000000A.log", "0000000000000001" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		struct disk_file *file;
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
		assert_int_equal(disk_open(fixture->disk, path, DISK_OPEN_CREATE, &file), 0);
		assert_int_equal(disk_write(file, "x", 1, 0), 0);
		disk_close(&file);
	}
	assert_int_equal(open_log(fixture, 0), 0);
	write_records(fixture, 5);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, 5);
}

static void gives_memory_back_when_a_batch_was_large(void **state)
{
	struct fixture *fixture = *state;
	struct effect effect = { .kind = EFFECT_PUT, .key = { "k", 1 } };
	log_batch_add(&fixture->batch, &effect, 1);
	char *memory = fixture->batch.memory;
	log_batch_clear(&fixture->batch, 1 << 20);
	assert_ptr_equal(fixture->batch.memory, memory);
	assert_int_equal(fixture->batch.size, 0);
	assert_int_equal(fixture->batch.count, 0);
	size_t bytes = (size_t)5 << 20;
	char *value = memory_zeroed(bytes);
	effect.value = slice_of(value, bytes);
	log_batch_add(&fixture->batch, &effect, 1);
	memory_free(value);
	assert_true(fixture->batch.capacity >= bytes);
	log_batch_clear(&fixture->batch, 1 << 20);
	assert_int_equal(fixture->batch.capacity, 0);
	log_batch_add(&fixture->batch, &(struct effect){ .kind = EFFECT_DELETE }, 1);
	assert_int_equal(fixture->batch.count, 1);
}

/* Whether the batch was written from where it had been collected. */
static bool stays_in_place(struct fixture *fixture, size_t place, size_t value_bytes)
{
	log_batch_clear(&fixture->batch, SIZE_MAX);
	log_batch_place(&fixture->batch, place);
	collect(fixture, 3, value_bytes);
	assert_int_equal(log_write(fixture->log, &fixture->batch), 0);
	return fixture->batch.place == place;
}

static void a_batch_is_written_from_its_place_or_from_any_other(void **state)
{
	struct fixture *fixture = *state;
	static const size_t sizes[] = { 8, 500, 1000, 1360, 12 };
	assert_int_equal(open_log(fixture, 0), 0);
	assert_true(stays_in_place(fixture, 0, 100));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t end = log_batch_end(&fixture->batch);
		assert_true(stays_in_place(fixture, end, sizes[i]));
		end = log_batch_end(&fixture->batch);
		assert_false(stays_in_place(fixture, (end + 8) % LOG_BLOCK_BYTES, sizes[i]));
		end = log_batch_end(&fixture->batch);
		assert_false(stays_in_place(fixture, (end + 4000) % LOG_BLOCK_BYTES, sizes[i]));
	}
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, 3 + 9 * sizeof(sizes) / sizeof(sizes[0]));
}

static void what_is_written_past_the_page_cache_and_through_it_is_replayed(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	for (int i = 0; i < 20; i++) {
		log_set_direct(fixture->log, i % 3 == 1);
		write_records(fixture, 7);
	}
	assert_int_equal(open_log(fixture, 0), 0);
	assert_int_equal(fixture->replayed_last, 140);
}

struct keeper {
	struct log *log;
	_Atomic uint64_t durable;
	_Atomic bool stop;
};

static void *keep(void *argument)
{
	struct keeper *keeper = argument;
	while (!keeper->stop) {
		struct log_usage usage;
		assert_int_equal(log_prepare(keeper->log), 0);
		assert_int_equal(log_recycle(keeper->log, keeper->durable), 0);
		log_usage(keeper->log, &usage);
		assert_true(usage.spares >= 0);
	}
	return NULL;
}

static void is_prepared_and_recycled_by_another_thread(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(open_log(fixture, 0), 0);
	struct keeper keeper = { .log = fixture->log };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, keep, &keeper), 0);
	for (int i = 0; i < 1000; i++) {
		collect(fixture, 3, VALUE_BYTES);
		int result;
		do
			result = log_write(fixture->log, &fixture->batch);
		while (result == -EAGAIN);
		assert_int_equal(result, 0);
		assert_int_equal(log_sync(fixture->log), 0);
		keeper.durable = log_next_lsn(fixture->log) - 1 - (i % 100);
	}
	keeper.stop = true;
	pthread_join(thread, NULL);
	uint64_t last = log_next_lsn(fixture->log) - 1;
	assert_int_equal(open_log(fixture, last - 100), 0);
	assert_int_equal(fixture->replayed_first, last - 99);
	assert_int_equal(fixture->replayed_last, last);
}

static struct fixture *fixture_new(struct disk *disk, bool simulated)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	fixture->disk = disk;
	fixture->simulated = simulated;
	strcpy(fixture->directory, simulated ? "wal" : "/tmp/holdfast-log-XXXXXX");
	fixture->options = (struct log_options){ .disk = disk,
		.directory = fixture->directory,
		.segment_bytes = SEGMENT_BYTES,
		.spares_wanted = 2 };
	log_batch_init(&fixture->batch);
	return fixture;
}

static int set_up_simulated(void **state)
{
	*state = fixture_new(sim_disk_new(1), true);
	return 0;
}

static int set_up_system(void **state)
{
	struct fixture *fixture = fixture_new(disk_system(), false);
	*state = fixture;
	return mkdtemp(fixture->directory) ? 0 : -1;
}

static void remove_file(void *context, const char *name)
{
	struct fixture *fixture = context;
	char path[sizeof(fixture->directory) + 300];
	snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	unlink(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	log_close(&fixture->log);
	log_batch_fini(&fixture->batch);
	if (fixture->simulated) {
		sim_disk_free(&fixture->disk);
	} else {
		disk_list(fixture->disk, fixture->directory, remove_file, fixture);
		rmdir(fixture->directory);
	}
	memory_free(fixture);
	return 0;
}

#define SIMULATED(test)     cmocka_unit_test_setup_teardown(test, set_up_simulated, tear_down)
#define SYSTEM(test)        cmocka_unit_test_setup_teardown(test, set_up_system, tear_down)
#define ON_BOTH_DISKS(test) SIMULATED(test), SYSTEM(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_DISKS(is_empty_at_first),
		ON_BOTH_DISKS(replays_what_was_written_in_order),
		ON_BOTH_DISKS(goes_on_after_every_opening),
		ON_BOTH_DISKS(replays_only_what_the_tree_does_not_hold),
		ON_BOTH_DISKS(goes_on_behind_a_tree_that_is_ahead),
		ON_BOTH_DISKS(fills_a_segment_to_its_last_byte),
		ON_BOTH_DISKS(asks_for_a_segment_and_writes_nothing),
		ON_BOTH_DISKS(recycles_what_the_tree_holds),
		ON_BOTH_DISKS(keeps_a_segment_with_one_record_that_is_needed),
		ON_BOTH_DISKS(gives_back_what_a_burst_has_left),
		ON_BOTH_DISKS(changes_the_size_of_its_segments),
		ON_BOTH_DISKS(its_segments_grow),
		ON_BOTH_DISKS(a_large_batch_has_segments_made_that_hold_it),
		ON_BOTH_DISKS(ends_with_the_error_of_the_replay),
		ON_BOTH_DISKS(ignores_files_that_are_not_segments),
		ON_BOTH_DISKS(gives_memory_back_when_a_batch_was_large),
		ON_BOTH_DISKS(what_is_written_past_the_page_cache_and_through_it_is_replayed),
		ON_BOTH_DISKS(a_batch_is_written_from_its_place_or_from_any_other),
		SYSTEM(is_prepared_and_recycled_by_another_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
