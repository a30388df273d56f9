/*
 * command_keys: see command_keys.h. Each command of the table has one range: from an argument to
 * another, which may be counted from the end, in steps.
 *
 * Threads: any.
 */
#include "request/command_keys.h"

#include <assert.h>

struct command_keys command_keys(const struct command *command, uint32_t argument_count)
{
	if (command->key_first == 0)
		return (struct command_keys){ 0 };
	int64_t count = argument_count;
	int64_t first = command->key_first;
	int64_t last = command->key_last < 0 ? count + command->key_last : command->key_last;
	int64_t step = command->key_step > 0 ? command->key_step : 1;
	assert(first > 0);
	assert(last >= first);
	assert(last < count);
	return (struct command_keys){
		.first = (uint32_t)first,
		.end = (uint32_t)last + 1,
		.step = (uint32_t)step,
		.count = last == first ? 1 : (uint32_t)((last - first) / step + 1),
	};
}

bool command_has_many_keys(const struct command *command)
{
	return command->key_last != command->key_first;
}
