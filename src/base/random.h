/*
 * random: a small fast generator for choices that need no secrecy (jitter, sampling, simulation
 * seeds), and the kernel's entropy for those that do.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

void random_seed(struct random *random, uint64_t seed);
/* splitmix64 (Steele, Lea, Flood 2014): every seed is good, the period is 2^64. */
uint64_t random_next(struct random *random);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);
/* Bytes from getrandom(2), fit for secrets; aborts when the kernel has none to give. */
void random_entropy(void *out, size_t size);

#endif
