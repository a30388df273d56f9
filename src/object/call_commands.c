/*
 * call_commands: DO.CALL, DO.CALLJSON, DO.RUNALARM, DO.EVICT. Each checks its arguments; the first
 * three begin a call (call_run), DO.EVICT drops the instance.
 *
 * Threads: the worker's of the object's shard.
 */
#include "object/commands.h"

#include "object/call.h"
#include "object/job.h"
#include "object/object_call.h"

static bool read_name(struct turn *turn, struct object_name *out)
{
	*out = (struct object_name){ turn_argument(turn, 1), turn_argument(turn, 2) };
	if (!object_class_name_ok(out->class_name))
		turn_error(turn, ERROR_CLASS_NAME);
	else if (out->id.size == 0 || out->id.size > LIMIT_KEY_BYTES)
		turn_error(turn, ERROR_ID);
	else
		return true;
	return false;
}

static bool begin_call(struct turn *turn, bool as_json)
{
	struct object_name name = { turn_argument(turn, 1), turn_argument(turn, 2) };
	struct slice method = turn_argument(turn, 3);
	char error[LIMIT_ERROR_BYTES];
	if (!object_call_check(&name, method, error, sizeof(error))) {
		turn_error(turn, "%s", error);
		return false;
	}
	call_new(turn->request, CALL_CLIENT, &name, method)->as_json = as_json;
	return true;
}

void do_call(struct turn *turn)
{
	if (turn->state || begin_call(turn, false))
		call_run(turn);
}

void do_calljson(struct turn *turn)
{
	if (turn->state || begin_call(turn, true))
		call_run(turn);
}

void do_runalarm(struct turn *turn)
{
	struct object_name name;
	if (turn->state == NULL) {
		if (!read_name(turn, &name) || !objects_has_alarm(turn, name.class_name))
			return;
		struct call *call = call_new(turn->request, CALL_NOW, &name, slice_text("alarm"));
		call->job = arena_alloc(turn_arena(turn), sizeof(*call->job));
		*call->job = (struct objects_job){
			.due = { .kind = DUE_ALARM, .object = call->name },
		};
	}
	call_run(turn);
}

void do_evict(struct turn *turn)
{
	struct object_name name;
	if (read_name(turn, &name))
		writer_integer(&turn->writer, objects_evict(turn, &name));
}
