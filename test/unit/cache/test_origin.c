/*
 * test_origin: what answers of an origin make of an entry, whom a failure pauses and for how long,
 * with HTTP and time in the test's hands.
 */
#include "cache_fixture.h"

#include "cache/origin.h"
#include "config/internal.h"
#include "fetch/fetch.h"

#define FETCHES_MAX    64
#define FETCHES_OF_ONE 48 /* with the others' part free */
#define URL            "http://api.test/v1/"

static struct {
	struct world *world;
	struct origins *origins;
	bool due;
	struct fetch *fetches[FETCHES_MAX]; /* under way, in their order */
	size_t count;
	size_t asked;
} o;

static void wake_origins(void *context, int64_t ms)
{
	o.due = true;
}

static void begin_fetch(void *context, struct fetch *fetch)
{
	assert_true(o.count < FETCHES_MAX);
	assert_true(fetch->timeout_ms > 0);
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	fetch->status = 0;
	fetch->code[0] = fetch->error[0] = '\0';
	fetch->reach = FETCH_WAITED;
	o.fetches[o.count++] = fetch;
	o.asked++;
}

static int set_up(void **state)
{
	static const struct slice line[] = { { "a:", 2 }, { URL, sizeof(URL) - 1 } };
	static const struct slice other[] = { { "b:", 2 }, { URL, sizeof(URL) - 1 } };
	static const struct origins_host host = { NULL, wake_origins, begin_fetch };
	char error[256];
	struct world *world = memory_zeroed(sizeof(*world));
	random_seed(&entropy, 1);
	world->workers = 1;
	engine_rig_init(&world->rig, SHARDS);
	assert_int_equal(config_put(&world->rig.config, slice_text("cache-origin"), line, 2, error,
				 sizeof(error)),
		0);
	assert_int_equal(config_put(&world->rig.config, slice_text("cache-origin"), other, 2, error,
				 sizeof(error)),
		0);
	world->rig.config.cache_memory_bytes = MEMORY_FULL;
	world->rig.config.cache_disk_bytes = (int64_t)1 << 30;
	world->rig.config.cache_invalidation_bytes = (int64_t)32 << 20;
	open_cache(world);
	memset(&o, 0, sizeof(o));
	o.world = world;
	o.origins = origins_new(world->rig.engine, 0, &host);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	origins_closing(o.origins);
	origins_free(&o.origins);
	world_free(*state);
	return 0;
}

static void run_origins(void)
{
	while (o.due) {
		o.due = false;
		origins_run(o.origins);
		engine_rig_deliver(&o.world->rig);
	}
}

static struct engine_ticket *ask_swr(const char *arguments)
{
	char text[1024];
	snprintf(text, sizeof(text), "cache.swr %s", arguments);
	struct engine_ticket *ticket = send_text(o.world, 0, text);
	engine_rig_deliver(&o.world->rig);
	run_origins();
	return ticket;
}

/* Ends the fetch that has been under way for longest. */
static void end_fetch(int status, const char *headers, const char *body)
{
	assert_true(o.count > 0);
	struct fetch *fetch = o.fetches[0];
	memmove(o.fetches, o.fetches + 1, --o.count * sizeof(o.fetches[0]));
	fetch->status = status;
	fetch->reach = FETCH_CONNECTED;
	buffer_append_text(&fetch->headers_in, headers);
	buffer_append_text(&fetch->body_in, body);
	fetch->done(fetch);
	engine_rig_deliver(&o.world->rig);
	run_origins();
}

static void fail_fetch(const char *code, enum fetch_reach reach)
{
	struct fetch *fetch = o.fetches[0];
	memmove(o.fetches, o.fetches + 1, --o.count * sizeof(o.fetches[0]));
	snprintf(fetch->code, sizeof(fetch->code), "%s", code);
	snprintf(fetch->error, sizeof(fetch->error), "on purpose");
	fetch->reach = reach;
	fetch->done(fetch);
	engine_rig_deliver(&o.world->rig);
	run_origins();
}

/* Asks for the key, which is fetched, and gets the answer. */
static struct answer fetched(
	const char *arguments, int status, const char *headers, const char *body)
{
	size_t asked = o.asked;
	struct engine_ticket *ticket = ask_swr(arguments);
	if (o.asked != asked + 1)
		fail_msg("%s is not asked for", arguments);
	end_fetch(status, headers, body);
	return answer_of(ticket);
}

/* Nobody asks the origin. */
static struct answer unasked(const char *arguments)
{
	size_t asked = o.asked;
	struct engine_ticket *ticket = ask_swr(arguments);
	if (o.asked != asked)
		fail_msg("%s is asked for", arguments);
	return answer_of(ticket);
}

static int64_t info_number(const char *key, const char *name)
{
	char wanted[64];
	const char *reply = ask(o.world, "cache.info %s", key);
	snprintf(wanted, sizeof(wanted), "\r\n%s\r\n:", name);
	const char *at = strstr(reply, wanted);
	return at ? strtoll(at + strlen(wanted), NULL, 10) : NOTHING;
}

static bool info_says(const char *key, const char *text)
{
	return strstr(ask(o.world, "cache.info %s", key), text) != NULL;
}

/* --- what is a value -------------------------------------------------------------------------- */

static void only_a_whole_representation_is_a_value(void **state)
{
	char arguments[32], key[16];
	for (int status = 200; status < 300; status++) {
		bool is_value = status == 200 || status == 203;
		/* Most of what is asked succeeds. */
		fetched("a:good WAIT 1000", 200, "cache-control: no-store\n", "v");
		fetched("a:good WAIT 1000", 200, "cache-control: no-store\n", "v");
		snprintf(key, sizeof(key), "a:%d", status);
		snprintf(arguments, sizeof(arguments), "%s WAIT 1000", key);
		ask(o.world, "cache.set %s old TTL 0 STALE 1000", key);
		ask_swr(arguments);
		end_fetch(status, "cache-control: max-age=60\n", "new");
		struct answer answer = unasked(arguments);
		assert_string_equal(answer.value, is_value ? "new" : "old");
		assert_string_equal(answer.state, is_value ? "fresh" : "failed");
	}
}

static void what_is_no_answer_leaves_the_old_value(void **state)
{
	ask(o.world, "cache.set a:k old TTL 0 STALE 1000");
	ask_swr("a:k WAIT 1000");
	fail_fetch("NETWORK", FETCH_CONNECTED);
	is_answer(unasked("a:k"), "failed", "old", 0);
	pass(o.world, 1000);
	ask_swr("a:k");
	end_fetch(206, "", "part");
	is_answer(unasked("a:k"), "failed", "old", 1000);
}

/* --- for how long ----------------------------------------------------------------------------- */

static void lives_are(const char *headers, int64_t ttl_ms, int64_t stale_ms)
{
	fetched("a:k WAIT 1000", 200, headers, "v");
	assert_int_equal(info_number("a:k", "ttl-ms"), ttl_ms);
	assert_int_equal(info_number("a:k", "stale-ms"), stale_ms);
	ask(o.world, "cache.del a:k");
}

static void nothing_is_served_stale_that_neither_answer_nor_setting_allows(void **state)
{
	lives_are("cache-control: max-age=7\n", 7000, 7000);
	lives_are("cache-control: max-age=7, stale-while-revalidate=20\n", 7000, 27000);
	lives_are("", 60000, 60000);
	o.world->rig.config.cache_origin_stale_s = 30;
	lives_are("cache-control: max-age=7\n", 7000, 37000);
	lives_are("cache-control: max-age=7, must-revalidate\n", 7000, 7000);
	lives_are("cache-control: s-maxage=7\n", 7000, 7000);
	lives_are("cache-control: max-age=7, stale-while-revalidate=5\n", 7000, 12000);
	lives_are("", 60000, 90000);
}

static void an_answer_of_no_life_is_for_who_waited(void **state)
{
	is_answer(
		fetched("a:k WAIT 1000", 200, "cache-control: max-age=0\n", "v"), "fresh", "v", 0);
	is_answer(
		fetched("a:k WAIT 1000", 200, "cache-control: max-age=0\n", "w"), "fresh", "w", 0);
	assert_string_equal(ask(o.world, "cache.get a:k"), "$-1\r\n");
}

static void callers_may_allow_what_is_stale(void **state)
{
	fetched("a:k 5 50 WAIT 1000", 200, "cache-control: max-age=7\n", "v");
	assert_int_equal(info_number("a:k", "stale-ms"), 50000);
	pass(o.world, 7000);
	is_answer(unasked("a:k 8 50"), "fresh", "v", 7000);
	struct engine_ticket *ticket = ask_swr("a:k");
	is_answer(answer_of(ticket), "stale", "v", 7000);
	end_fetch(200, "cache-control: max-age=7\n", "w");
}

/* What an answer before it has allowed is no longer allowed. */
static void lives_of_earlier_answers_do_not_last(void **state)
{
	fetched("a:k WAIT 1000", 200, "cache-control: max-age=7, stale-while-revalidate=500\n",
		"v");
	pass(o.world, 7000);
	ask_swr("a:k");
	end_fetch(200, "cache-control: max-age=9\n", "w");
	assert_int_equal(info_number("a:k", "ttl-ms"), 9000);
	assert_int_equal(info_number("a:k", "stale-ms"), 9000);
}

static void not_modified_keeps_what_it_does_not_say(void **state)
{
	fetched("a:k WAIT 1000", 200,
		"etag: \"e\"\ncache-control: max-age=7, stale-while-revalidate=50\n", "v");
	pass(o.world, 8000);
	ask_swr("a:k");
	end_fetch(304, "", "");
	is_answer(unasked("a:k"), "fresh", "v", 0);
	assert_int_equal(info_number("a:k", "ttl-ms"), 7000);
	assert_int_equal(info_number("a:k", "stale-ms"), 57000);
	pass(o.world, 8000);
	ask_swr("a:k");
	end_fetch(304, "cache-control: max-age=3\n", "");
	assert_int_equal(info_number("a:k", "ttl-ms"), 3000);
	assert_int_equal(info_number("a:k", "stale-ms"), 3000);
}

static void a_value_is_served_while_its_origin_fails_unless_it_forbids(void **state)
{
	static const struct {
		const char *headers;
		bool is_served;
	} cases[] = {
		{ "cache-control: max-age=1\n", true },
		{ "cache-control: max-age=1, stale-if-error=100\n", true },
		{ "cache-control: max-age=1, stale-if-error=0\n", false },
		{ "cache-control: max-age=1, must-revalidate\n", false },
		{ "cache-control: s-maxage=1\n", false },
		{ "cache-control: no-cache\n", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[32];
		snprintf(arguments, sizeof(arguments), "a:%zu WAIT 1000", i);
		fetched(arguments, 200, cases[i].headers, "v");
		pass(o.world, 2000);
		struct answer answer = fetched(arguments, 500, "", "");
		assert_string_equal(answer.state, cases[i].is_served ? "failed" : "busy");
		assert_int_equal(answer.retry_ms, 1000);
	}
	/* For as long as the setting says. */
	fetched("a:k WAIT 1000", 200, "cache-control: max-age=1\n", "v");
	pass(o.world, 600 * 1000);
	assert_string_equal(fetched("a:k WAIT 1000", 500, "", "").state, "failed");
	pass(o.world, 1000);
	assert_string_equal(fetched("a:k WAIT 1000", 500, "", "").state, "busy");
}

static void negative_answers_obey_the_same_rules(void **state)
{
	static const struct {
		int status;
		const char *headers;
		int64_t ttl_ms; /* NOTHING: it is not kept */
	} cases[] = {
		{ 404, "", 60000 },
		{ 410, "", 60000 },
		{ 403, "", 10000 },
		{ 401, "", 10000 },
		{ 404, "cache-control: no-store\n", NOTHING },
		{ 410, "cache-control: no-store\n", NOTHING },
		{ 403, "cache-control: no-store\n", NOTHING },
		{ 409, "cache-control: private\n", NOTHING },
		{ 404, "cache-control: max-age=0\n", NOTHING },
		{ 404, "cache-control: no-cache\n", NOTHING },
		{ 404, "expires: 0\n", NOTHING },
		{ 404, "vary: accept, *\n", NOTHING },
		{ 404, "vary: accept\n", 60000 },
		{ 404, "cache-control: max-age=7\n", 7000 },
		{ 404, "cache-control: max-age=7, stale-while-revalidate=70\n", 7000 },
		{ 403, "cache-control: max-age=7\n", 7000 },
		{ 422, "cache-control: s-maxage=8, max-age=7\n", 8000 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[32], key[16];
		snprintf(key, sizeof(key), "a:%zu", i);
		snprintf(arguments, sizeof(arguments), "%s WAIT 1000", key);
		is_answer(fetched(arguments, cases[i].status, cases[i].headers, "no"), "absent", "",
			0);
		if (info_number(key, "ttl-ms") != cases[i].ttl_ms)
			fail_msg("%d %s", cases[i].status, cases[i].headers);
		if (cases[i].ttl_ms == NOTHING)
			fetched(arguments, 200, "", "v");
		else
			assert_string_equal(unasked(arguments).state, "absent");
	}
}

/* --- what fails ------------------------------------------------------------------------------- */

static void one_key_that_fails_pauses_no_other(void **state)
{
	struct answer answer = fetched("a:bad WAIT 1000", 500, "", "");
	is_answer(answer, "busy", "", NOTHING);
	assert_int_equal(answer.retry_ms, 1000);
	for (int i = 0; i < 100; i++) {
		assert_string_equal(
			fetched("a:good WAIT 1000", 200, "cache-control: no-store\n", "v").state,
			"fresh");
		assert_string_equal(unasked("a:bad WAIT 1000").state, "busy");
		pass(o.world, 5);
	}
	assert_true(info_says("a:bad", "$6\r\nfailed"));
	assert_true(info_says("a:bad", "it answers 500"));
}

static void pauses_of_a_key_double_up_to_a_minute_and_end_with_an_answer(void **state)
{
	int64_t wanted_ms = 1000;
	for (int i = 0; i < 9; i++) {
		assert_int_equal(fetched("a:k WAIT 1000", 503, "", "").retry_ms, wanted_ms);
		fetched("a:other WAIT 1000", 200, "cache-control: no-store\n", "v");
		pass(o.world, wanted_ms - 1);
		assert_int_equal(unasked("a:k WAIT 1000").retry_ms, 1);
		pass(o.world, 1);
		wanted_ms = 2 * wanted_ms < 60000 ? 2 * wanted_ms : 60000;
	}
	fetched("a:k WAIT 1000", 200, "cache-control: no-store\n", "v");
	assert_int_equal(fetched("a:k WAIT 1000", 500, "", "").retry_ms, 1000);
}

static void retry_after_holds_for_the_key_up_to_an_hour(void **state)
{
	static const struct {
		const char *headers;
		int64_t ms;
	} cases[] = { { "retry-after: 120\n", 120000 }, { "retry-after: 3600\n", 3600000 },
		{ "retry-after: 86400\n", 3600000 }, { "retry-after: 0\n", 1000 },
		{ "retry-after: soon\n", 1000 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char key[16], arguments[32];
		snprintf(key, sizeof(key), "a:%zu", i);
		snprintf(arguments, sizeof(arguments), "%s WAIT 1000", key);
		/* Also where there is a value meanwhile. */
		ask(o.world, "cache.set %s old TTL 0 STALE 100000", key);
		ask_swr(arguments);
		end_fetch(i % 2 ? 503 : 429, cases[i].headers, "");
		assert_int_equal(unasked(arguments).retry_ms, cases[i].ms);
		pass(o.world, cases[i].ms - 1);
		assert_string_equal(unasked(arguments).state, "failed");
		pass(o.world, 1);
		ask_swr(arguments);
		end_fetch(200, "", "new");
		assert_string_equal(unasked(arguments).value, "new");
	}
}

static void an_origin_of_which_most_fails_is_left_alone_but_for_probes(void **state)
{
	char arguments[32];
	for (int i = 0; i < 10; i++) {
		snprintf(arguments, sizeof(arguments), "a:%d WAIT 1000", i);
		fetched(arguments, 500, "", "");
	}
	struct answer answer = unasked("a:new WAIT 1000");
	is_answer(answer, "busy", "", NOTHING);
	assert_int_equal(answer.retry_ms, 1000);
	assert_true(info_says("a:new", "$6\r\npaused"));
	pass(o.world, 1000);
	/* One goes through, the others wait for what comes of it. */
	struct engine_ticket *probe = ask_swr("a:new WAIT 5000");
	assert_int_equal(o.count, 1);
	assert_string_equal(unasked("a:newer WAIT 1000").state, "busy");
	end_fetch(500, "", "");
	assert_int_equal(answer_of(probe).retry_ms, 2000);
	pass(o.world, 2000);
	assert_string_equal(fetched("a:newer WAIT 1000", 200, "", "v").state, "fresh");
	assert_string_equal(fetched("a:newest WAIT 1000", 200, "", "v").state, "fresh");
	assert_false(info_says("a:new", "paused"));
}

static void an_origin_without_a_connection_is_left_alone_at_once(void **state)
{
	struct engine_ticket *ticket = ask_swr("a:k WAIT 1000");
	fail_fetch("NETWORK", FETCH_TRIED);
	assert_string_equal(answer_of(ticket).state, "busy");
	assert_string_equal(unasked("a:other WAIT 1000").state, "busy");
	assert_true(info_says("a:other", "NETWORK on purpose"));
	/* What is stored and may be served on errors is. */
	pass(o.world, 1000);
	assert_string_equal(
		fetched("a:other WAIT 1000", 200, "cache-control: max-age=1\n", "v").state,
		"fresh");
	pass(o.world, 1000);
	ask_swr("a:k WAIT 1000");
	fail_fetch("TIMEOUT", FETCH_TRIED);
	assert_string_equal(unasked("a:other WAIT 1000").state, "failed");
}

static void what_says_nothing_of_the_origin_does_not_pause_it(void **state)
{
	static const struct {
		const char *code;
		enum fetch_reach reach;
	} cases[] = { { "BADURL", FETCH_WAITED }, { "TIMEOUT", FETCH_CONNECTED },
		{ "NETWORK", FETCH_CONNECTED }, { "TOOLARGE", FETCH_CONNECTED },
		{ "FORBIDDEN", FETCH_CONNECTED } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[32];
		snprintf(arguments, sizeof(arguments), "a:%zu WAIT 1000", i);
		struct engine_ticket *ticket = ask_swr(arguments);
		fail_fetch(cases[i].code, cases[i].reach);
		assert_string_equal(answer_of(ticket).state, "busy");
		assert_string_equal(
			fetched("a:good WAIT 1000", 200, "cache-control: no-store\n", "v").state,
			"fresh");
	}
	/* Others were in front of it for too long: who waits has it asked again. */
	struct engine_ticket *ticket = ask_swr("a:late WAIT 1000");
	fail_fetch("TIMEOUT", FETCH_WAITED);
	assert_false(ticket->done);
	end_fetch(200, "", "v");
	assert_string_equal(answer_of(ticket).state, "fresh");
	ticket = ask_swr("a:refused WAIT 1000");
	fail_fetch("FORBIDDEN", FETCH_WAITED);
	assert_string_equal(answer_of(ticket).state, "busy");
	assert_string_equal(unasked("a:good WAIT 1000").state, "busy");
}

/* Those who ask do not wait, so nothing but the line grows. */
static void what_stands_in_line_is_bounded(void **state)
{
	char arguments[32];
	for (int i = 0; i < FETCHES_OF_ONE + LIMIT_CACHE_ORDERS; i++) {
		snprintf(arguments, sizeof(arguments), "a:%d WAIT 0", i);
		assert_string_equal(answer_of(ask_swr(arguments)).state, "busy");
	}
	assert_int_equal(o.count, FETCHES_OF_ONE);
	struct answer answer = unasked("a:one-more WAIT 1000");
	is_answer(answer, "busy", "", NOTHING);
	assert_int_equal(answer.retry_ms, 1000);
	end_fetch(200, "", "v");
	struct engine_ticket *ticket = ask_swr("a:one-more WAIT 1000");
	assert_false(ticket->done);
}

static void an_origin_that_never_answers_leaves_room_for_others(void **state)
{
	char arguments[32];
	for (int i = 0; i < FETCHES_OF_ONE + 10; i++) {
		snprintf(arguments, sizeof(arguments), "a:%d WAIT 0", i);
		ask_swr(arguments);
	}
	assert_int_equal(o.count, FETCHES_OF_ONE);
	struct engine_ticket *ticket = ask_swr("b:1 WAIT 1000");
	assert_int_equal(o.count, FETCHES_OF_ONE + 1);
	/* The one that came last is ended first. */
	o.fetches[0] = o.fetches[--o.count];
	end_fetch(200, "", "v");
	assert_string_equal(answer_of(ticket).value, "v");
}

static void a_key_that_climbs_is_never_asked_for(void **state)
{
	assert_string_equal(unasked("a:../x WAIT 1000").state, "busy");
	assert_string_equal(unasked("a:b/%2e%2E/x WAIT 1000").state, "busy");
	assert_string_equal(fetched("a:notes..md WAIT 1000", 200, "", "v").state, "fresh");
}

static void urls_are_those_of_the_keys(void **state)
{
	struct engine_ticket *ticket = ask_swr("a:q?x=R%26D&y=\xc3\xa9 WAIT 1000");
	assert_true(slice_equal(o.fetches[0]->url, slice_text(URL "q?x=R%26D&y=%C3%A9")));
	end_fetch(200, "", "v");
	assert_string_equal(answer_of(ticket).value, "v");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_a_whole_representation_is_a_value),
		TEST(what_is_no_answer_leaves_the_old_value),
		TEST(nothing_is_served_stale_that_neither_answer_nor_setting_allows),
		TEST(an_answer_of_no_life_is_for_who_waited),
		TEST(callers_may_allow_what_is_stale),
		TEST(lives_of_earlier_answers_do_not_last),
		TEST(not_modified_keeps_what_it_does_not_say),
		TEST(a_value_is_served_while_its_origin_fails_unless_it_forbids),
		TEST(negative_answers_obey_the_same_rules),
		TEST(one_key_that_fails_pauses_no_other),
		TEST(pauses_of_a_key_double_up_to_a_minute_and_end_with_an_answer),
		TEST(retry_after_holds_for_the_key_up_to_an_hour),
		TEST(an_origin_of_which_most_fails_is_left_alone_but_for_probes),
		TEST(an_origin_without_a_connection_is_left_alone_at_once),
		TEST(what_says_nothing_of_the_origin_does_not_pause_it),
		TEST(what_stands_in_line_is_bounded),
		TEST(an_origin_that_never_answers_leaves_room_for_others),
		TEST(a_key_that_climbs_is_never_asked_for),
		TEST(urls_are_those_of_the_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
