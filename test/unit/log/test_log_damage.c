/*
 * What the log makes of a directory that is not as it left it: torn tails are passed over, damage
 * is refused with a clear line, and faults of the disk are survived. On the simulated disk.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "log/log.h"
#include "log/segment.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEGMENT_BYTES (8 * LOG_BLOCK_BYTES)

struct fixture {
	struct disk *disk;
	struct log *log;
	struct log_options options;
	struct log_recovery recovery;
	char error[256];
	struct log_batch batch;
	uint64_t replayed;
};

static int replay(void *context, uint64_t lsn, struct record_reader *reader)
{
	struct fixture *fixture = context;
	struct effect effect;
	assert_int_equal(record_next_effect(reader, &effect), 1);
	assert_memory_equal(effect.key.data, &lsn, sizeof(lsn));
	fixture->replayed = lsn;
	return 0;
}

static int open_log(struct fixture *fixture, uint64_t after_lsn)
{
	log_close(&fixture->log);
	fixture->replayed = 0;
	fixture->error[0] = '\0';
	return log_open(&fixture->log, &fixture->options, after_lsn, replay, fixture,
		&fixture->recovery, fixture->error, sizeof(fixture->error));
}

static void open_well(struct fixture *fixture, uint64_t after_lsn)
{
	if (open_log(fixture, after_lsn))
		fail_msg("%s", fixture->error);
}

static void open_badly(struct fixture *fixture, int code, const char *said)
{
	assert_int_equal(open_log(fixture, 0), code);
	assert_null(fixture->log);
	if (strstr(fixture->error, said) == NULL)
		fail_msg("`%s` does not say `%s`", fixture->error, said);
}

static int write_value(struct fixture *fixture, struct slice value)
{
	uint64_t lsn = log_next_lsn(fixture->log);
	struct effect effect = {
		.kind = EFFECT_PUT, .key = slice_of(&lsn, sizeof(lsn)), .value = value
	};
	log_batch_clear(&fixture->batch, SIZE_MAX);
	fixture->batch.first_lsn = lsn;
	log_batch_add(&fixture->batch, &effect, 1);
	return log_write(fixture->log, &fixture->batch);
}

/* Batches of one record of some 1,100 bytes, each synced. */
static void write_records(struct fixture *fixture, int count)
{
	char value[1000] = "some value";
	for (int i = 0; i < count; i++) {
		int result = write_value(fixture, slice_of(value, sizeof(value)));
		if (result == -EAGAIN) {
			assert_int_equal(log_prepare(fixture->log), 0);
			result = write_value(fixture, slice_of(value, sizeof(value)));
		}
		assert_int_equal(result, 0);
		assert_int_equal(log_sync(fixture->log), 0);
	}
}

#define BATCH_BYTES (LOG_BATCH_HEADER_BYTES + 8 + 20 + 8 + 1000 + 4)

/* Of the nth batch that write_records puts in a segment. */
static uint64_t batch_offset(int n)
{
	return LOG_BLOCK_BYTES + (uint64_t)n * BATCH_BYTES;
}

static struct disk_file *open_file(struct fixture *fixture, const char *path)
{
	struct disk_file *file;
	assert_int_equal(disk_open(fixture->disk, path, DISK_OPEN_EXISTING, &file), 0);
	return file;
}

static void overwrite(
	struct fixture *fixture, const char *path, uint64_t offset, const void *bytes, size_t size)
{
	struct disk_file *file = open_file(fixture, path);
	assert_int_equal(disk_write(file, bytes, size, offset), 0);
	assert_int_equal(disk_sync(file), 0);
	disk_close(&file);
}

static void flip(struct fixture *fixture, const char *path, uint64_t offset)
{
	char byte;
	struct disk_file *file = open_file(fixture, path);
	assert_int_equal(disk_read(file, &byte, 1, offset), 1);
	disk_close(&file);
	byte ^= 0x10;
	overwrite(fixture, path, offset, &byte, 1);
}

struct search {
	struct fixture *fixture;
	uint64_t sequence;
	char path[64];
};

static void look_at(void *context, const char *name)
{
	struct search *search = context;
	struct log_segment_header header;
	char path[64];
	snprintf(path, sizeof(path), "wal/%s", name);
	struct disk_file *file = open_file(search->fixture, path);
	if (disk_read(file, &header, sizeof(header), 0) == sizeof(header) &&
		header.sequence == search->sequence)
		strcpy(search->path, path);
	disk_close(&file);
}

/* The path of the segment that was activated as number `sequence`. */
static const char *segment(struct fixture *fixture, uint64_t sequence)
{
	static struct search search;
	search = (struct search){ .fixture = fixture, .sequence = sequence };
	assert_int_equal(disk_list(fixture->disk, "wal", look_at, &search), 0);
	assert_true(search.path[0] != '\0');
	return search.path;
}

static void passes_over_a_torn_last_batch(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	flip(fixture, segment(fixture, 1), batch_offset(4) + 600);
	for (int i = 0; i < 3; i++) {
		open_well(fixture, 0);
		assert_true(fixture->recovery.torn_tail);
		assert_int_equal(fixture->replayed, 4);
		assert_int_equal(log_next_lsn(fixture->log), 5);
	}
	/* What was torn stays void when the log has gone on. */
	write_records(fixture, 3);
	open_well(fixture, 0);
	assert_false(fixture->recovery.torn_tail);
	assert_int_equal(fixture->replayed, 7);
	flip(fixture, segment(fixture, 1), batch_offset(4) + 600);
	open_badly(fixture, -EBADMSG, "an older segment holds");
}

static void passes_over_a_torn_first_batch_of_a_segment(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	open_well(fixture, 0);
	write_records(fixture, 1);
	flip(fixture, segment(fixture, 2), batch_offset(0) + 3);
	for (int i = 0; i < 3; i++) {
		open_well(fixture, 0);
		assert_true(fixture->recovery.torn_tail);
		assert_int_equal(fixture->replayed, 5);
		assert_int_equal(fixture->recovery.last_lsn, 5);
	}
	write_records(fixture, 3);
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, 8);
}

static void passes_over_several_writes_that_no_sync_followed(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(write_value(fixture, slice_text("unsynced")), 0);
	/* The second of the four is torn, the others are whole. */
	flip(fixture, segment(fixture, 1), batch_offset(3) + 112 + LOG_BATCH_HEADER_BYTES + 40);
	open_well(fixture, 0);
	assert_true(fixture->recovery.torn_tail);
	assert_int_equal(fixture->replayed, 4);
	write_records(fixture, 3);
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, 7);
}

static void refuses_damage_before_the_last_batch(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 8);
	for (int batch = 0; batch < 7; batch++) {
		for (uint64_t at = 0; at < BATCH_BYTES; at += 37) {
			const char *path = segment(fixture, 1);
			flip(fixture, path, batch_offset(batch) + at);
			open_badly(fixture, -EBADMSG, "damaged: record");
			flip(fixture, path, batch_offset(batch) + at);
		}
	}
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, 8);
	/* Where the tree holds all the records, their damage is no loss. */
	flip(fixture, segment(fixture, 1), batch_offset(2));
	open_well(fixture, 8);
	assert_int_equal(log_next_lsn(fixture->log), 9);
}

static void refuses_damage_of_an_older_segments_last_batch(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	open_well(fixture, 0);
	write_records(fixture, 5);
	flip(fixture, segment(fixture, 1), batch_offset(4) + 100);
	open_badly(fixture, -EBADMSG, "record 5 is missing");
	open_well(fixture, 5);
	assert_int_equal(fixture->replayed, 10);
}

static void refuses_when_a_segment_is_missing(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 60);
	assert_int_equal(disk_remove(fixture->disk, segment(fixture, 2)), 0);
	open_badly(fixture, -EBADMSG, "is missing");
	open_well(fixture, 55);
	assert_int_equal(fixture->replayed, 60);
	assert_int_equal(fixture->recovery.records, 5);
}

static void refuses_when_the_oldest_records_are_missing(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 60);
	struct disk_file *file = open_file(fixture, segment(fixture, 2));
	struct log_segment_header header;
	assert_int_equal(disk_read(file, &header, sizeof(header), 0), sizeof(header));
	disk_close(&file);
	assert_int_equal(disk_remove(fixture->disk, segment(fixture, 1)), 0);
	open_badly(fixture, -EBADMSG, "record 1 is missing");
	assert_int_equal(open_log(fixture, header.first_lsn - 2), -EBADMSG);
	open_well(fixture, header.first_lsn - 1);
	assert_int_equal(fixture->replayed, 60);
}

static void refuses_a_damaged_header(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	const char *path = segment(fixture, 1);
	for (uint64_t at = 0; at < LOG_SEGMENT_HEADER_BYTES; at++) {
		flip(fixture, path, at);
		open_badly(fixture, -EBADMSG, "its header is not whole");
		flip(fixture, path, at);
	}
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, 5);
}

static void refuses_a_lost_header(void **state)
{
	struct fixture *fixture = *state;
	static const char zeros[LOG_BLOCK_BYTES];
	open_well(fixture, 0);
	write_records(fixture, 2);
	overwrite(fixture, segment(fixture, 1), 0, zeros, sizeof(zeros));
	open_badly(fixture, -EBADMSG, "its header is lost");
}

static void refuses_a_shortened_segment(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	/* The disk has no truncation: the start of the file as a file of its own. */
	char *bytes = memory_alloc(SEGMENT_BYTES);
	char path[64];
	strcpy(path, segment(fixture, 1));
	struct disk_file *file = open_file(fixture, path);
	assert_int_equal(disk_read(file, bytes, SEGMENT_BYTES, 0), SEGMENT_BYTES);
	disk_close(&file);
	assert_int_equal(disk_remove(fixture->disk, path), 0);
	assert_int_equal(disk_open(fixture->disk, path, DISK_OPEN_CREATE, &file), 0);
	disk_close(&file);
	overwrite(fixture, path, 0, bytes, 2 * LOG_BLOCK_BYTES);
	open_badly(fixture, -EBADMSG, "its header is not whole");
	memory_free(bytes);
}

static void refuses_a_copy_of_a_segment(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	char *bytes = memory_alloc(SEGMENT_BYTES);
	struct disk_file *file = open_file(fixture, segment(fixture, 1));
	assert_int_equal(disk_read(file, bytes, SEGMENT_BYTES, 0), SEGMENT_BYTES);
	disk_close(&file);
	assert_int_equal(
		disk_open(fixture->disk, "wal/00000000000000ff.log", DISK_OPEN_CREATE, &file), 0);
	assert_int_equal(disk_write(file, bytes, SEGMENT_BYTES, 0), 0);
	disk_close(&file);
	memory_free(bytes);
	open_badly(fixture, -EBADMSG, "sequence number");
}

static void refuses_a_newer_format(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 5);
	struct log_segment_header header;
	struct disk_file *file = open_file(fixture, segment(fixture, 1));
	assert_int_equal(disk_read(file, &header, sizeof(header), 0), sizeof(header));
	disk_close(&file);
	header.version = LOG_FORMAT_VERSION + 1;
	/* XXH3 of the bytes behind the checksum, as the newer version would have it. */
	header.checksum = hash_checksum(slice_of((char *)&header + 16, sizeof(header) - 16), 0);
	overwrite(fixture, segment(fixture, 1), 0, &header, sizeof(header));
	open_badly(fixture, -ENOTSUP, "newer version");
}

static void changes_nothing_when_it_refuses(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 40);
	flip(fixture, segment(fixture, 2), batch_offset(2));
	char *before = memory_alloc(SEGMENT_BYTES), *after = memory_alloc(SEGMENT_BYTES);
	for (uint64_t sequence = 1; sequence <= 2; sequence++) {
		struct disk_file *file = open_file(fixture, segment(fixture, sequence));
		assert_int_equal(disk_read(file, before, SEGMENT_BYTES, 0), SEGMENT_BYTES);
		open_badly(fixture, -EBADMSG, "damaged");
		assert_int_equal(disk_read(file, after, SEGMENT_BYTES, 0), SEGMENT_BYTES);
		assert_memory_equal(before, after, SEGMENT_BYTES);
		disk_close(&file);
	}
	memory_free(before);
	memory_free(after);
}

static void pads_what_it_writes_with_zeros(void **state)
{
	struct fixture *fixture = *state;
	static const char zeros[LOG_BLOCK_BYTES];
	char bytes[2 * LOG_BLOCK_BYTES];
	open_well(fixture, 0);
	for (int i = 0; i < 3; i++) {
		write_records(fixture, 1);
		struct disk_file *file = open_file(fixture, segment(fixture, 1));
		assert_int_equal(disk_read(file, bytes, sizeof(bytes), 0), sizeof(bytes));
		disk_close(&file);
		assert_memory_equal(bytes + LOG_SEGMENT_HEADER_BYTES, zeros,
			LOG_BLOCK_BYTES - LOG_SEGMENT_HEADER_BYTES);
		assert_memory_equal(
			bytes + batch_offset(i + 1), zeros, sizeof(bytes) - batch_offset(i + 1));
		/* Longer than what follows, to leave its bytes in the batch's memory. */
		char filler[6000];
		memset(filler, 0xaa, sizeof(filler));
		struct effect effect = { .kind = EFFECT_PUT,
			.value = slice_of(filler, sizeof(filler)) };
		log_batch_add(&fixture->batch, &effect, 1);
	}
}

static void takes_no_value_for_a_batch(void **state)
{
	struct fixture *fixture = *state;
	struct log_batch_header forged[40];
	open_well(fixture, 0);
	write_records(fixture, 3);
	/* All that a client may guess; the checksum would need the salt. */
	for (size_t i = 0; i < 40; i++) {
		forged[i] = (struct log_batch_header){ .magic = LOG_BATCH_MAGIC,
			.sequence = 1,
			.first_lsn = 5 + i,
			.synced_lsn = 4 + i,
			.records_bytes = 8,
			.records = 1 };
		forged[i].checksum = hash_checksum(slice_of(&forged[i].sequence, 48), 0);
	}
	assert_int_equal(write_value(fixture, slice_of(forged, sizeof(forged))), 0);
	flip(fixture, segment(fixture, 1), batch_offset(3) + 70);
	open_well(fixture, 0);
	assert_true(fixture->recovery.torn_tail);
	assert_int_equal(fixture->replayed, 3);
}

static void never_replays_what_is_left_of_a_recycled_segment(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 100);
	for (int round = 0; round < 10; round++) {
		uint64_t tree = log_next_lsn(fixture->log) - 1;
		assert_int_equal(log_recycle(fixture->log, tree), 0);
		open_well(fixture, tree);
		assert_int_equal(fixture->recovery.records, 0);
		/* A short new life over a long old one. */
		write_records(fixture, 2);
		open_well(fixture, tree);
		assert_int_equal(fixture->recovery.records, 2);
		assert_false(fixture->recovery.torn_tail);
		write_records(fixture, 60);
	}
}

static void stays_failed_after_a_failed_sync(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	write_records(fixture, 3);
	assert_int_equal(write_value(fixture, slice_text("doubtful")), 0);
	sim_disk_fail_at(fixture->disk, 1, EIO);
	assert_int_equal(log_sync(fixture->log), -EIO);
	assert_int_equal(log_sync(fixture->log), -EIO);
	assert_int_equal(write_value(fixture, slice_text("more")), -EIO);
}

static void makes_durable_what_a_failed_sync_has_left_in_the_cache(void **state)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fixture *fixture = *state;
		sim_disk_free(&fixture->disk);
		fixture->options.disk = fixture->disk = sim_disk_new(seed);
		open_well(fixture, 0);
		write_records(fixture, (int)seed % 4);
		assert_int_equal(write_value(fixture, slice_text("doubtful")), 0);
		sim_disk_fail_at(fixture->disk, 1, EIO);
		assert_int_equal(log_sync(fixture->log), -EIO);
		/* The next process still reads it, and from then on it is a fact. */
		open_well(fixture, 0);
		uint64_t last = fixture->replayed;
		assert_int_equal(last, seed % 4 + 1);
		write_records(fixture, 1);
		log_close(&fixture->log);
		sim_disk_crash(fixture->disk);
		open_well(fixture, 0);
		assert_int_equal(fixture->replayed, last + 1);
		log_close(&fixture->log);
	}
}

static void waits_for_room_on_a_full_disk(void **state)
{
	struct fixture *fixture = *state;
	sim_disk_set_capacity(fixture->disk, 3 * SEGMENT_BYTES + 5000);
	open_well(fixture, 0);
	int result = 0;
	while (result == 0) {
		result = write_value(fixture, slice_text("fills the disk"));
		if (result == -EAGAIN)
			result = log_prepare(fixture->log);
		if (result == 0)
			assert_int_equal(log_sync(fixture->log), 0);
	}
	assert_int_equal(result, -ENOSPC);
	uint64_t last = log_next_lsn(fixture->log) - 1;
	/* The spare that is left takes writes until it is full. */
	do
		result = write_value(fixture, slice_text("goes on"));
	while (result == 0);
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(log_sync(fixture->log), 0);
	assert_int_equal(log_prepare(fixture->log), -ENOSPC);
	last = log_next_lsn(fixture->log) - 1;
	/* A restart on the full disk serves reads. */
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, last);
	assert_int_equal(write_value(fixture, slice_text("no room")), -EAGAIN);
	assert_int_equal(log_prepare(fixture->log), -ENOSPC);
	/* Room again, by a checkpoint. */
	assert_int_equal(log_recycle(fixture->log, last), 0);
	assert_int_equal(write_value(fixture, slice_text("room")), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	open_well(fixture, last);
	assert_int_equal(fixture->replayed, last + 1);
}

/* With a file size that grows to more than the disk has. */
static void open_growing(struct fixture *fixture, uint64_t capacity)
{
	fixture->options.first_bytes = 2 * LOG_BLOCK_BYTES;
	fixture->options.segment_bytes = 64 * LOG_BLOCK_BYTES;
	sim_disk_set_capacity(fixture->disk, capacity);
	open_well(fixture, 0);
}

static int write_and_sync(struct fixture *fixture)
{
	char value[1000] = "some value";
	int result = write_value(fixture, slice_of(value, sizeof(value)));
	return result ? result : log_sync(fixture->log);
}

static void makes_small_segments_where_large_ones_do_not_fit(void **state)
{
	struct fixture *fixture = *state;
	uint64_t in_tree = 0;
	open_growing(fixture, 40 * LOG_BLOCK_BYTES);
	for (int i = 0; i < 1000; i++) {
		int result = write_and_sync(fixture);
		if (result == -EAGAIN) {
			in_tree = log_next_lsn(fixture->log) - 1;
			assert_int_equal(log_recycle(fixture->log, in_tree), 0);
			log_prepare(fixture->log);
			result = write_and_sync(fixture);
		}
		assert_int_equal(result, 0);
		/* Some of it is left to the tree. */
		assert_true(disk_room(fixture->disk, "wal") >= 4 * LOG_BLOCK_BYTES);
	}
	uint64_t last = log_next_lsn(fixture->log) - 1;
	open_well(fixture, in_tree);
	assert_int_equal(fixture->replayed, last);
}

static void makes_a_smaller_segment_when_a_quota_ends_its_making(void **state)
{
	struct fixture *fixture = *state;
	open_growing(fixture, UINT64_MAX);
	for (int i = 0; i < 40; i++) {
		int result = write_and_sync(fixture);
		if (result == -EAGAIN) {
			assert_int_equal(log_prepare(fixture->log), 0);
			result = write_and_sync(fixture);
		}
		assert_int_equal(result, 0);
	}
	while (write_and_sync(fixture) == 0)
		;
	sim_disk_fail_at(fixture->disk, 2, ENOSPC);
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_int_equal(write_and_sync(fixture), 0);
}

static void has_no_room_for_a_large_batch_on_a_full_disk(void **state)
{
	struct fixture *fixture = *state;
	size_t large = 30 * LOG_BLOCK_BYTES;
	open_growing(fixture, 20 * LOG_BLOCK_BYTES);
	assert_true(log_can_hold(fixture->log, LOG_BLOCK_BYTES / 2));
	assert_false(log_can_hold(fixture->log, large));
	assert_false(log_can_hold(fixture->log, SIZE_MAX));
	/* When it was let in nevertheless, nothing smaller is made in its place. */
	char *value = memory_zeroed(large);
	assert_int_equal(write_value(fixture, slice_of(value, large)), -EAGAIN);
	assert_int_equal(log_prepare(fixture->log), -ENOSPC);
	struct log_usage usage;
	log_usage(fixture->log, &usage);
	assert_int_equal(usage.spares, 0);
	/* With room for one it is written, and small ones do again. */
	sim_disk_set_capacity(fixture->disk, 100 * LOG_BLOCK_BYTES);
	assert_true(log_can_hold(fixture->log, large));
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_int_equal(write_value(fixture, slice_of(value, large)), 0);
	assert_int_equal(log_sync(fixture->log), 0);
	memory_free(value);
	assert_int_equal(log_prepare(fixture->log), 0);
	assert_int_equal(write_and_sync(fixture), 0);
	open_well(fixture, 0);
	assert_int_equal(fixture->replayed, 2);
}

static void leaves_no_file_behind_that_it_could_not_make(void **state)
{
	struct fixture *fixture = *state;
	open_well(fixture, 0);
	int result;
	while ((result = write_value(fixture, slice_text("use up the spares"))) == 0)
		;
	for (uint64_t n = 1; n <= 4; n++) {
		sim_disk_fail_at(fixture->disk, n, EIO);
		assert_int_equal(log_prepare(fixture->log), -EIO);
		struct log_usage usage;
		log_usage(fixture->log, &usage);
		assert_int_equal(usage.spares, 0);
	}
	assert_int_equal(log_prepare(fixture->log), 0);
	open_well(fixture, 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	fixture->disk = sim_disk_new(1);
	fixture->options = (struct log_options){ .disk = fixture->disk,
		.directory = "wal",
		.segment_bytes = SEGMENT_BYTES,
		.spares_wanted = 2 };
	log_batch_init(&fixture->batch);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	log_close(&fixture->log);
	log_batch_fini(&fixture->batch);
	sim_disk_free(&fixture->disk);
	memory_free(fixture);
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(passes_over_a_torn_last_batch),
		TEST(passes_over_a_torn_first_batch_of_a_segment),
		TEST(passes_over_several_writes_that_no_sync_followed),
		TEST(refuses_damage_before_the_last_batch),
		TEST(refuses_damage_of_an_older_segments_last_batch),
		TEST(refuses_when_a_segment_is_missing),
		TEST(refuses_when_the_oldest_records_are_missing),
		TEST(refuses_a_damaged_header),
		TEST(refuses_a_lost_header),
		TEST(refuses_a_shortened_segment),
		TEST(refuses_a_copy_of_a_segment),
		TEST(refuses_a_newer_format),
		TEST(changes_nothing_when_it_refuses),
		TEST(pads_what_it_writes_with_zeros),
		TEST(takes_no_value_for_a_batch),
		TEST(never_replays_what_is_left_of_a_recycled_segment),
		TEST(stays_failed_after_a_failed_sync),
		TEST(makes_durable_what_a_failed_sync_has_left_in_the_cache),
		TEST(waits_for_room_on_a_full_disk),
		TEST(makes_small_segments_where_large_ones_do_not_fit),
		TEST(makes_a_smaller_segment_when_a_quota_ends_its_making),
		TEST(has_no_room_for_a_large_batch_on_a_full_disk),
		TEST(leaves_no_file_behind_that_it_could_not_make),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
