/*
 * lease_token: the text by which the holder of a lease is known. It is a pseudo-random function of
 * the grant's serial number under a secret key, so that tokens need neither a system call nor a
 * generator that a simulation cannot repeat, and yet whoever sees any number of them can guess no
 * other.
 */
#ifndef LEASE_LEASE_TOKEN_H
#define LEASE_LEASE_TOKEN_H

#include "base/slice.h"

#include <stdint.h>

/* Bytes of a token: lower-case hexadecimal digits, four bits each. */
#define LEASE_TOKEN_BYTES 32

struct lease_key {
	uint64_t a;
	uint64_t b;
};

/* Writes LEASE_TOKEN_BYTES and a zero. */
void lease_token_make(struct lease_key key, uint64_t serial, char *out);
/* Whether `token` is `given`. The time it takes tells nothing of where they differ. */
bool lease_token_is(const char *token, struct slice given);

#endif
