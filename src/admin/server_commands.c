/*
 * server_commands: questions to and orders for the whole server.
 *
 * SAVE and its relatives ask for a checkpoint. They need not wait for it: what they would promise,
 * that the data is on disk, holds for every acknowledged write already.
 *
 * Threads: the connection's loop; checkpoint_request and environment->shutdown take any.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "base/number.h"
#include "net/connection.h"
#include "request/options.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

static bool is_of_family(const struct command *command, struct slice container);
static bool is_helped(const struct command *command, struct slice container);
static size_t put_upper(char *line, struct slice name);
static bool read_timeout(struct request *request, uint32_t index);

void admin_time(struct connection *connection, struct request *request)
{
	/* A thousandth of a millisecond is below what the clock gives. */
	int64_t now_ms = clock_wall_ms(reply_environment(request)->clock);
	struct writer writer = reply_writer(request);
	writer_array(&writer, 2);
	writer_bulk_format(&writer, "%lld", (long long)(now_ms / 1000));
	writer_bulk_format(&writer, "%lld", (long long)(now_ms % 1000 * 1000));
}

void admin_role(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_array(&writer, 3);
	writer_bulk_text(&writer, "master");
	writer_integer(&writer, (int64_t)gate_durable(reply_environment(request)->engine->gate));
	writer_array(&writer, 0);
}

/* WAIT replicas timeout: there are no replicas to wait for, so it does not wait. */
void admin_wait(struct connection *connection, struct request *request)
{
	int64_t replicas;
	if (reply_read_integer(request, 1, &replicas, NULL) && read_timeout(request, 2))
		reply_integer(request, 0);
}

/* WAITAOF local replicas timeout: how many logs have this client's writes: the local one, when
 * replies wait for it (this reply stands behind theirs), or when it has caught up. */
void admin_waitaof(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	struct gate *gate = environment->engine->gate;
	int64_t local, replicas;
	if (!reply_read_integer(request, 1, &local, NULL) ||
		!reply_read_integer(request, 2, &replicas, NULL) || !read_timeout(request, 3))
		return;
	if (local < 0 || local > 1) {
		reply_error(request, ERROR_NOT_IN_RANGE, 0, 1);
		return;
	}
	bool always = atomic_load_explicit(&environment->config->durability,
			      memory_order_relaxed) == DURABILITY_ALWAYS;
	struct writer writer = reply_writer(request);
	writer_array(&writer, 2);
	writer_integer(&writer, always || gate_durable(gate) >= gate_appended(gate));
	writer_integer(&writer, 0);
}

void admin_save(struct connection *connection, struct request *request)
{
	checkpoint_request(reply_environment(request)->engine->checkpoint);
	reply_ok(request);
}

void admin_bgsave(struct connection *connection, struct request *request)
{
	if (request->asked.argument_count > 2 ||
		(request->asked.argument_count == 2 &&
			!slice_is(request->asked.arguments[1], "SCHEDULE"))) {
		reply_error(request, ERROR_SYNTAX);
		return;
	}
	checkpoint_request(reply_environment(request)->engine->checkpoint);
	struct writer writer = reply_writer(request);
	writer_simple(&writer, "Background saving started");
}

void admin_bgrewriteaof(struct connection *connection, struct request *request)
{
	checkpoint_request(reply_environment(request)->engine->checkpoint);
	struct writer writer = reply_writer(request);
	writer_simple(&writer, "Background append only file rewriting started");
}

void admin_lastsave(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	struct checkpoint_stats stats;
	checkpoint_stats(environment->engine->checkpoint, &stats);
	int64_t last_ms = stats.last_finished_ms ? stats.last_finished_ms : environment->started_ms;
	reply_integer(request, last_ms / 1000);
}

/* They ask for nothing that a shutdown here does not do. */
static const struct option shutdown_rows[] = {
	{ "save", OPTION_ANY, 0, 0, NULL },
	{ "nosave", OPTION_ANY, 0, 0, NULL },
	{ "now", OPTION_ANY, 0, 0, NULL },
	{ "force", OPTION_ANY, 0, 0, NULL },
};

static void say_no_shutdown(struct options *options, bool is_short)
{
	bool abort =
		slice_is(options_value(options), "ABORT") && options->asked->argument_count == 2;
	reply_error(options->out, "%s", abort ? ERROR_NO_SHUTDOWN : ERROR_SYNTAX);
}

static const struct option_table shutdown_table = {
	.rows = shutdown_rows,
	.count = sizeof(shutdown_rows) / sizeof(shutdown_rows[0]),
	.repeats = true,
	.misfit = say_no_shutdown,
};

/* Not answered: the connection's end is the answer, as in Redis. */
void admin_shutdown(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	struct options options = { .asked = &request->asked, .out = request, .at = 1 };
	if (!options_read(&options, &shutdown_table, OPTION_ANY))
		return;
	connection_close_after_reply(connection);
	environment->shutdown(environment);
}

void admin_lolwut(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_verbatim(&writer, "txt", slice_text("Holdfast ver. " HOLDFAST_VERSION "\n"));
}

void admin_flush_scripts(struct connection *connection, struct request *request)
{
	bool functions = strcmp(request->asked.command->name, "function|flush") == 0;
	struct slice *arguments = request->asked.arguments;
	if (request->asked.argument_count == 2 ||
		(request->asked.argument_count == 3 &&
			(slice_is(arguments[2], "SYNC") || slice_is(arguments[2], "ASYNC"))))
		reply_ok(request);
	else
		reply_error(request, "%s", functions ? ERROR_FUNCTION_FLUSH : ERROR_SCRIPT_FLUSH);
}

void admin_ok(struct connection *connection, struct request *request)
{
	reply_ok(request);
}

void admin_cluster(struct connection *connection, struct request *request)
{
	reply_error(request, ERROR_CLUSTER_DISABLED);
}

void admin_help(struct connection *connection, struct request *request)
{
	const struct command_set *set = reply_environment(request)->commands;
	const char *own = request->asked.command->name;
	const struct slice container = slice_of(own, (size_t)(strchr(own, '|') - own));
	size_t count = 0;
	bool family = false;
	for (uint32_t i = 0; i < set->count; i++) {
		count += is_helped(&set->commands[i], container);
		family = family || is_of_family(&set->commands[i], container);
	}
	struct writer writer = reply_writer(request);
	writer_array(&writer, 1 + 2 * count);
	char line[COMMAND_USAGE_BYTES];
	size_t size = put_upper(line, container);
	snprintf(line + size, sizeof(line) - size, "%s",
		family ? ".<command> [<arg> [value] [opt] ...]. Commands are:"
		       : " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
	writer_simple(&writer, line);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct command *command = &set->commands[i];
		if (!is_helped(command, container))
			continue;
		/* Commands of a family are called by their whole names. */
		command_usage(command, line, sizeof(line));
		writer_simple(&writer, line + (family ? 0 : container.size + 1));
		snprintf(line, sizeof(line), "    %s.", command->summary);
		writer_simple(&writer, line);
	}
}

/* `session.get` is of the family `session`, `client|list` a subcommand of `client`. */
static bool is_of_family(const struct command *command, struct slice container)
{
	return strncmp(command->name, container.data, container.size) == 0 &&
		command->name[container.size] == '.';
}

static bool is_helped(const struct command *command, struct slice container)
{
	bool subcommand = strncmp(command->name, container.data, container.size) == 0 &&
		command->name[container.size] == '|';
	return command->route != ROUTE_GROUP && (subcommand || is_of_family(command, container));
}

static size_t put_upper(char *line, struct slice name)
{
	assert(name.size < COMMAND_USAGE_BYTES);
	for (size_t i = 0; i < name.size; i++)
		line[i] = (char)toupper((unsigned char)name.data[i]);
	line[name.size] = '\0';
	return name.size;
}

static bool read_timeout(struct request *request, uint32_t index)
{
	int64_t timeout_ms;
	if (!reply_read_integer(request, index, &timeout_ms, ERROR_TIMEOUT))
		return false;
	if (timeout_ms >= 0)
		return true;
	reply_error(request, ERROR_TIMEOUT_NEGATIVE);
	return false;
}
