/*
 * net: puts loops and listeners together; see net.h. Loop i has port i of the engine. Workers come
 * first; with `io-threads` the loops behind them have the connections and workers have none.
 */
#include "net/net_private.h"

#include "base/memory.h"
#include "net/figures.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int net_open(struct net **out, const struct net_options *options, char *error, size_t error_size)
{
	struct net *net = memory_zeroed(sizeof(*net));
	net->options = *options;
	net->engine = options->engine;
	net->config = options->config;
	net->next_client_id = 1;
	pthread_mutex_init(&net->clients_lock, NULL);
	int result = listener_open_all(net, error, error_size);
	if (result < 0) {
		listener_close_sockets(net);
		memory_free(net);
		return result;
	}
	net->loop_count = net->engine->port_count - 1;
	net->first_serving =
		net->loop_count > net->engine->worker_count ? net->engine->worker_count : 0;
	net->loops_serving = net->loop_count;
	net->loops = memory_zeroed(net->loop_count * sizeof(*net->loops));
	subscriptions_open(net);
	figures_open(net);
	for (uint16_t i = 0; i < net->loop_count && result == 0; i++)
		result = loop_open(&net->loops[i], net, i);
	if (result == 0)
		result = listener_start_all(net);
	if (result < 0) {
		/* Only a machine without descriptors or memory gets here. */
		snprintf(error, error_size, "cannot make event loops: %s", uv_strerror(result));
		return result;
	}
	*out = net;
	return 0;
}

static void run_thread(void *context)
{
	struct net_loop *loop = context;
	char name[16];
	snprintf(name, sizeof(name), "holdfast-%u", loop->number);
	pthread_setname_np(pthread_self(), name);
	loop_run(loop);
}

void net_run(struct net *net)
{
	for (uint16_t i = 1; i < net->loop_count; i++) {
		int failed = uv_thread_create(&net->loops[i].thread, run_thread, &net->loops[i]);
		assert(!failed);
	}
	loop_run(&net->loops[0]);
	for (uint16_t i = 1; i < net->loop_count; i++)
		uv_thread_join(&net->loops[i].thread);
}

void net_stop(struct net *net)
{
	net->stopping = true;
	for (uint16_t i = 0; i < net->loop_count; i++)
		loop_wake(&net->loops[i]);
}

void net_reload(struct net *net)
{
	net->reloading = true;
	loop_wake(&net->loops[0]);
}

void net_close(struct net **taken)
{
	struct net *net = *taken;
	*taken = NULL;
	listener_close_sockets(net);
	for (uint16_t i = 0; i < net->loop_count; i++)
		loop_close(&net->loops[i]);
	subscriptions_close(net);
	figures_close(net);
	pthread_mutex_destroy(&net->clients_lock);
	memory_free(net->loops);
	memory_free(net);
}

struct uv_loop_s *net_uv_loop(struct net *net, uint16_t loop)
{
	return &net->loops[loop].uv;
}

void *net_environment(const struct net *net)
{
	return net->options.environment;
}

int net_port(const struct net *net)
{
	return net->port;
}

void net_each_client(struct net *net, net_client_fn each, void *context)
{
	pthread_mutex_lock(&net->clients_lock);
	bool more = true;
	for (uint16_t i = 0; i < net->loop_count && more; i++) {
		for (struct connection *connection = net->loops[i].clients; connection && more;
			connection = connection->next)
			more = each(context, connection);
	}
	pthread_mutex_unlock(&net->clients_lock);
}

void net_kill(struct connection *connection, enum client_kill why)
{
	connection->client.kill = (uint8_t)why;
	connection->loop->look_for_kills = true;
	loop_wake(connection->loop);
}

/* What those noted before hold counts as gone. */
void net_shed_output(struct net *net)
{
	struct connection *largest = NULL;
	pthread_mutex_lock(&net->clients_lock);
	uint64_t left = net->engine->output_bytes;
	for (uint16_t i = 0; i < net->loop_count; i++) {
		for (struct connection *connection = net->loops[i].clients; connection;
			connection = connection->next) {
			uint64_t bytes = connection->client.shared_output_bytes;
			if (connection->client.kill)
				left -= bytes < left ? bytes : left;
			else if (largest == NULL || bytes > largest->client.shared_output_bytes)
				largest = connection;
		}
	}
	if (largest && left > (uint64_t)net->config->output_bytes_max)
		net_kill(largest, CLIENT_SHED);
	pthread_mutex_unlock(&net->clients_lock);
}
