/*
 * Rooms: what families keep in an engine, and what they are told.
 */
#include "engine/room.h"

#include "base/memory.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct engine_rig rig;
	char told[256];
	bool runs;
};

/* What a room of these tests keeps. */
struct kept {
	struct world *world;
	const char *name;
};

static void note(struct world *world, const char *format, ...)
{
	size_t size = strlen(world->told);
	va_list list;
	va_start(list, format);
	vsnprintf(world->told + size, sizeof(world->told) - size, format, list);
	va_end(list);
}

static void on_client_gone(void *context, uint16_t port, uint64_t client)
{
	struct kept *kept = context;
	note(kept->world, "%s: client %u gone at %u. ", kept->name, (unsigned)client, port);
}

static bool on_drain(void *context, uint16_t port, bool now)
{
	struct kept *kept = context;
	note(kept->world, "%s: drain%s at %u. ", kept->name, now ? " now" : "", port);
	return kept->world->runs;
}

static void on_loop_ends(void *context, uint16_t port)
{
	struct kept *kept = context;
	note(kept->world, "%s: loop %u ends. ", kept->name, port);
}

static const struct room first = { .name = "first", .client_gone = on_client_gone };
static const struct room second = {
	.name = "second",
	.drain = on_drain,
	.loop_ends = on_loop_ends,
};
static const struct room third = { .name = "third", .loop_ends = on_loop_ends };

static int set_up(void **state)
{
	struct world *world = memory_zeroed(sizeof(*world));
	engine_rig_init(&world->rig, 4);
	engine_rig_start(&world->rig, 2, 2);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	engine_rig_fini(&world->rig);
	memory_free(world);
	return 0;
}

static void a_room_finds_what_it_keeps(void **state)
{
	struct world *world = *state;
	struct engine *engine = world->rig.engine;
	int of_first, of_second, at_port;
	assert_null(engine_room(engine, &first));
	assert_null(engine_room_at(engine, &first, 0));
	engine_open_room(engine, &first, &of_first);
	engine_open_room(engine, &second, &of_second);
	engine_open_room_at(engine, &third, 1, &at_port);
	assert_ptr_equal(engine_room(engine, &first), &of_first);
	assert_ptr_equal(engine_room(engine, &second), &of_second);
	assert_null(engine_room(engine, &third));
	assert_null(engine_room_at(engine, &third, 0));
	assert_ptr_equal(engine_room_at(engine, &third, 1), &at_port);
	engine_close_room_at(engine, &third, 1);
	engine_close_room(engine, &second);
	engine_close_room(engine, &first);
	assert_int_equal(engine->room_count, 0);
}

static void one_that_is_closed_before_others_keeps_nothing_and_may_come_back(void **state)
{
	struct world *world = *state;
	struct engine *engine = world->rig.engine;
	struct kept kept = { world, "first" }, later = { world, "second" };
	engine_open_room(engine, &first, &kept);
	engine_open_room(engine, &second, &later);
	engine_close_room(engine, &first);
	assert_null(engine_room(engine, &first));
	engine_client_gone(engine, 0, 7);
	assert_string_equal(world->told, "");
	engine_open_room(engine, &first, &kept);
	assert_ptr_equal(engine_room(engine, &second), &later);
	engine_client_gone(engine, 1, 7);
	assert_string_equal(world->told, "first: client 7 gone at 1. ");
	engine_close_room(engine, &first);
	engine_close_room(engine, &second);
	assert_int_equal(engine->room_count, 0);
}

static void ends_are_told_to_the_latest_first_and_only_where_it_keeps_something(void **state)
{
	struct world *world = *state;
	struct engine *engine = world->rig.engine;
	struct kept all = { world, "all" }, one = { world, "one" };
	engine_open_room(engine, &second, &all);
	engine_open_room_at(engine, &third, 1, &one);
	engine_loop_ends(engine, 0);
	assert_string_equal(world->told, "all: loop 0 ends. ");
	world->told[0] = '\0';
	engine_loop_ends(engine, 1);
	assert_string_equal(world->told, "one: loop 1 ends. all: loop 1 ends. ");
	engine_close_room_at(engine, &third, 1);
	engine_close_room(engine, &second);
}

static void the_server_waits_while_any_room_has_something_running(void **state)
{
	struct world *world = *state;
	struct engine *engine = world->rig.engine;
	struct kept kept = { world, "second" };
	assert_false(engine_drain(engine, 0, false));
	engine_open_room(engine, &first, &kept);
	engine_open_room(engine, &second, &kept);
	world->runs = true;
	assert_true(engine_drain(engine, 0, false));
	world->runs = false;
	assert_false(engine_drain(engine, 1, true));
	assert_string_equal(world->told, "second: drain at 0. second: drain now at 1. ");
	engine_close_room(engine, &second);
	engine_close_room(engine, &first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_room_finds_what_it_keeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_is_closed_before_others_keeps_nothing_and_may_come_back, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			ends_are_told_to_the_latest_first_and_only_where_it_keeps_something, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			the_server_waits_while_any_room_has_something_running, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
