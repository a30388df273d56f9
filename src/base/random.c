/*
 * random: see random.h.
 */
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

void random_seed(struct random *random, uint64_t seed)
{
	random->state = seed;
}

uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	assert(bound > 0);
	return (uint64_t)(((unsigned __int128)random_next(random) * bound) >> 64);
}

void random_entropy(void *out, size_t size)
{
	char *next = out;
	while (size) {
		ssize_t got = getrandom(next, size, 0);
		if (got <= 0)
			abort();
		next += got;
		size -= (size_t)got;
	}
}
