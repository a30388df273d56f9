/*
 * The gate with its threads, on the kernel's disk: many threads append, sleep until their records
 * are durable, and stop. Nobody polls: a wake-up that is lost shows as a test that gives up.
 */
#include "gate_fixture.h"

#include <sched.h>
#include <semaphore.h>
#include <time.h>

#define THREADS    4
#define RECORDS    3000 /* each thread's */
#define ROUNDS     400  /* each sleeper's */
#define PATIENCE_S 20

static int set_up(void **state)
{
	*state = fixture_new(false);
	return 0;
}

struct writer_thread {
	struct fixture *f;
	uint64_t number;
	pthread_t thread;
	uint64_t lsns[RECORDS];
	/* of the sleepers */
	struct gate_waits waits;
	sem_t woken;
	bool alone; /* steps itself in place of kicking */
	int lost;   /* wake-ups */
	int early;
};

static void start(struct writer_thread *threads, struct fixture *f, void *(*main)(void *))
{
	for (uint64_t i = 0; i < THREADS; i++) {
		threads[i].f = f;
		threads[i].number = i;
		assert_int_equal(pthread_create(&threads[i].thread, NULL, main, &threads[i]), 0);
	}
}

static void join(struct writer_thread *threads)
{
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
}

static void *append_many(void *context)
{
	struct writer_thread *self = context;
	for (uint64_t i = 0; i < RECORDS; i++) {
		self->lsns[i] = append(self->f, self->number * RECORDS + i);
		if (i % 16 == 15)
			gate_kick(self->f->gate);
	}
	gate_kick(self->f->gate);
	return NULL;
}

/* Every record stands in the log under the LSN that its thread was told. */
static void assert_all_replayed(struct fixture *f, const struct writer_thread *threads)
{
	close_gate(f);
	open_gate(f);
	assert_int_equal(f->replayed_count, THREADS * RECORDS);
	for (uint64_t t = 0; t < THREADS; t++) {
		for (uint64_t i = 0; i < RECORDS; i++) {
			uint64_t lsn = threads[t].lsns[i];
			assert_in_range(lsn, 1, THREADS * RECORDS);
			assert_int_equal(f->replayed[lsn - 1], t * RECORDS + i);
			if (i)
				assert_true(lsn > threads[t].lsns[i - 1]);
		}
	}
}

static void append_from_many(struct fixture *f)
{
	struct writer_thread *threads = memory_zeroed(THREADS * sizeof(*threads));
	gate_start(f->gate);
	start(threads, f, append_many);
	join(threads);
	gate_stop(f->gate);
	assert_int_equal(gate_appended(f->gate), THREADS * RECORDS);
	assert_int_equal(gate_durable(f->gate), THREADS * RECORDS);
	struct gate_stats stats;
	gate_stats(f->gate, &stats);
	assert_int_equal(stats.records, THREADS * RECORDS);
	assert_int_equal(stats.pending_bytes, 0);
	assert_all_replayed(f, threads);
	memory_free(threads);
}

static void lsns_are_dense_and_in_order_under_many_threads(void **state)
{
	append_from_many(*state);
}

static void stopping_makes_everything_durable_under_everysec_too(void **state)
{
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	append_from_many(f);
}

static void what_waits_when_the_threads_start_is_written(void **state)
{
	struct fixture *f = *state;
	for (uint64_t i = 1; i <= 100; i++)
		append(f, i);
	gate_start(f->gate);
	gate_stop(f->gate);
	assert_int_equal(gate_durable(f->gate), 100);
}

static void post(void *context)
{
	struct writer_thread *self = context;
	sem_post(&self->woken);
}

/* As a loop does at the end of its tick: says what it waits for, looks once more, sleeps. */
static void sleep_until_durable(struct writer_thread *self, uint64_t lsn)
{
	struct gate *gate = self->f->gate;
	if (!gate_waits_sleep(&self->waits, lsn))
		return;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	while (gate_durable(gate) < lsn) {
		if (sem_timedwait(&self->woken, &until) != 0) {
			self->lost++;
			return;
		}
		/* Posts of rounds before may still be there; the wish being taken back is news. */
		if (atomic_load(&self->waits.wanted_lsn) == 0 && gate_durable(gate) < lsn)
			self->early++;
	}
}

static void *sleep_many(void *context)
{
	struct writer_thread *self = context;
	for (uint64_t i = 0; i < ROUNDS && !self->lost; i++) {
		uint64_t lsn = append(self->f, i);
		if (self->alone)
			gate_step_here(self->f->gate);
		else
			gate_kick(self->f->gate);
		sleep_until_durable(self, lsn);
		self->lsns[i] = lsn;
	}
	return NULL;
}

static void run_sleepers(struct fixture *f, bool alone)
{
	struct writer_thread *threads = memory_zeroed(THREADS * sizeof(*threads));
	for (size_t i = 0; i < THREADS; i++) {
		sem_init(&threads[i].woken, 0, 0);
		threads[i].alone = alone;
		gate_waits_init(&threads[i].waits, f->gate, GATE_UNTIL_RELEASED);
		gate_waits_set_wake(&threads[i].waits, post, &threads[i]);
	}
	gate_start(f->gate);
	start(threads, f, sleep_many);
	join(threads);
	gate_stop(f->gate);
	uint64_t durable = gate_durable(f->gate);
	int lost = 0, early = 0;
	for (size_t i = 0; i < THREADS; i++) {
		lost += threads[i].lost;
		early += threads[i].early;
		sem_destroy(&threads[i].woken);
	}
	gate_free(&f->gate); /* before the waits that it has borrowed */
	memory_free(threads);
	assert_int_equal(lost, 0);
	assert_int_equal(early, 0);
	assert_int_equal(durable, THREADS * ROUNDS);
}

static void a_sleeper_is_woken_when_its_record_is_durable(void **state)
{
	run_sleepers(*state, false);
}

/* Until the log's thread has nothing to do and sleeps. */
static void wait_for_sleep(struct gate *gate)
{
	for (bool asleep = false; !asleep; sched_yield()) {
		pthread_mutex_lock(&gate->lock);
		asleep = gate->log_asleep && gate->first == NULL;
		pthread_mutex_unlock(&gate->lock);
	}
}

/* A crowd teaches the log's thread to gather; when it has gone, one record alone must not wait for
 * more to come. */
static void a_lone_record_after_a_crowd_is_made_durable(void **state)
{
	struct fixture *f = *state;
	struct writer_thread *self = memory_zeroed(sizeof(*self));
	sem_init(&self->woken, 0, 0);
	self->f = f;
	gate_waits_init(&self->waits, f->gate, GATE_UNTIL_RELEASED);
	gate_waits_set_wake(&self->waits, post, self);
	gate_start(f->gate);
	for (uint64_t i = 0; i < 20; i++)
		append(f, i);
	for (int i = 0; i < 3 && !self->lost; i++) {
		if (i > 0)
			wait_for_sleep(f->gate);
		uint64_t lsn = append(f, 0);
		gate_kick(f->gate);
		sleep_until_durable(self, lsn);
	}
	int lost = self->lost;
	gate_stop(f->gate);
	gate_free(&f->gate);
	sem_destroy(&self->woken);
	memory_free(self);
	assert_int_equal(lost, 0);
}

static void loops_that_step_themselves_and_the_log_thread_do_not_lose_each_other(void **state)
{
	run_sleepers(*state, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(lsns_are_dense_and_in_order_under_many_threads),
		TEST(stopping_makes_everything_durable_under_everysec_too),
		TEST(what_waits_when_the_threads_start_is_written),
		TEST(a_sleeper_is_woken_when_its_record_is_durable),
		TEST(a_lone_record_after_a_crowd_is_made_durable),
		TEST(loops_that_step_themselves_and_the_log_thread_do_not_lose_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
