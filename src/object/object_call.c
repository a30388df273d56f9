/*
 * object_call: see object_call.h.
 *
 * The request's command has the object's id as its key, so that it is routed like DO.CALL; its turn
 * state is the call, as of all commands of COMMAND_CALLS.
 */
#include "object/object_call.h"

#include "object/call.h"

#include <assert.h>
#include <stdio.h>

static const struct command call_command = {
	.name = "call an object",
	.arity = -1,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE | COMMAND_CALLS,
	.key_first = 1,
	.key_last = 1,
	.run = call_run,
};

bool object_call_check(
	const struct object_name *name, struct slice method, char *error, size_t error_size)
{
	struct slice class_name = name->class_name;
	if (!object_class_name_ok(class_name))
		snprintf(error, error_size, "%s", ERROR_CLASS_NAME);
	else if (name->id.size == 0 || name->id.size > LIMIT_KEY_BYTES)
		snprintf(error, error_size, "%s", ERROR_ID);
	else if (method.size > LIMIT_CLASS_NAME_BYTES)
		snprintf(error, error_size, "%s", ERROR_METHOD_NAME);
	else if (!object_method_is_public(method))
		snprintf(error, error_size, ERROR_PRIVATE, (int)class_name.size, class_name.data,
			(int)method.size, method.data);
	else
		return true;
	return false;
}

struct request *object_call_new(
	struct engine *engine, uint16_t port, const struct object_call *object_call)
{
	const struct slice words[] = { slice_text(call_command.name), object_call->name.id };
	struct request *request = engine_question(engine, port,
		&(struct question){ .command = &call_command,
			.words = words,
			.word_count = 2,
			.routed = true,
			.environment = object_call->environment,
			.context = object_call->context,
			.told = object_call->told });
	struct call *call = call_new(request, CALL_SERVER, &object_call->name, object_call->method);
	call->packed = arena_copy(&request->arena, object_call->arguments);
	return request;
}

bool object_call_result(const struct request *request, struct packed_item *out)
{
	struct slice results = buffer_slice(&request->reply);
	struct packed_item table;
	if (request->turn.failed || results.size == 0)
		return false;
	bool taken = packed_take(&results, &table);
	assert(taken);
	if (table.items > 1) {
		*out = table;
		return true;
	}
	*out = (struct packed_item){ .kind = PACKED_NIL };
	return table.items == 0 || packed_take(&results, out);
}
