/*
 * clock: the machine's clock behind the seam of clock.h.
 */
#include "base/clock.h"

#include <time.h>

static int64_t system_wall_ms(struct clock *clock)
{
	(void)clock;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t system_monotonic_ns(struct clock *clock)
{
	(void)clock;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct clock *clock_system(void)
{
	static struct clock system = { system_wall_ms, system_monotonic_ns };
	return &system;
}
