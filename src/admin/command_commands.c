/*
 * command_commands: COMMAND: what the table says of each command, in Redis 7's shapes. Client
 * libraries take arity, key positions and flags from COMMAND INFO; redis-cli its help and hints
 * from COMMAND DOCS. A subcommand is found under its container's name, a bar and its own.
 *
 * Threads: the connection's loop; the table never changes.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "admin/syntax.h"
#include "base/glob.h"
#include "holdfast/limits.h"
#include "request/command_keys.h"

#include <assert.h>
#include <ctype.h>

#define CATEGORIES_MAX 8

static bool is_subcommand(const struct command *command);
static bool is_child(const struct command *command, const struct command *parent);
static uint32_t count_children(const struct command_set *set, const struct command *parent);
static const struct command *find_named(const struct command_set *set, struct slice name);
static void write_info(
	struct writer *writer, const struct command_set *set, const struct command *command);
static void write_docs(struct writer *writer, struct arena *arena, const struct command_set *set,
	const struct command *command);
static size_t categories_of(const struct command *command, const char *out[CATEGORIES_MAX]);

void admin_command(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	struct writer writer = reply_writer(request);
	uint32_t count = 0;
	for (uint32_t i = 0; i < set->count; i++)
		count += !is_subcommand(&set->commands[i]);
	writer_array(&writer, count);
	for (uint32_t i = 0; i < set->count; i++) {
		if (!is_subcommand(&set->commands[i]))
			write_info(&writer, set, &set->commands[i]);
	}
}

void admin_command_count(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	int64_t count = 0;
	for (uint32_t i = 0; i < set->count; i++)
		count += !is_subcommand(&set->commands[i]);
	reply_integer(request, count);
}

void admin_command_info(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	if (request->asked.argument_count == 2) {
		admin_command(connection, request);
		return;
	}
	struct writer writer = reply_writer(request);
	writer_array(&writer, request->asked.argument_count - 2);
	for (uint32_t i = 2; i < request->asked.argument_count; i++) {
		const struct command *command = find_named(set, request->asked.arguments[i]);
		if (command)
			write_info(&writer, set, command);
		else
			writer_null(&writer);
	}
}

void admin_command_docs(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	struct writer writer = reply_writer(request);
	uint32_t named = request->asked.argument_count - 2;
	uint32_t most = named ? named : set->count;
	const struct command **chosen = arena_alloc(&request->arena, most * sizeof(*chosen));
	uint32_t count = 0;
	for (uint32_t i = 0; i < most; i++) {
		const struct command *command = named
			? find_named(set, request->asked.arguments[i + 2])
			: &set->commands[i];
		if (command && (named || !is_subcommand(command)))
			chosen[count++] = command;
	}
	writer_map(&writer, count);
	for (uint32_t i = 0; i < count; i++) {
		writer_bulk_text(&writer, chosen[i]->name);
		write_docs(&writer, &request->arena, set, chosen[i]);
	}
}

static bool has_category(const struct command *command, struct slice category)
{
	const char *categories[CATEGORIES_MAX];
	size_t count = categories_of(command, categories);
	for (size_t i = 0; i < count; i++) {
		if (slice_is(category, categories[i] + 1))
			return true;
	}
	return false;
}

/* COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob] */
void admin_command_list(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	const struct slice *arguments = request->asked.arguments;
	bool filtered = request->asked.argument_count == 5 && slice_is(arguments[2], "FILTERBY");
	bool module = filtered && slice_is(arguments[3], "MODULE");
	bool category = filtered && slice_is(arguments[3], "ACLCAT");
	bool pattern = filtered && slice_is(arguments[3], "PATTERN");
	if (request->asked.argument_count != 2 && !module && !category && !pattern) {
		reply_error(request, ERROR_SYNTAX);
		return;
	}
	if (pattern && arguments[4].size > LIMIT_PATTERN_BYTES) {
		reply_error(request, ERROR_PATTERN_SIZE, LIMIT_PATTERN_BYTES);
		return;
	}
	struct glob glob;
	glob_init(&glob, pattern ? arguments[4] : slice_text("*"), true);
	const char **names = arena_alloc(&request->arena, set->count * sizeof(*names));
	size_t count = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct command *command = &set->commands[i];
		bool wanted = !module;
		if (category)
			wanted = has_category(command, arguments[4]);
		else if (pattern)
			wanted = glob_matches(&glob, slice_text(command->name));
		if (wanted)
			names[count++] = command->name;
	}
	glob_fini(&glob);
	struct writer writer = reply_writer(request);
	writer_array(&writer, count);
	for (size_t i = 0; i < count; i++)
		writer_bulk_text(&writer, names[i]);
}

void admin_command_getkeys(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	const struct slice *arguments = request->asked.arguments + 2;
	uint32_t count = request->asked.argument_count - 2;
	const struct command *command = set->find(arguments, count);
	if (command == NULL) {
		reply_error(request, ERROR_GETKEYS_UNKNOWN);
		return;
	}
	if (command->key_first == 0) {
		reply_error(request, ERROR_GETKEYS_NONE);
		return;
	}
	if (!command_arity_ok(command, count)) {
		reply_error(request, ERROR_GETKEYS_ARITY);
		return;
	}
	struct command_keys keys = command_keys(command, count);
	struct writer writer = reply_writer(request);
	writer_array(&writer, keys.count);
	for (uint32_t i = keys.first; i < keys.end; i += keys.step)
		writer_bulk(&writer, arguments[i]);
}

static bool is_subcommand(const struct command *command)
{
	return strchr(command->name, '|') != NULL;
}

static bool is_child(const struct command *command, const struct command *parent)
{
	size_t size = strlen(parent->name);
	return strncmp(command->name, parent->name, size) == 0 && command->name[size] == '|';
}

static uint32_t count_children(const struct command_set *set, const struct command *parent)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < set->count; i++)
		count += is_child(&set->commands[i], parent);
	return count;
}

/* "get", "config|get"; NULL: unknown. */
static const struct command *find_named(const struct command_set *set, struct slice name)
{
	struct slice parts[2] = { name };
	const char *bar = name.size ? memchr(name.data, '|', name.size) : NULL;
	if (bar) {
		parts[0].size = (size_t)(bar - name.data);
		parts[1] = slice_of(bar + 1, name.size - parts[0].size - 1);
	}
	const struct command *command = set->find(parts, bar ? 2 : 1);
	return command && slice_is(name, command->name) ? command : NULL;
}

static void write_flags(struct writer *writer, const struct command *command)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} names[] = {
		{ COMMAND_WRITE, "write" },
		{ COMMAND_READONLY, "readonly" },
		{ COMMAND_DENYOOM, "denyoom" },
		{ COMMAND_ADMIN, "admin" },
		{ COMMAND_PUBSUB, "pubsub" },
		{ COMMAND_NOSCRIPT, "noscript" },
		{ COMMAND_LOADING, "loading" },
		{ COMMAND_STALE, "stale" },
		{ COMMAND_FAST, "fast" },
		{ COMMAND_NO_AUTH, "no_auth" },
	};
	uint32_t told = command->flags & (uint32_t)(COMMAND_SUBSCRIBED - 1);
	writer_set(writer, (size_t)__builtin_popcount(told));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (command->flags & names[i].flag)
			writer_simple(writer, names[i].name);
	}
}

/* Redis 7's description of where keys are; one range says it for every command here. */
static void write_key_specs(struct writer *writer, const struct command *command)
{
	writer_set(writer, command->key_first ? 1 : 0);
	if (command->key_first == 0)
		return;
	bool reads = command->flags & COMMAND_READONLY;
	writer_map(writer, 3);
	writer_bulk_text(writer, "flags");
	writer_set(writer, 2);
	writer_simple(writer, reads ? "RO" : "RW");
	writer_simple(writer, reads ? "access" : "update");
	writer_bulk_text(writer, "begin_search");
	writer_map(writer, 2);
	writer_bulk_text(writer, "type");
	writer_bulk_text(writer, "index");
	writer_bulk_text(writer, "spec");
	writer_map(writer, 1);
	writer_bulk_text(writer, "index");
	writer_integer(writer, command->key_first);
	writer_bulk_text(writer, "find_keys");
	writer_map(writer, 2);
	writer_bulk_text(writer, "type");
	writer_bulk_text(writer, "range");
	writer_bulk_text(writer, "spec");
	writer_map(writer, 3);
	writer_bulk_text(writer, "lastkey");
	writer_integer(writer,
		command->key_last < 0 ? command->key_last : command->key_last - command->key_first);
	writer_bulk_text(writer, "keystep");
	writer_integer(writer, command->key_step);
	writer_bulk_text(writer, "limit");
	writer_integer(writer, 0);
}

static void write_info(
	struct writer *writer, const struct command_set *set, const struct command *command)
{
	const char *categories[CATEGORIES_MAX];
	size_t count = categories_of(command, categories);
	writer_array(writer, 10);
	writer_bulk_text(writer, command->name);
	writer_integer(writer, command->arity);
	write_flags(writer, command);
	writer_integer(writer, command->key_first);
	writer_integer(writer, command->key_last);
	writer_integer(writer, command->key_step);
	writer_set(writer, count);
	for (size_t i = 0; i < count; i++)
		writer_simple(writer, categories[i]);
	writer_set(writer, 0); /* tips */
	write_key_specs(writer, command);
	uint32_t children = count_children(set, command);
	if (children)
		writer_array(writer, children);
	else
		writer_set(writer, 0); /* as Redis has it */
	for (uint32_t i = 0; i < set->count; i++) {
		if (is_child(&set->commands[i], command))
			write_info(writer, set, &set->commands[i]);
	}
}

static void write_lower(struct writer *writer, struct slice text)
{
	char lower[64];
	size_t size = text.size < sizeof(lower) ? text.size : sizeof(lower);
	for (size_t i = 0; i < size; i++)
		lower[i] = (char)tolower((unsigned char)text.data[i]);
	writer_bulk(writer, slice_of(lower, size));
}

/* What a value is, by its name. */
static const char *value_type(struct slice name)
{
	static const char *const integers[] = { "seconds", "milliseconds", "count", "offset",
		"start", "end", "increment", "decrement", "cursor", "timeout", "db", "index",
		"protover" };
	static const char *const keys[] = { "key", "newkey", "source", "destination" };
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		if (slice_is(name, integers[i]))
			return "integer";
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (slice_is(name, keys[i]))
			return "key";
	}
	if (slice_is(name, "pattern"))
		return "pattern";
	return slice_starts_with(name, slice_text("unix-time")) ? "unix-time" : "string";
}

static void write_arguments(struct writer *writer, const struct syntax *first, uint32_t count)
{
	writer_array(writer, count);
	for (const struct syntax *argument = first; argument; argument = argument->next) {
		const struct syntax *named = argument;
		while (named->child_count)
			named = named->children;
		bool flags = argument->optional || argument->multiple;
		writer_map(writer,
			2 + (argument->token.size > 0) + flags + (argument->child_count > 0));
		writer_bulk_text(writer, "name");
		write_lower(writer, named->name);
		writer_bulk_text(writer, "type");
		writer_bulk_text(writer,
			argument->type == SYNTAX_TOKEN            ? "pure-token"
				: argument->type == SYNTAX_BLOCK  ? "block"
				: argument->type == SYNTAX_ONE_OF ? "oneof"
								  : value_type(argument->name));
		if (argument->token.size) {
			writer_bulk_text(writer, "token");
			writer_bulk(writer, argument->token);
		}
		if (flags) {
			writer_bulk_text(writer, "flags");
			writer_set(writer, argument->optional + argument->multiple);
			if (argument->optional)
				writer_simple(writer, "optional");
			if (argument->multiple)
				writer_simple(writer, "multiple");
		}
		if (argument->child_count) {
			writer_bulk_text(writer, "arguments");
			write_arguments(writer, argument->children, argument->child_count);
		}
	}
}

static void write_docs(struct writer *writer, struct arena *arena, const struct command_set *set,
	const struct command *command)
{
	struct syntax *arguments;
	int32_t argument_count = syntax_parse(arena, command->syntax, &arguments);
	uint32_t children = count_children(set, command);
	assert(argument_count >= 0);
	writer_map(writer, 3 + (argument_count > 0) + (children > 0));
	writer_bulk_text(writer, "summary");
	writer_bulk_text(writer, command->summary);
	writer_bulk_text(writer, "since");
	writer_bulk_text(writer, command->since);
	writer_bulk_text(writer, "group");
	writer_bulk_text(writer, command->group);
	if (argument_count > 0) {
		writer_bulk_text(writer, "arguments");
		write_arguments(writer, arguments, (uint32_t)argument_count);
	}
	if (children == 0)
		return;
	writer_bulk_text(writer, "subcommands");
	writer_map(writer, children);
	for (uint32_t i = 0; i < set->count; i++) {
		if (is_child(&set->commands[i], command)) {
			writer_bulk_text(writer, set->commands[i].name);
			write_docs(writer, arena, set, &set->commands[i]);
		}
	}
}

/* Redis's ACL categories, as far as flags and group tell them. */
static size_t categories_of(const struct command *command, const char *out[CATEGORIES_MAX])
{
	size_t count = 0;
	bool keys = command->flags & (COMMAND_READONLY | COMMAND_WRITE);
	if (command->flags & COMMAND_WRITE)
		out[count++] = "@write";
	if (command->flags & COMMAND_READONLY)
		out[count++] = "@read";
	if (command->flags & COMMAND_ADMIN)
		out[count++] = "@admin";
	if (command->flags & COMMAND_ADMIN)
		out[count++] = "@dangerous";
	if (command->flags & COMMAND_PUBSUB)
		out[count++] = "@pubsub";
	out[count++] = command->flags & COMMAND_FAST ? "@fast" : "@slow";
	if (strcmp(command->group, "string") == 0)
		out[count++] = "@string";
	else if (keys)
		out[count++] = "@keyspace";
	else if (strcmp(command->group, "connection") == 0)
		out[count++] = "@connection";
	else if (strcmp(command->group, "scripting") == 0)
		out[count++] = "@scripting";
	assert(count <= CATEGORIES_MAX);
	return count;
}
