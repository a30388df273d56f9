/*
 * EARLY: refreshing before the time is over (XFetch), many callers of one key through many
 * expiries. Whatever the dice say there is one refresh at a time and nobody is without a value; the
 * larger beta, and the longer a fetch takes, the earlier it comes.
 *
 * The dice are seeded through getrandom, which is the test's (cache_fixture.h).
 */
#include "cache_fixture.h"

#include <math.h>

#define TTL_MS   1000
#define STALE_MS 3000
#define CALLERS  4 /* each millisecond */

struct figures {
	int refreshes;
	int early;        /* of them before the time was over */
	double ahead_ms;  /* of its time, on average; late ones count as 0 */
	double spread_ms; /* the standard deviation of that */
};

/* One life of the key, from a fill to the next. Returns the age at which it was refreshed. */
static int64_t live_once(struct world *world, const char *early, int64_t fetch_ms)
{
	char token[64] = "";
	int64_t refreshed_ms = -1;
	for (int64_t age_ms = 1;; age_ms++) {
		pass(world, 1);
		for (int i = 0; i < CALLERS; i++) {
			struct answer answer = swr(world, "k WAIT 0 LEASE 5000%s", early);
			assert_int_equal(answer.age_ms, age_ms);
			assert_string_equal(answer.value, "v");
			if (strcmp(answer.state, "refresh") == 0) {
				assert_int_equal(refreshed_ms, -1); /* exactly one */
				refreshed_ms = age_ms;
				strcpy(token, answer.token);
			} else if (age_ms < TTL_MS) {
				assert_string_equal(answer.state, "fresh");
			} else {
				assert_string_equal(answer.state, "stale");
			}
		}
		if (refreshed_ms >= 0 && age_ms == refreshed_ms + fetch_ms)
			break;
	}
	assert_string_equal(ask(world, "cache.fill k %s v TTL 1 STALE 3", token), "+OK\r\n");
	return refreshed_ms;
}

static struct figures measure(const char *early, int64_t fetch_ms, int lives, uint64_t seed)
{
	struct figures figures = { 0 };
	double squares = 0;
	int64_t refreshes = 0;
	for (int done = 0; done < lives;) {
		struct world *world = world_new(1, seed + (uint64_t)done);
		struct answer answer = swr(world, "k WAIT 0");
		pass(world, fetch_ms);
		ask(world, "cache.fill k %s v TTL 1 STALE 3", answer.token);
		int here = lives - done < 20 ? lives - done : 20; /* tickets are kept in a world */
		for (int i = 0; i < here; i++) {
			int64_t age_ms = live_once(world, early, fetch_ms);
			double ahead_ms = age_ms < TTL_MS ? (double)(TTL_MS - age_ms) : 0;
			figures.early += age_ms < TTL_MS;
			figures.ahead_ms += ahead_ms;
			squares += ahead_ms * ahead_ms;
		}
		done += here;
		refreshes += stat_of(world, "refresh");
		assert_int_equal(stat_of(world, "lead"), 1);
		assert_int_equal(stat_of(world, "busy"), 0);
		world_free(world);
	}
	figures.refreshes = (int)refreshes;
	figures.ahead_ms /= lives;
	figures.spread_ms = sqrt(squares / lives - figures.ahead_ms * figures.ahead_ms);
	return figures;
}

static void each_expiry_is_refreshed_exactly_once(void **state)
{
	static const char *const betas[] = { "", " EARLY 0.1", " EARLY 1", " EARLY 10" };
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(measure(betas[i], 50, 40, 100).refreshes, 40);
}

static void without_early_nothing_is_refreshed_before_its_time(void **state)
{
	struct figures figures = measure("", 50, 20, 1);
	assert_int_equal(figures.early, 0);
}

static void a_larger_beta_refreshes_earlier(void **state)
{
	static const char *const betas[] = { " EARLY 0.2", " EARLY 0.5", " EARLY 1", " EARLY 2" };
	double before_ms = 0;
	for (size_t i = 0; i < 4; i++) {
		struct figures figures = measure(betas[i], 20, 60, 7);
		assert_int_equal(figures.refreshes, 60);
		assert_true(figures.early >= 50);
		assert_true(figures.ahead_ms > 1.3 * before_ms);
		before_ms = figures.ahead_ms;
	}
}

static void a_longer_fetch_is_begun_earlier(void **state)
{
	double before_ms = 0;
	for (int64_t fetch_ms = 5; fetch_ms <= 80; fetch_ms *= 4) {
		struct figures figures = measure(" EARLY 1", fetch_ms, 60, 9);
		assert_true(figures.ahead_ms > 2 * before_ms);
		/* The paper's distance: that of the largest of many draws, a few fetches long. */
		assert_true(figures.ahead_ms > (double)fetch_ms);
		assert_true(figures.ahead_ms < 12.0 * (double)fetch_ms);
		before_ms = figures.ahead_ms;
	}
}

/* Those who ask are spread out: not all lives end at one moment. */
static void the_moment_is_a_matter_of_chance(void **state)
{
	struct figures one = measure(" EARLY 1", 40, 60, 1000);
	struct figures same = measure(" EARLY 1", 40, 60, 1000);
	struct figures other = measure(" EARLY 1", 40, 60, 5000);
	assert_true(one.spread_ms > 10);
	assert_true(one.ahead_ms == same.ahead_ms && one.spread_ms == same.spread_ms);
	assert_true(one.spread_ms != other.spread_ms);
}

/* One draw alone: -delta * beta * ln(u) is exponential, so its share beyond x is e^(-x/delta). */
static void one_caller_refreshes_with_the_chance_of_the_paper(void **state)
{
	const int64_t fetch_ms = 100;
	const int draws = 20000;
	struct world *world = world_new(1, 3);
	struct answer answer = swr(world, "k WAIT 0");
	pass(world, fetch_ms);
	ask(world, "cache.fill k %s v TTL 1 STALE 3", answer.token);
	int refreshes = 0;
	pass(world, TTL_MS - 200); /* two fetches ahead */
	for (int i = 0; i < draws; i++) {
		answer = swr(world, "k WAIT 0 EARLY 1");
		if (answer.token[0] == '\0')
			continue;
		refreshes++;
		/* Nobody fetched: a renewal of one millisecond, in which nothing else happens. */
		ask(world, "cache.fail k %s RETRY 0", answer.token);
	}
	double share = (double)refreshes / draws, expected = exp(-2);
	assert_true(fabs(share - expected) < 4 * sqrt(expected * (1 - expected) / draws));
	assert_int_equal(stat_of(world, "early"), refreshes);
	world_free(world);
}

static void jitter_spreads_lives_over_its_whole_width(void **state)
{
	struct world *world = world_new(1, 5);
	int64_t least = INT64_MAX, most = 0;
	double sum = 0;
	for (int i = 0; i < 1000; i++) {
		ask(world, "cache.set k%d v TTL 10 STALE 20 JITTER 5", i);
		const char *reply = ask(world, "cache.info k%d", i);
		int64_t ttl_ms = strtoll(strstr(reply, "ttl-ms\r\n:") + 9, NULL, 10);
		int64_t stale_ms = strtoll(strstr(reply, "stale-ms\r\n:") + 11, NULL, 10);
		assert_int_equal(stale_ms - ttl_ms, 10000);
		assert_in_range(ttl_ms, 10000, 14999);
		least = ttl_ms < least ? ttl_ms : least;
		most = ttl_ms > most ? ttl_ms : most;
		sum += (double)ttl_ms;
	}
	assert_true(least < 10100 && most > 14900);
	assert_true(fabs(sum / 1000 - 12500) < 200);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_expiry_is_refreshed_exactly_once),
		cmocka_unit_test(without_early_nothing_is_refreshed_before_its_time),
		cmocka_unit_test(a_larger_beta_refreshes_earlier),
		cmocka_unit_test(a_longer_fetch_is_begun_earlier),
		cmocka_unit_test(the_moment_is_a_matter_of_chance),
		cmocka_unit_test(one_caller_refreshes_with_the_chance_of_the_paper),
		cmocka_unit_test(jitter_spreads_lives_over_its_whole_width),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
