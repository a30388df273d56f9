/*
 * gate_thread: the two threads that drive the gate's steps. The log thread sleeps until a loop
 * kicks it; the keeper sleeps until segments are to be made or given back, and looks again now and
 * then while the disk is full.
 */
#include "gate/gate_private.h"

#include <assert.h>
#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#define KEEPER_RETRY_MS     200 /* doubled each time */
#define KEEPER_RETRY_MS_MAX 2000
#define EVERYSEC_LOOK_MS    100
#define TIMER_SLACK_NS      1000

static int wait_us(pthread_cond_t *condition, pthread_mutex_t *lock, long us)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += us * 1000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(condition, lock, &until);
}

/* Under `lock`. What waits on a full disk was never confirmed and is left behind. */
static bool is_done(const struct gate *gate)
{
	return gate->stopping && (gate->first == NULL || gate->log_full);
}

/* Under `lock`, right after a step: lets the next batch grow to what the pace wants. */
static void gather(struct gate *gate)
{
	gate->log_asleep = true;
	gate->crowd.gathers = true;
	while (!gate->stopping && !pace_is_enough(&gate->crowd, gate->pending_records)) {
		if (wait_us(&gate->log_wakes, &gate->lock, PACE_GATHER_US_MAX) != 0)
			break;
	}
	gate->crowd.gathers = false;
	gate->log_asleep = false;
}

static void *log_main(void *context)
{
	struct gate *gate = context;
	assert(gate->magic == GATE_MAGIC);
	pthread_setname_np(pthread_self(), "holdfast-log");
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	for (;;) {
		pthread_mutex_lock(&gate->lock);
		while (gate->first == NULL && !gate->stopping && !gate_sync_is_due(gate)) {
			gate->log_asleep = true;
			if (gate->written_lsn == gate_durable(gate))
				pthread_cond_wait(&gate->log_wakes, &gate->lock);
			else
				wait_us(&gate->log_wakes, &gate->lock, EVERYSEC_LOOK_MS * 1000);
			gate->log_asleep = false;
			pace_slept(&gate->crowd);
		}
		if (gate->first)
			gather(gate);
		bool done = is_done(gate);
		pthread_mutex_unlock(&gate->lock);
		if (done)
			return NULL;
		if (gate_step(gate) == -EAGAIN) {
			pthread_mutex_lock(&gate->lock);
			wait_us(&gate->log_wakes, &gate->lock, 1000);
			pthread_mutex_unlock(&gate->lock);
		}
	}
}

static void *keeper_main(void *context)
{
	struct gate *gate = context;
	assert(gate->magic == GATE_MAGIC);
	pthread_setname_np(pthread_self(), "holdfast-keep");
	int result = 0;
	long retry_ms = KEEPER_RETRY_MS;
	for (;;) {
		pthread_mutex_lock(&gate->lock);
		while (!gate->keeper_wanted && !gate->stopping && result == 0) {
			gate->keeper_asleep = true;
			pthread_cond_wait(&gate->keeper_wakes, &gate->lock);
			gate->keeper_asleep = false;
		}
		if (result != 0 && !gate->stopping) {
			gate->keeper_retries = true;
			wait_us(&gate->keeper_wakes, &gate->lock, retry_ms * 1000);
			gate->keeper_retries = false;
		}
		bool stopping = is_done(gate);
		pthread_mutex_unlock(&gate->lock);
		if (stopping)
			return NULL;
		result = gate_keeper_step(gate);
		retry_ms = result == 0 ? KEEPER_RETRY_MS : 2 * retry_ms;
		if (retry_ms > KEEPER_RETRY_MS_MAX)
			retry_ms = KEEPER_RETRY_MS_MAX;
	}
}

void gate_start(struct gate *gate)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&gate->log_wakes, &attributes);
	pthread_cond_init(&gate->keeper_wakes, &attributes);
	pthread_condattr_destroy(&attributes);
	gate->keeper_wanted = true;
	gate->threads_running = true;
	int failed = pthread_create(&gate->log_thread, NULL, log_main, gate) ||
		pthread_create(&gate->keeper_thread, NULL, keeper_main, gate);
	assert(!failed);
}

void gate_stop(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->stopping = true;
	pthread_cond_broadcast(&gate->log_wakes);
	pthread_cond_broadcast(&gate->keeper_wakes);
	pthread_mutex_unlock(&gate->lock);
	pthread_join(gate->log_thread, NULL);
	pthread_mutex_lock(&gate->lock);
	pthread_cond_broadcast(&gate->keeper_wakes);
	pthread_mutex_unlock(&gate->lock);
	pthread_join(gate->keeper_thread, NULL);
	gate->threads_running = false;
	/* What `everysec` had left for the next second. */
	gate_make_durable(gate);
	pthread_cond_destroy(&gate->log_wakes);
	pthread_cond_destroy(&gate->keeper_wakes);
}

void gate_kick(struct gate *gate)
{
	if (!gate->threads_running)
		return;
	pthread_mutex_lock(&gate->lock);
	bool asleep = gate->log_asleep && gate->first != NULL &&
		pace_wakes_log(&gate->crowd, gate->pending_records);
	pthread_mutex_unlock(&gate->lock);
	if (asleep)
		pthread_cond_signal(&gate->log_wakes);
}
