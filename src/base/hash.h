/*
 * hash: the hash functions of the server.
 *
 *   tables      SipHash-1-3 under a secret: whoever does not know it cannot choose keys that meet
 *               in one place. Tables in memory share the process's secret; positions on disk have
 *               one that is kept with the data.
 *   checksums   XXH3: fast, and no obstacle to who means harm.
 *   slots       CRC16, because clients of Redis Cluster compute the same.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

#define HASH_SLOTS 16384

struct hash_secret {
	uint64_t a, b;
};

/* Under the process's secret: for tables in memory, never for what is stored or sent. */
uint64_t hash_bytes(struct slice bytes);
/* The same of a number and bytes: for what is found by both. */
uint64_t hash_bytes_seeded(struct slice bytes, uint64_t seed);
/* The same of beginnings of some bytes, from the shortest to the longest: each byte is read once.
 */
struct hash_beginnings {
	uint64_t state[4];
	const char *bytes;
	size_t taken;
};
void hash_beginnings_init(struct hash_beginnings *beginnings, const char *bytes, uint64_t seed);
uint64_t hash_beginnings_at(struct hash_beginnings *beginnings, size_t size);
/* Makes the process's secret known, in place of the random one: for simulations, which must repeat.
 * Before anything has been hashed. */
void hash_set_process_secret(struct hash_secret secret);

/* SipHash-1-3, 64 bits: the same everywhere for the same secret. */
uint64_t hash_secretly(const struct hash_secret *secret, struct slice bytes);
/* XXH3, 64 bits: the same everywhere. */
uint64_t hash_checksum(struct slice bytes, uint64_t seed);

/* CRC-16/XMODEM of the id, or of what stands between its first `{` and the next `}` when that is
 * not empty, modulo 16,384: the slot of Redis Cluster's specification. */
uint16_t hash_slot(struct slice id);

/* A shard is a range of slots next to each other, all of about the same length: so a shard can be
 * named in a line, and moved as a whole. `shards` is 1 to HASH_SLOTS. */
static inline uint16_t hash_shard_of(uint16_t slot, uint16_t shards)
{
	return (uint16_t)((uint32_t)slot * shards / HASH_SLOTS);
}

/* The first slot of the shard; of `shards` itself: HASH_SLOTS. */
static inline uint16_t hash_first_slot(uint16_t shard, uint16_t shards)
{
	return (uint16_t)(((uint32_t)shard * HASH_SLOTS + shards - 1) / shards);
}

#endif
