/*
 * Sessions whose ids are stored in different forms, and a user who is logged out everywhere at one
 * moment.
 */
#include "session_fixture.h"

#include "base/fault.h"
#include "base/hash.h"
#include "support/sim_disk.h"

#define S             1000
#define SESSIONS      10000
#define SEGMENT_BYTES (8 << 20)

/* --- forms ------------------------------------------------------------------------------------ */

static void a_new_session_is_stored_as_the_configuration_says_now(void **state)
{
	struct world here, *world = &here;
	make_world(world, 1, 1);
	run(world, "session.create", "id", "a", "ttl", "10", "user", "ann");
	pass(world, 10 * S);
	world->rig.config.session_hashing = 1;
	answers(world, ":1", "session.set", "a", "{}", "ttl", "10", "user", "ann", "nx");
	stands(world, 1, 1, 0);
	assert_int_equal(tally(world).hashed, 1);
	pass(world, 10 * S);
	world->rig.config.session_hashing = 0;
	answers(world, "$1\r\na", "session.create", "id", "a", "ttl", "10", "user", "ann");
	stands(world, 1, 1, 0);
	assert_int_equal(tally(world).hashed, 0);
	/* Over what is left of a deleted one. */
	world->rig.config.session_tombstone_s = 10;
	answers(world, ":1", "session.del", "a");
	pass(world, 10 * S);
	world->rig.config.session_hashing = 1;
	answers(world, ":1", "session.set", "a", "{}", "user", "ann");
	stands(world, 1, 1, 0);
	end_world(world);
}

static void an_id_that_was_changed_by_its_handle_does_not_tell_a_wrong_one(void **state)
{
	struct world here, *world = &here;
	char handle[SESSION_HANDLE_BYTES + 1];
	make_world(world, 1, 1);
	world->rig.config.session_hashing = 1;
	run(world, "session.create", "id", "a", "user", "ann");
	const char *list = run(world, "session.list", "user", "ann");
	snprintf(handle, sizeof(handle), "%s", strstr(list, "handle:"));
	const char *id = bulk(run(world, "session.rotate", handle, "grace", "10"));
	assert_int_equal(strlen(id), SESSION_ID_BYTES);
	answers(world, ":2", "session.exists", "a", id);
	/* Who has the old id is not told another. */
	const char *got = run(world, "session.get", "a");
	assert_non_null(strstr(got, "$2\r\nid\r\n$1\r\na\r\n"));
	answers(world, "-SESSIONGONE the session of this id was deleted", "session.rotate", "a");
	end_world(world);
}

/* --- log out everywhere ----------------------------------------------------------------------- */

static jmp_buf crash_point;

/* LeakSanitizer asks: a crash leaves what was in flight behind, as a crash does. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static void on_fault(void)
{
	longjmp(crash_point, 1);
}

static void create_all(struct world *world)
{
	char id[16];
	for (int i = 0; i < SESSIONS; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.create", "id", id, "user", "ann");
		if (i % 1000 == 0)
			settle(world);
	}
	settle(world);
	stands(world, SESSIONS, SESSIONS, 0);
}

static void write_on(struct world *world, struct engine_ticket *ticket)
{
	struct gate *gate = world->rig.engine->gate;
	while (!ticket->done || gate_durable(gate) < gate_appended(gate)) {
		engine_rig_deliver(&world->rig);
		gate_keeper_step(gate);
		gate_step(gate);
	}
}

/* From the turn to beyond its record, one disk operation later each time. */
static void ends_ten_thousand_sessions_or_none(void **state)
{
	struct world here, *world = &here;
	volatile int all = 0, none = 0;
	make_world(world, 4, 2);
	world->rig.config.log_segment_bytes = SEGMENT_BYTES;
	world->rig.config.session_tombstone_s = 0; /* the ids are used again */
	crash(world);
	fault_set_hook(on_fault);
	create_all(world);
	for (volatile uint64_t n = 1; n <= 12; n++) {
		struct engine_ticket *volatile ticket = NULL;
		volatile bool released = false;
		if (setjmp(crash_point) == 0) {
			if (n % 3 == 0)
				engine_rig_checkpoint(&world->rig);
			sim_disk_crash_at(world->rig.disk, n);
			ticket = rig_send(&world->rig, 0, "session.deluser", "ann");
			write_on(world, ticket);
			released = engine_rig_is_released(ticket);
			assert_string_equal(ticket->reply, ":10000\r\n");
		}
		crash(world);
		struct tally found = tally(world);
		if (found.sessions == 0) {
			all++;
			stands(world, 0, 0, 0);
			create_all(world);
		} else {
			none++;
			assert_false(released);
			stands(world, SESSIONS, SESSIONS, 0);
		}
	}
	assert_true(all > 0);
	assert_true(none > 0);
	fault_set_hook(NULL);
	end_world(world);
}

static void nothing_happens_when_the_change_is_too_long_for_the_log(void **state)
{
	struct world here, *world = &here;
	char id[16];
	make_world(world, 4, 2); /* segments of 64 KiB */
	world->rig.config.touch_percent = 50;
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.create", "id", id, "user", "ann", "ttl", "100");
		settle(world);
	}
	pass(world, 40 * S);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.touch", id);
	}
	struct engine_ticket *ticket =
		rig_send(&world->rig, 0, "session.create", "user", "ann", "maxper", "1");
	settle(world);
	assert_true(ticket->failed);
	stands(world, 2000, 2000, 0);
	pass(world, 99 * S);
	answers(world, ":2", "session.exists", "id0", "id1999");
	/* All of a user may always be ended: then it is several changes. */
	uint64_t before = gate_appended(world->rig.engine->gate);
	ticket = rig_send(&world->rig, 0, "session.deluser", "ann");
	settle(world);
	assert_string_equal(ticket->reply, ":2000\r\n");
	assert_true(gate_appended(world->rig.engine->gate) > before + 1);
	stands(world, 0, 0, 2000);
	end_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_session_is_stored_as_the_configuration_says_now),
		cmocka_unit_test(an_id_that_was_changed_by_its_handle_does_not_tell_a_wrong_one),
		cmocka_unit_test(ends_ten_thousand_sessions_or_none),
		cmocka_unit_test(nothing_happens_when_the_change_is_too_long_for_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
