/*
 * client_list: CLIENT INFO, LIST and KILL: one line a connection, in Redis's fields and order.
 * What has no meaning here (transactions) has Redis's value for none of it.
 *
 * Threads: the asking connection's loop. Other connections are looked at under the clients lock,
 * and only in their shared block; the flags of CLIENT NO-EVICT and NO-TOUCH belong to a
 * connection's own loop, and therefore show only when it asks about itself.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "base/number.h"
#include "net/connection.h"
#include "request/options.h"

/* Which connections are meant; what is zero matches all. */
struct filter {
	struct request *request; /* that asks */
	uint64_t *ids;
	uint32_t id_count;
	const struct slice *address;
	const struct slice *local_address;
	int64_t age_s_least;
	bool none; /* a type that no connection here has */
	bool subscribers_only;
	bool subscribers_not;
	bool skip_self;
};

struct listing {
	const struct filter *filter;
	const struct connection *self;
	int64_t now_ms;
	struct buffer text;
};

struct killing {
	const struct filter *filter;
	struct connection *self;
	int64_t now_ms;
	int64_t count;
	bool self_killed;
};

static void append_line(struct buffer *out, struct connection *connection,
	const struct connection *self, int64_t now_ms);
static bool list_one(void *context, struct connection *connection);
static bool read_list_filter(struct request *request, struct filter *filter);
static bool read_kill_filter(struct filter *filter);
static bool read_type(struct slice type, struct filter *filter);
static int64_t kill_matching(
	struct connection *self, struct request *request, const struct filter *filter);

void admin_client_info(struct connection *connection, struct request *request)
{
	struct buffer text;
	buffer_init(&text);
	append_line(
		&text, connection, connection, clock_wall_ms(reply_environment(request)->clock));
	struct writer writer = reply_writer(request);
	writer_verbatim(&writer, "txt", buffer_slice(&text));
	buffer_fini(&text);
}

void admin_client_list(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	struct filter filter = { .request = request };
	if (!read_list_filter(request, &filter))
		return;
	struct listing listing = {
		.filter = &filter, .self = connection, .now_ms = clock_wall_ms(environment->clock)
	};
	buffer_init(&listing.text);
	net_each_client(environment->net, list_one, &listing);
	struct writer writer = reply_writer(request);
	writer_verbatim(&writer, "txt", buffer_slice(&listing.text));
	buffer_fini(&listing.text);
}

/* With one argument the old form: an address, answered with OK; else the new one: filters, answered
 * with the number of connections. */
void admin_client_kill(struct connection *connection, struct request *request)
{
	struct filter filter = { .request = request };
	if (request->asked.argument_count == 3) {
		filter.address = &request->asked.arguments[2];
		if (kill_matching(connection, request, &filter))
			reply_ok(request);
		else
			reply_error(request, ERROR_NO_SUCH_CLIENT);
		return;
	}
	if (read_kill_filter(&filter))
		reply_integer(request, kill_matching(connection, request, &filter));
}

static void append_line(struct buffer *out, struct connection *connection,
	const struct connection *self, int64_t now_ms)
{
	const struct command *last =
		atomic_load_explicit(&connection->client.last_command, memory_order_relaxed);
	unsigned long long input =
		atomic_load_explicit(&connection->client.shared_input_bytes, memory_order_relaxed);
	unsigned long long output =
		atomic_load_explicit(&connection->client.shared_output_bytes, memory_order_relaxed);
	int64_t active_ms =
		atomic_load_explicit(&connection->client.active_ms, memory_order_relaxed);
	bool own = connection == self;
	bool subscribed = subscriptions_count(connection) > 0;
	bool has_flags =
		subscribed || (own && (connection->client.no_evict || connection->client.no_touch));
	long long age_s = (now_ms - connection->client.created_ms) / 1000;
	long long idle_s = active_ms && active_ms < now_ms ? (now_ms - active_ms) / 1000 : 0;

	buffer_format(out,
		"id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s%s%s%s",
		(unsigned long long)connection->client.asker.id, connection->client.address,
		connection->client.local_address, connection->client.fd, connection->client.name,
		age_s, own ? 0 : idle_s, subscribed ? "P" : "", has_flags ? "" : "N",
		own && connection->client.no_evict ? "e" : "",
		own && connection->client.no_touch ? "T" : "");
	const _Atomic uint32_t *subscriptions = connection->client.shared_subscriptions;
	buffer_format(out, " db=%d sub=%u psub=%u ssub=0 multi=-1",
		atomic_load_explicit(&connection->client.shared_db, memory_order_relaxed),
		atomic_load_explicit(&subscriptions[SUBSCRIPTION_CHANNEL], memory_order_relaxed),
		atomic_load_explicit(&subscriptions[SUBSCRIPTION_PATTERN], memory_order_relaxed));
	buffer_format(out, " qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0", input);
	buffer_format(out, " obl=0 oll=0 omem=%llu tot-mem=%llu events=r", output,
		input + output + sizeof(*connection));
	buffer_format(out, " cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		last ? last->name : "NULL",
		atomic_load_explicit(&connection->client.shared_protocol, memory_order_relaxed),
		connection->client.library_name, connection->client.library_version);
}

static bool matches(const struct filter *filter, const struct connection *connection,
	const struct connection *self, int64_t now_ms)
{
	if (filter->none || (filter->skip_self && connection == self))
		return false;
	bool subscribed = subscriptions_count(connection) > 0;
	if (subscribed ? filter->subscribers_not : filter->subscribers_only)
		return false;
	if (filter->address &&
		!slice_equal(*filter->address, slice_text(connection->client.address)))
		return false;
	if (filter->local_address &&
		!slice_equal(*filter->local_address, slice_text(connection->client.local_address)))
		return false;
	if ((now_ms - connection->client.created_ms) / 1000 < filter->age_s_least)
		return false;
	bool found = filter->id_count == 0;
	for (uint32_t i = 0; i < filter->id_count && !found; i++)
		found = filter->ids[i] == connection->client.asker.id;
	return found;
}

static bool list_one(void *context, struct connection *connection)
{
	struct listing *listing = context;
	if (matches(listing->filter, connection, listing->self, listing->now_ms))
		append_line(&listing->text, connection, listing->self, listing->now_ms);
	return true;
}

/* One's own connection ends when the reply has been sent. */
static bool kill_one(void *context, struct connection *connection)
{
	struct killing *killing = context;
	if (!matches(killing->filter, connection, killing->self, killing->now_ms))
		return true;
	killing->count++;
	if (connection == killing->self)
		killing->self_killed = true;
	else
		net_kill(connection, CLIENT_KILLED);
	return true;
}

static int64_t kill_matching(
	struct connection *self, struct request *request, const struct filter *filter)
{
	struct environment *environment = reply_environment(request);
	struct killing killing = {
		.filter = filter, .self = self, .now_ms = clock_wall_ms(environment->clock)
	};
	net_each_client(environment->net, kill_one, &killing);
	if (killing.self_killed)
		connection_close_after_reply(self);
	return killing.count;
}

/* CLIENT LIST [TYPE type | ID id [id ...]] */
static bool read_list_filter(struct request *request, struct filter *filter)
{
	const struct slice *arguments = request->asked.arguments;
	uint32_t count = request->asked.argument_count;
	if (count == 2)
		return true;
	if (count == 4 && slice_is(arguments[2], "TYPE"))
		return read_type(arguments[3], filter);
	if (count < 4 || !slice_is(arguments[2], "ID")) {
		reply_error(request, ERROR_SYNTAX);
		return false;
	}
	filter->ids = arena_alloc(&request->arena, (count - 3) * sizeof(*filter->ids));
	for (uint32_t i = 3; i < count; i++) {
		int64_t id;
		if (!reply_read_integer(request, i, &id, ERROR_CLIENT_ID))
			return false;
		filter->ids[filter->id_count++] = (uint64_t)id;
	}
	return true;
}

static bool read_id(struct options *options)
{
	struct filter *filter = options->out;
	int64_t id;
	if (!reply_read_integer(filter->request, options->at++, &id, ERROR_CLIENT_ID_POSITIVE))
		return false;
	if (id < 1) {
		reply_error(filter->request, ERROR_CLIENT_ID_POSITIVE);
		return false;
	}
	filter->ids = arena_alloc(&filter->request->arena, sizeof(*filter->ids));
	filter->ids[0] = (uint64_t)id;
	filter->id_count = 1;
	return true;
}

static bool read_age(struct options *options)
{
	struct filter *filter = options->out;
	if (!reply_read_integer(
		    filter->request, options->at++, &filter->age_s_least, ERROR_MAXAGE_INTEGER))
		return false;
	if (filter->age_s_least >= 1)
		return true;
	reply_error(filter->request, ERROR_MAXAGE_POSITIVE);
	return false;
}

static bool read_kind(struct options *options)
{
	return read_type(options_value(options), options->out);
}

static bool read_address(struct options *options)
{
	struct filter *filter = options->out;
	filter->address = &options->asked->arguments[options->at++];
	return true;
}

static bool read_local_address(struct options *options)
{
	struct filter *filter = options->out;
	filter->local_address = &options->asked->arguments[options->at++];
	return true;
}

static bool read_user(struct options *options)
{
	struct filter *filter = options->out;
	struct slice user = options_value(options);
	if (slice_equal(user, slice_text("default")))
		return true;
	reply_error(filter->request, ERROR_NO_SUCH_USER, reply_shown(user), user.data);
	return false;
}

static bool read_skip(struct options *options)
{
	struct filter *filter = options->out;
	struct slice answer = options_value(options);
	filter->skip_self = slice_is(answer, "YES");
	if (filter->skip_self || slice_is(answer, "NO"))
		return true;
	reply_error(filter->request, ERROR_SYNTAX);
	return false;
}

static void say_syntax(struct options *options, bool is_short)
{
	struct filter *filter = options->out;
	reply_error(filter->request, ERROR_SYNTAX);
}

static const struct option kill_rows[] = {
	{ "id", OPTION_ANY, 0, 1, read_id },
	{ "maxage", OPTION_ANY, 0, 1, read_age },
	{ "type", OPTION_ANY, 0, 1, read_kind },
	{ "addr", OPTION_ANY, 0, 1, read_address },
	{ "laddr", OPTION_ANY, 0, 1, read_local_address },
	{ "user", OPTION_ANY, 0, 1, read_user },
	{ "skipme", OPTION_ANY, 0, 1, read_skip },
};

static const struct option_table kill_table = {
	.rows = kill_rows,
	.count = sizeof(kill_rows) / sizeof(kill_rows[0]),
	.repeats = true,
	.misfit = say_syntax,
};

/* CLIENT KILL filter value [filter value ...] */
static bool read_kill_filter(struct filter *filter)
{
	struct options options = { .asked = &filter->request->asked, .out = filter, .at = 2 };
	filter->skip_self = true;
	return options_read(&options, &kill_table, OPTION_ANY);
}

/* Redis's types; every connection here is a normal one or a subscriber. */
static bool read_type(struct slice type, struct filter *filter)
{
	static const char *const others[] = { "master", "replica", "slave" };
	filter->none = false;
	filter->subscribers_not = slice_is(type, "normal");
	filter->subscribers_only = slice_is(type, "pubsub");
	if (filter->subscribers_not || filter->subscribers_only)
		return true;
	filter->none = true;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (slice_is(type, others[i]))
			return true;
	}
	reply_error(filter->request, ERROR_CLIENT_TYPE, reply_shown(type), type.data);
	return false;
}
