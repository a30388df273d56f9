/*
 * The gate step by step, on one thread: what is durable when, what is released, what happens when
 * the disk is full. "Durable" is taken at its word: the machine loses power and what was
 * called durable must be replayed.
 */
#include "gate_fixture.h"

#define BUSY_BYTES ((size_t)33 << 20)

static int set_up(void **state)
{
	*state = fixture_new(true);
	return 0;
}

/* --- what is durable when --------------------------------------------------------------------- */

static void numbers_records_from_one_without_a_gap(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(gate_appended(f->gate), 0);
	for (uint64_t i = 1; i <= 100; i++) {
		assert_int_equal(append(f, i), i);
		assert_int_equal(gate_appended(f->gate), i);
		if (i % 7 == 0)
			gate_step(f->gate);
	}
}

static void goes_on_numbering_after_a_restart(void **state)
{
	struct fixture *f = *state;
	append(f, 1);
	append(f, 2);
	gate_step(f->gate);
	close_gate(f);
	open_gate(f);
	assert_int_equal(gate_appended(f->gate), 2);
	assert_int_equal(gate_durable(f->gate), 2);
	assert_int_equal(append(f, 3), 3);
}

static void nothing_is_durable_before_a_step(void **state)
{
	struct fixture *f = *state;
	append(f, 1);
	assert_int_equal(gate_durable(f->gate), 0);
	assert_int_equal(gate_released(f->gate), 0);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), 1);
	assert_int_equal(gate_released(f->gate), 1);
}

static void one_sync_covers_all_that_collected(void **state)
{
	struct fixture *f = *state;
	for (uint64_t i = 1; i <= 50; i++)
		append(f, i);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), 50);
	assert_int_equal(syncs(f), 1);
	assert_int_equal(gate_step(f->gate), 0);
	assert_int_equal(syncs(f), 1);
}

static void a_step_with_nothing_to_do_leaves_the_disk_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t before = sim_disk_operations(f->disk);
	assert_int_equal(gate_step(f->gate), 0);
	gate_step_here(f->gate);
	assert_int_equal(sim_disk_operations(f->disk), before);
}

static void a_step_here_does_what_a_step_does(void **state)
{
	struct fixture *f = *state;
	append(f, 1);
	gate_step_here(f->gate);
	assert_int_equal(gate_durable(f->gate), 1);
	assert_int_equal(syncs(f), 1);
}

static void what_it_called_durable_survives_a_loss_of_power(void **state)
{
	struct fixture *f = *state;
	for (uint64_t round = 0; round < 40; round++) {
		uint64_t next = gate_appended(f->gate) + 1;
		for (uint64_t i = 0; i < round % 5 + 1; i++)
			append_sized(f, next + i, 100 * round + 8);
		gate_keeper_step(f->gate);
		if (round % 3)
			while (gate_step(f->gate) > 0)
				;
		if (round % 4 == 0)
			assert_survives(f, gate_durable(f->gate));
	}
}

static void a_record_of_the_largest_size_fits(void **state)
{
	struct fixture *f = *state;
	size_t overhead = LOG_RECORD_HEADER_BYTES + LOG_EFFECT_HEADER_BYTES + strlen("key");
	size_t size = (gate_record_bytes_max(f->gate) - overhead) & ~(size_t)7;
	append_sized(f, 1, size);
	append_sized(f, 2, size);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), 1);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), 2);
	assert_survives(f, 2);
}

static void its_figures_add_up(void **state)
{
	struct fixture *f = *state;
	struct gate_stats stats;
	for (uint64_t i = 1; i <= 3; i++)
		append(f, i);
	gate_stats(f->gate, &stats);
	assert_int_equal(stats.appended_lsn, 3);
	assert_int_equal(stats.durable_lsn, 0);
	size_t pending = stats.pending_bytes;
	assert_true(pending > 0);
	gate_step(f->gate);
	gate_stats(f->gate, &stats);
	assert_int_equal(stats.durable_lsn, 3);
	assert_int_equal(stats.batches, 1);
	assert_int_equal(stats.records, 3);
	assert_int_equal(stats.bytes, pending);
	assert_int_equal(stats.pending_bytes, 0);
	assert_false(stats.full);
}

/* --- segments --------------------------------------------------------------------------------- */

static int step_until_it_stops(struct fixture *f)
{
	int result;
	do
		result = gate_step(f->gate);
	while (result == 1);
	return result;
}

static void without_a_segment_it_waits_and_goes_on_after_the_keeper(void **state)
{
	struct fixture *f = *state;
	uint64_t number = 0;
	while (number < 10)
		append_sized(f, ++number, RECORD_BYTES);
	assert_int_equal(step_until_it_stops(f), -EAGAIN);
	uint64_t durable = gate_durable(f->gate);
	assert_int_equal(durable, GATE_LOG_SPARES);
	assert_int_equal(gate_step(f->gate), -EAGAIN);
	assert_int_equal(gate_durable(f->gate), durable);
	append(f, ++number); /* collects on meanwhile */
	while (gate_durable(f->gate) < number) {
		assert_int_equal(gate_keeper_step(f->gate), 0);
		int result = step_until_it_stops(f);
		assert_true(result == 0 || result == -EAGAIN);
		assert_true(gate_durable(f->gate) > durable);
		durable = gate_durable(f->gate);
	}
	assert_survives(f, number);
}

static void recycled_segments_are_used_again(void **state)
{
	struct fixture *f = *state;
	struct gate_stats stats;
	uint64_t number = 0;
	for (int i = 0; i < 3; i++)
		append_sized(f, ++number, RECORD_BYTES);
	step_until_it_stops(f);
	gate_stats(f->gate, &stats);
	assert_int_equal(stats.log.segments, 3);
	assert_int_equal(stats.log.spares, 0);
	gate_recycle(f->gate, 2);
	sim_disk_set_capacity(f->disk, 3 * SEGMENT_BYTES); /* no new one can be made */
	gate_keeper_step(f->gate);
	gate_stats(f->gate, &stats);
	assert_int_equal(stats.log.segments, 1);
	assert_int_equal(stats.log.spares, 2);
	append_sized(f, ++number, RECORD_BYTES);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), number);
}

/* --- a disk that is full ---------------------------------------------------------------------- */

static void a_full_disk_refuses_and_recovers(void **state)
{
	struct fixture *f = *state;
	uint64_t number = 0;
	sim_disk_set_capacity(f->disk, 3 * SEGMENT_BYTES);
	assert_int_equal(gate_admission(f->gate), GATE_OPEN);
	append_sized(f, ++number, RECORD_BYTES);
	gate_step(f->gate);
	assert_int_equal(gate_keeper_step(f->gate), -ENOSPC);
	assert_int_equal(gate_admission(f->gate), GATE_OPEN); /* two are left */
	append_sized(f, ++number, RECORD_BYTES);
	gate_step(f->gate);
	assert_int_equal(gate_keeper_step(f->gate), -ENOSPC);
	assert_int_equal(gate_admission(f->gate), GATE_FULL);
	/* What had been let in still finds its segment. */
	append_sized(f, ++number, RECORD_BYTES);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), number);
	assert_int_equal(gate_admission(f->gate), GATE_FULL);

	sim_disk_set_capacity(f->disk, 100 * SEGMENT_BYTES);
	assert_int_equal(gate_keeper_step(f->gate), 0);
	assert_int_equal(gate_admission(f->gate), GATE_OPEN);
	append_sized(f, ++number, RECORD_BYTES);
	assert_int_equal(gate_step(f->gate), 1);
	assert_survives(f, number);
}

static void recycling_makes_room_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	sim_disk_set_capacity(f->disk, 3 * SEGMENT_BYTES);
	for (uint64_t i = 1; i <= 3; i++)
		append_sized(f, i, RECORD_BYTES);
	step_until_it_stops(f);
	gate_keeper_step(f->gate);
	assert_int_equal(gate_admission(f->gate), GATE_FULL);
	gate_recycle(f->gate, 2);
	gate_keeper_step(f->gate);
	assert_int_equal(gate_admission(f->gate), GATE_OPEN);
}

static void a_nearly_full_disk_takes_writes_after_each_checkpoint(void **state)
{
	struct fixture *f = *state;
	f->first_bytes = SEGMENT_BYTES / 8;
	close_gate(f);
	sim_disk_free(&f->disk);
	f->disk = sim_disk_new(1);
	sim_disk_set_capacity(f->disk, SEGMENT_BYTES * 5 / 4);
	open_gate(f);
	for (uint64_t number = 1; number <= 300; number++) {
		if (gate_admission(f->gate) == GATE_FULL) {
			gate_recycle(f->gate, gate_durable(f->gate));
			gate_keeper_step(f->gate);
		}
		assert_int_equal(gate_admission(f->gate), GATE_OPEN);
		append_sized(f, number, RECORD_BYTES / 30);
		assert_int_equal(gate_step(f->gate), 1);
		gate_keeper_step(f->gate);
	}
	assert_false(gate_can_hold(f->gate, RECORD_BYTES));
	sim_disk_set_capacity(f->disk, 100 * SEGMENT_BYTES);
	assert_true(gate_can_hold(f->gate, RECORD_BYTES));
}

static void a_full_store_refuses_whatever_the_log_has(void **state)
{
	struct fixture *f = *state;
	struct gate_stats stats;
	gate_set_store_full(f->gate, true);
	assert_int_equal(gate_admission(f->gate), GATE_FULL);
	gate_stats(f->gate, &stats);
	assert_true(stats.full);
	assert_int_equal(gate_keeper_step(f->gate), 0); /* does not open what it did not close */
	assert_int_equal(gate_admission(f->gate), GATE_FULL);
	gate_set_store_full(f->gate, false);
	assert_int_equal(gate_admission(f->gate), GATE_OPEN);
}

static void holds_writes_back_while_the_log_is_behind(void **state)
{
	struct fixture *f = *state;
	uint64_t number = 0;
	for (size_t bytes = 0; bytes < BUSY_BYTES; bytes += RECORD_BYTES) {
		if (bytes < gate_record_bytes_max(f->gate) / 4)
			assert_int_equal(gate_admission(f->gate), GATE_OPEN);
		append_sized(f, ++number, RECORD_BYTES);
	}
	assert_int_equal(gate_admission(f->gate), GATE_BUSY);
	while (gate_admission(f->gate) == GATE_BUSY) {
		uint64_t before = gate_durable(f->gate);
		gate_keeper_step(f->gate);
		gate_step(f->gate);
		assert_true(gate_durable(f->gate) > before);
	}
	assert_int_equal(gate_admission(f->gate), GATE_OPEN);
}

/* --- everysec --------------------------------------------------------------------------------- */

static void everysec_releases_at_once(void **state)
{
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	uint64_t lsn = append(f, 1);
	assert_true(gate_released(f->gate) >= lsn);
	assert_int_equal(gate_durable(f->gate), 0);
}

static void everysec_syncs_within_a_second_and_not_more_often(void **state)
{
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	append(f, 1);
	gate_step(f->gate);
	uint64_t number = 1, first = syncs(f);
	for (int ms = 0; ms < 5000; ms += 100) {
		append(f, ++number);
		gate_step(f->gate);
		gate_step(f->gate);
		f->now_ms += 100;
	}
	uint64_t made = syncs(f) - first;
	assert_in_range(made, 4, 6);
	gate_step(f->gate);
	f->now_ms += 50;
	uint64_t last = append(f, ++number);
	gate_step(f->gate);
	assert_true(gate_durable(f->gate) < last);
	f->now_ms += 1000;
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_durable(f->gate), last);
	assert_survives(f, last);
}

static void everysec_calls_nothing_durable_that_is_only_written(void **state)
{
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	append(f, 1);
	gate_step(f->gate);
	uint64_t durable = gate_durable(f->gate), before = syncs(f);
	append(f, 2);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(syncs(f), before);
	assert_int_equal(gate_durable(f->gate), durable);
}

static void always_after_everysec_syncs_what_was_left(void **state)
{
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	append(f, 1);
	gate_step(f->gate);
	append(f, 2);
	gate_step(f->gate);
	assert_true(gate_durable(f->gate) < 2);
	f->config.durability = DURABILITY_ALWAYS;
	assert_true(gate_released(f->gate) < 2);
	assert_int_equal(gate_step(f->gate), 1);
	assert_int_equal(gate_released(f->gate), 2);
}

/* Past the page cache each write waits for the disk, which only pays where a sync follows. */
static void writes_pass_the_page_cache_when_each_is_synced(void **state)
{
	struct fixture *f = *state;
	append(f, 1);
	gate_step(f->gate);
	uint64_t direct = sim_disk_direct_writes(f->disk);
	assert_true(direct > 0);
	f->config.durability = DURABILITY_EVERYSEC;
	append(f, 2);
	gate_step(f->gate);
	append(f, 3);
	gate_step(f->gate);
	assert_int_equal(sim_disk_direct_writes(f->disk), direct);
	f->config.durability = DURABILITY_ALWAYS;
	append(f, 4);
	gate_step(f->gate);
	assert_int_equal(sim_disk_direct_writes(f->disk), direct + 1);
	close_gate(f);
	open_gate(f);
	assert_int_equal(gate_durable(f->gate), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(numbers_records_from_one_without_a_gap),
		TEST(goes_on_numbering_after_a_restart),
		TEST(nothing_is_durable_before_a_step),
		TEST(one_sync_covers_all_that_collected),
		TEST(a_step_with_nothing_to_do_leaves_the_disk_alone),
		TEST(a_step_here_does_what_a_step_does),
		TEST(what_it_called_durable_survives_a_loss_of_power),
		TEST(a_record_of_the_largest_size_fits),
		TEST(its_figures_add_up),
		TEST(without_a_segment_it_waits_and_goes_on_after_the_keeper),
		TEST(recycled_segments_are_used_again),
		TEST(a_full_disk_refuses_and_recovers),
		TEST(recycling_makes_room_on_a_full_disk),
		TEST(a_nearly_full_disk_takes_writes_after_each_checkpoint),
		TEST(a_full_store_refuses_whatever_the_log_has),
		TEST(holds_writes_back_while_the_log_is_behind),
		TEST(everysec_releases_at_once),
		TEST(everysec_syncs_within_a_second_and_not_more_often),
		TEST(everysec_calls_nothing_durable_that_is_only_written),
		TEST(always_after_everysec_syncs_what_was_left),
		TEST(writes_pass_the_page_cache_when_each_is_synced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
