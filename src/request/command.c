/*
 * command: how people write a command.
 *
 * Threads: any.
 */
#include "request/command.h"

#include <ctype.h>
#include <stdio.h>

void command_usage(const struct command *command, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s%s%s", command->name, *command->syntax ? " " : "",
		command->syntax);
	size_t name_size = strlen(command->name);
	for (size_t i = 0; i < name_size && out[i]; i++)
		out[i] = out[i] == '|' ? ' ' : (char)toupper((unsigned char)out[i]);
}
