/*
 * The mailbox: on one thread for its promises one by one, and under many givers for what only shows
 * there. Requests carry their giver in `home` and their number in `started_ns`.
 */
#include "request/mailbox.h"

#include "base/memory.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define GIVERS     4
#define EACH       20000
#define PATIENCE_S 60

static void count_wake(void *context)
{
	++*(int *)context;
}

static struct request *new_request(uint16_t home, uint64_t number)
{
	struct request *request = memory_zeroed(sizeof(*request));
	request_move(request, REQUEST_NET);
	request_move(request, REQUEST_SHARD);
	request_move(request, REQUEST_TRAVEL);
	request->home = home;
	request->asked.started_ns = number;
	return request;
}

static void put(struct mailbox *mailbox, uint64_t number)
{
	struct request *request = new_request(0, number);
	mailbox_put(mailbox, &request);
	assert_null(request);
}

/* Takes everything, expecting numbers from `first` on; returns how many. */
static uint64_t take(struct mailbox *mailbox, uint64_t first)
{
	uint64_t count = 0;
	struct request *list = mailbox_take_all(mailbox);
	while (list) {
		struct request *request = list;
		list = request->next;
		assert_int_equal(request->asked.started_ns, first + count);
		count++;
		memory_free(request);
	}
	return count;
}

static void wakes_only_on_the_first_put_into_an_empty_mailbox(void **state)
{
	struct mailbox mailbox;
	int wakes = 0;
	mailbox_init(&mailbox, count_wake, &wakes);
	for (uint64_t i = 0; i < 5; i++) {
		put(&mailbox, i);
		assert_int_equal(wakes, 1);
	}
	assert_int_equal(take(&mailbox, 0), 5);
	put(&mailbox, 5);
	assert_int_equal(wakes, 2);
	put(&mailbox, 6);
	assert_int_equal(wakes, 2);
	assert_int_equal(take(&mailbox, 5), 2);
}

static void hands_everything_out_in_the_order_it_came(void **state)
{
	struct mailbox mailbox;
	int wakes = 0;
	uint64_t next = 0;
	mailbox_init(&mailbox, count_wake, &wakes);
	for (uint64_t size = 1; size < 50; size++) {
		for (uint64_t i = 0; i < size; i++)
			put(&mailbox, next + i);
		assert_int_equal(take(&mailbox, next), size);
		next += size;
	}
}

static void is_empty_at_first_and_after_it_was_emptied(void **state)
{
	struct mailbox mailbox;
	int wakes = 0;
	mailbox_init(&mailbox, count_wake, &wakes);
	assert_null(mailbox_take_all(&mailbox));
	put(&mailbox, 0);
	assert_int_equal(take(&mailbox, 0), 1);
	assert_null(mailbox_take_all(&mailbox));
	assert_int_equal(wakes, 1);
}

static void takes_requests_on_their_way_home_too(void **state)
{
	struct mailbox mailbox;
	int wakes = 0;
	mailbox_init(&mailbox, count_wake, &wakes);
	struct request *request = new_request(0, 0);
	request_move(request, REQUEST_DONE);
	mailbox_put(&mailbox, &request);
	assert_int_equal(mailbox.newest->stage, REQUEST_DONE);
	assert_int_equal(take(&mailbox, 0), 1);
}

/* --- many givers ------------------------------------------------------------------------------ */

struct crowd {
	struct mailbox mailbox;
	sem_t woken;
};

struct giver {
	struct crowd *crowd;
	uint16_t number;
	pthread_t thread;
};

static void post(void *context)
{
	struct crowd *crowd = context;
	sem_post(&crowd->woken);
}

static void *give(void *context)
{
	struct giver *giver = context;
	for (uint64_t i = 0; i < EACH; i++) {
		struct request *request = new_request(giver->number, i);
		mailbox_put(&giver->crowd->mailbox, &request);
	}
	return NULL;
}

/* The taker sleeps until it is woken, so that a lost wake-up would show. */
static void loses_nothing_and_keeps_each_givers_order_under_many_threads(void **state)
{
	struct crowd crowd;
	struct giver givers[GIVERS];
	uint64_t next[GIVERS] = { 0 }, taken = 0;
	sem_init(&crowd.woken, 0, 0);
	mailbox_init(&crowd.mailbox, post, &crowd);
	for (uint16_t i = 0; i < GIVERS; i++) {
		givers[i] = (struct giver){ .crowd = &crowd, .number = i };
		assert_int_equal(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
	}
	while (taken < GIVERS * EACH) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE_S;
		assert_int_equal(sem_timedwait(&crowd.woken, &until), 0);
		struct request *list = mailbox_take_all(&crowd.mailbox);
		assert_non_null(list); /* woken once for each time it was empty */
		while (list) {
			struct request *request = list;
			list = request->next;
			assert_in_range(request->home, 0, GIVERS - 1);
			assert_int_equal(request->asked.started_ns, next[request->home]);
			next[request->home]++;
			taken++;
			memory_free(request);
		}
	}
	for (uint16_t i = 0; i < GIVERS; i++)
		pthread_join(givers[i].thread, NULL);
	assert_null(mailbox_take_all(&crowd.mailbox));
	sem_destroy(&crowd.woken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_only_on_the_first_put_into_an_empty_mailbox),
		cmocka_unit_test(hands_everything_out_in_the_order_it_came),
		cmocka_unit_test(is_empty_at_first_and_after_it_was_emptied),
		cmocka_unit_test(takes_requests_on_their_way_home_too),
		cmocka_unit_test(loses_nothing_and_keeps_each_givers_order_under_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
