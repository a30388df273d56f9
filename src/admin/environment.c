/*
 * environment: the part of it that belongs to no other module: notebooks of slow commands and
 * latencies, rates, and what this process is called.
 *
 * Threads: initialised and finished by the main thread while no other runs.
 */
#include "admin/environment.h"

#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>
#include <unistd.h>

void environment_init(struct environment *environment, struct config *config, struct clock *clock)
{
	*environment = (struct environment){ .config = config, .clock = clock };
	environment->slowlog = slowlog_new();
	environment->latency = latency_new(config, clock);
	environment->meter = meter_new();
	environment->started_ms = clock_wall_ms(clock);
	environment->startup_memory = memory_used();
	allowance_read(&environment->allowance, "");

	unsigned char bytes[20];
	random_entropy(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(environment->run_id + 2 * i, 3, "%02x", bytes[i]);
	ssize_t size = readlink(
		"/proc/self/exe", environment->executable, sizeof(environment->executable) - 1);
	environment->executable[size > 0 ? size : 0] = '\0';
}

void environment_fini(struct environment *environment)
{
	slowlog_free(&environment->slowlog);
	latency_free(&environment->latency);
	meter_free(&environment->meter);
}
