/*
 * The log against a model: a list of records, and how far they were synced. A seeded life of random
 * writes, syncs, checkpoints, failures, process deaths and machine crashes at any disk operation;
 * after each, the log must hold every synced record and may hold written ones behind them, in
 * order, without a gap, and nothing else.
 *
 * LOG_CRASH_SEEDS in the environment runs that many seeds; LOG_CRASH_FIRST starts elsewhere.
 */
#include "base/memory.h"
#include "base/random.h"
#include "log/log.h"
#include "log/segment.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIRECTORY       "wal"
#define SEEDS           3000
#define LIVES           8
#define STEPS_MAX       60
#define RECORDS_MAX     20000
#define VALUE_BYTES_MAX 9000

/* What a record holds follows from these. */
struct model_record {
	uint64_t nonce;
	uint32_t size;
};

struct model {
	uint64_t seed;
	struct random random;
	struct disk *disk;
	struct log *log;
	struct log_options options;
	struct log_batch batch;
	struct model_record *records; /* by LSN */
	uint64_t written;             /* LSNs that a write may have put on disk */
	uint64_t synced;              /* LSNs that are promised */
	uint64_t tree;                /* LSNs that a checkpoint holds */
	uint64_t replayed;            /* in the opening that is under way */
	uint64_t nonce;
	char *value;
};

static struct {
	uint64_t openings, crashes, torn, faults, recycled, unsynced_kept, unsynced_lost;
} seen;

static void fail_seed(const struct model *model, const char *what, uint64_t lsn)
{
	fail_msg("seed %" PRIu64 ": %s (LSN %" PRIu64 ", synced %" PRIu64 ", written %" PRIu64
		 ", tree %" PRIu64 ")",
		model->seed, what, lsn, model->synced, model->written, model->tree);
}

static uint64_t below(struct model *model, uint64_t bound)
{
	return random_below(&model->random, bound);
}

static struct effect effect_of(struct model *model, const struct model_record *record)
{
	struct random random;
	random_seed(&random, record->nonce);
	for (uint32_t i = 0; i < record->size; i += 8) {
		uint64_t word = random_next(&random);
		/* Now and then a value that starts as a batch does. */
		if (i == 0 && record->nonce % 8 == 0)
			word = LOG_BATCH_MAGIC;
		memcpy(model->value + i, &word, sizeof(word));
	}
	return (struct effect){
		.kind = EFFECT_PUT,
		.type = 1,
		.shard = (uint16_t)record->nonce,
		.key = { model->value, record->size < 40 ? record->size : 40 },
		.value = { model->value, record->size },
	};
}

static int replay(void *context, uint64_t lsn, struct record_reader *reader)
{
	struct model *model = context;
	if (lsn != model->replayed + 1)
		fail_seed(model, "replayed out of order", lsn);
	if (lsn > model->written)
		fail_seed(model, "replayed a record never written", lsn);
	model->replayed = lsn;
	struct effect expected = effect_of(model, &model->records[lsn]);
	struct effect effect;
	if (record_next_effect(reader, &effect) != 1 || !slice_equal(effect.key, expected.key) ||
		!slice_equal(effect.value, expected.value) || effect.shard != expected.shard ||
		record_next_effect(reader, &effect) != 0)
		fail_seed(model, "replayed a record with other contents", lsn);
	return 0;
}

/* The end of a process, which the machine may survive. */
static void die(struct model *model)
{
	log_close(&model->log);
	if (below(model, 3)) {
		sim_disk_crash(model->disk);
		seen.crashes++;
	} else {
		sim_disk_restart(model->disk);
	}
}

/* Opens the log, through crashes and failures on the way. */
static void open_log(struct model *model)
{
	for (int tries = 0;; tries++) {
		char error[256] = "";
		struct log_recovery recovery;
		model->replayed = model->tree;
		if (tries < 3 && below(model, 3) == 0)
			sim_disk_crash_at(model->disk, 1 + below(model, 40));
		else if (tries < 3 && below(model, 3) == 0)
			sim_disk_fail_at(model->disk, 1 + below(model, 40), EIO);
		seen.openings++;
		int result = log_open(&model->log, &model->options, model->tree, replay, model,
			&recovery, error, sizeof(error));
		if (result == 0 && !sim_disk_crashed(model->disk)) {
			uint64_t last = log_next_lsn(model->log) - 1;
			if (last != model->replayed)
				fail_seed(model, "next LSN is not behind the last replayed", last);
			if (last < model->synced)
				fail_seed(model, "a synced record is lost", last);
			seen.unsynced_kept += last - model->synced;
			seen.unsynced_lost += model->written - last;
			seen.torn += recovery.torn_tail;
			model->synced = model->written = last;
			return;
		}
		if (result != 0 && result != -EIO) {
			fprintf(stderr, "%s\n", error);
			fail_seed(model, "refused", (uint64_t)-result);
		}
		die(model);
	}
}

static int write_some(struct model *model)
{
	struct log_batch *batch = &model->batch;
	log_batch_clear(batch, below(model, 40000));
	batch->first_lsn = log_next_lsn(model->log);
	size_t bytes_max = log_batch_bytes_max(model->log);
	uint64_t wanted = 1 + (below(model, 3) ? 0 : below(model, 12));
	uint32_t size_max = below(model, 4) ? 200 : VALUE_BYTES_MAX;
	uint64_t lsn = batch->first_lsn;
	for (uint64_t i = 0; i < wanted; i++, lsn++) {
		struct model_record record = { ++model->nonce,
			(uint32_t)below(model, size_max) & ~7u };
		struct effect effect = effect_of(model, &record);
		while (batch->size + record_size(&effect, 1) > bytes_max && batch->count == 0) {
			record.size = record.size / 16 * 8;
			effect = effect_of(model, &record);
		}
		if (batch->size + record_size(&effect, 1) > bytes_max || lsn >= RECORDS_MAX)
			break;
		model->records[lsn] = record;
		log_batch_add(batch, &effect, 1);
	}
	assert_true(batch->count > 0);
	int result = log_write(model->log, batch);
	if (result != -EAGAIN && model->written < batch->first_lsn + batch->count - 1)
		model->written = batch->first_lsn + batch->count - 1;
	return result;
}

static int sync_all(struct model *model)
{
	int result = log_sync(model->log);
	if (result == 0)
		model->synced = model->written;
	return result;
}

static int step(struct model *model)
{
	int result = 0;
	switch (below(model, 8)) {
	case 0:
		return log_prepare(model->log);
	case 1:
		model->tree += below(model, model->synced - model->tree + 1);
		seen.recycled++;
		return log_recycle(model->log, model->tree);
	case 2:
		result = write_some(model);
		return result == -EAGAIN ? log_prepare(model->log) : result;
	default:
		result = write_some(model);
		if (result == -EAGAIN)
			return log_prepare(model->log);
		return result ? result : sync_all(model);
	}
}

static void run_seed(uint64_t seed)
{
	static const uint64_t sizes[] = { 8192, 12288, 16384, 32768, 65536 };
	struct model model = {
		.seed = seed,
		.disk = sim_disk_new(seed),
		.records = memory_zeroed((RECORDS_MAX + 1) * sizeof(struct model_record)),
		.value = memory_zeroed(VALUE_BYTES_MAX + 8),
	};
	random_seed(&model.random, seed ^ 0x5eed);
	model.options = (struct log_options){
		.disk = model.disk,
		.directory = DIRECTORY,
		.segment_bytes = sizes[below(&model, 5)],
		.first_bytes = below(&model, 2) ? sizes[0] : 0,
		.spares_wanted = 2 + (int)below(&model, 3),
	};
	log_batch_init(&model.batch);
	for (int life = 0; life < LIVES; life++) {
		open_log(&model);
		if (below(&model, 2))
			sim_disk_crash_at(model.disk, 1 + below(&model, 150));
		else if (below(&model, 2))
			sim_disk_fail_at(model.disk, 1 + below(&model, 80), EIO);
		int result = 0;
		for (uint64_t steps = below(&model, STEPS_MAX); steps > 0 && result == 0; steps--)
			result = step(&model);
		if (result && result != -EIO)
			fail_seed(&model, "unexpected error", (uint64_t)-result);
		seen.faults += result != 0;
		/* Once in a while the operator changes the size of segments. */
		if (below(&model, 6) == 0)
			model.options.segment_bytes = sizes[below(&model, 5)];
		die(&model);
	}
	open_log(&model);
	log_close(&model.log);
	log_batch_fini(&model.batch);
	sim_disk_free(&model.disk);
	memory_free(model.records);
	memory_free(model.value);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void keeps_every_synced_record_through_any_crash(void **state)
{
	(void)state;
	uint64_t first = setting("LOG_CRASH_FIRST", 1);
	uint64_t seeds = setting("LOG_CRASH_SEEDS", SEEDS);
	for (uint64_t seed = first; seed < first + seeds; seed++)
		run_seed(seed);
	print_message("openings %" PRIu64 ", crashes %" PRIu64 ", torn tails %" PRIu64
		      ", faults %" PRIu64 ", recycled %" PRIu64 ", unsynced records kept %" PRIu64
		      ", lost %" PRIu64 "\n",
		seen.openings, seen.crashes, seen.torn, seen.faults, seen.recycled,
		seen.unsynced_kept, seen.unsynced_lost);
	/* The runs have met what they are there for. */
	if (seeds >= 1000) {
		assert_true(seen.torn > seeds / 50);
		assert_true(seen.unsynced_kept > 0);
		assert_true(seen.unsynced_lost > 0);
		assert_true(seen.faults > seeds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_every_synced_record_through_any_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
