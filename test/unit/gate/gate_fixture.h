/*
 * gate_fixture: a gate over a log, for the tests of this folder: on the simulated disk, with a
 * clock that the test moves, or on the kernel's for tests with threads.
 */
#ifndef GATE_FIXTURE_H
#define GATE_FIXTURE_H

#include "base/fault.h"
#include "base/logline.h"
#include "base/memory.h"
#include "gate/gate_private.h"
#include "holdfast/log_format.h"
#include "store/value.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT_BYTES (16 * LOG_BLOCK_BYTES)
#define RECORD_BYTES  60000 /* one a segment */

struct fixture {
	struct clock clock; /* stands first */
	_Atomic int64_t now_ms;
	struct config config;
	struct disk *disk;
	bool simulated;
	char directory[64];
	uint64_t first_bytes; /* of the log's first segments; 0: as of all */
	struct log *log;
	struct gate *gate;
	struct log_recovery recovery;
	/* of each record replayed by the last opening: the number in its value */
	uint64_t *replayed;
	uint64_t replayed_count;
};

static int64_t fixture_wall_ms(struct clock *clock)
{
	return ((struct fixture *)clock)->now_ms;
}

static uint64_t fixture_monotonic_ns(struct clock *clock)
{
	return (uint64_t)fixture_wall_ms(clock) * 1000000;
}

static int fixture_replay(void *context, uint64_t lsn, struct record_reader *record)
{
	struct fixture *f = context;
	struct effect effect;
	assert_int_equal(lsn, f->replayed_count + 1);
	assert_int_equal(record_next_effect(record, &effect), 1);
	f->replayed = memory_resize(f->replayed, (f->replayed_count + 1) * sizeof(uint64_t));
	assert_true(effect.value.size >= sizeof(uint64_t));
	memcpy(&f->replayed[f->replayed_count++], effect.value.data, sizeof(uint64_t));
	return 0;
}

static inline void open_gate(struct fixture *f)
{
	char error[256] = "";
	struct log_options options = {
		.disk = f->disk,
		.directory = f->directory,
		.segment_bytes = SEGMENT_BYTES,
		.first_bytes = f->first_bytes,
		.spares_wanted = GATE_LOG_SPARES,
	};
	f->replayed_count = 0;
	assert_int_equal(log_open(&f->log, &options, 0, fixture_replay, f, &f->recovery, error,
				 sizeof(error)),
		0);
	f->gate = gate_new(f->log, &f->config, &f->clock);
}

static inline void close_gate(struct fixture *f)
{
	gate_free(&f->gate);
	if (f->log)
		log_close(&f->log);
}

static inline struct fixture *fixture_new(bool simulated)
{
	struct fixture *f = memory_zeroed(sizeof(*f));
	logline_set_level(LOGLINE_WARNING + 1);
	f->clock = (struct clock){ fixture_wall_ms, fixture_monotonic_ns };
	f->now_ms = 1000000;
	config_init(&f->config);
	f->simulated = simulated;
	f->disk = simulated ? sim_disk_new(1) : disk_system();
	snprintf(f->directory, sizeof(f->directory), "%s/holdfast-gate-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!simulated)
		assert_non_null(mkdtemp(f->directory));
	open_gate(f);
	return f;
}

static void fixture_remove(void *context, const char *name)
{
	struct fixture *f = context;
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	unlink(path);
}

static inline int fixture_free(void **state)
{
	struct fixture *f = *state;
	fault_set_hook(NULL);
	close_gate(f);
	if (f->simulated) {
		sim_disk_free(&f->disk);
	} else {
		disk_list(f->disk, f->directory, fixture_remove, f);
		rmdir(f->directory);
	}
	config_fini(&f->config);
	memory_free(f->replayed);
	memory_free(f);
	return 0;
}

/* One record whose value begins with `number` and has `size` bytes. */
static inline uint64_t append_sized(struct fixture *f, uint64_t number, size_t size)
{
	char *data = memory_zeroed(size);
	memcpy(data, &number, sizeof(number));
	struct effect effect = { .kind = EFFECT_PUT,
		.type = VALUE_STRING,
		.key = slice_text("key"),
		.value = slice_of(data, size) };
	uint64_t lsn = gate_append(f->gate, &effect, 1);
	memory_free(data);
	return lsn;
}

static inline uint64_t append(struct fixture *f, uint64_t number)
{
	return append_sized(f, number, sizeof(number));
}

static inline uint64_t syncs(const struct fixture *f)
{
	struct gate_stats stats;
	gate_stats(f->gate, &stats);
	return stats.syncs;
}

static inline void lose_power(struct fixture *f)
{
	close_gate(f);
	sim_disk_crash(f->disk);
	sim_disk_set_capacity(f->disk, UINT64_MAX);
	open_gate(f);
}

/* After a loss of power everything up to `lsn` must be there, with the numbers it was given. */
static inline void assert_survives(struct fixture *f, uint64_t lsn)
{
	lose_power(f);
	assert_true(f->replayed_count >= lsn);
	for (uint64_t i = 0; i < f->replayed_count; i++)
		assert_int_equal(f->replayed[i], i + 1);
}

#endif
