/*
 * hash: the two hash functions of the server. XXH3 for tables and checksums; CRC16 for slots,
 * because clients of Redis Cluster compute the same.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

#define HASH_SLOTS 16384

/* XXH3, 64 bits. */
uint64_t hash_bytes(struct slice bytes);
uint64_t hash_bytes_seeded(struct slice bytes, uint64_t seed);
/* CRC-16/XMODEM of the id, or of what stands between its first `{` and the next `}` when that is
 * not empty, modulo 16,384: the slot of Redis Cluster's specification. */
uint16_t hash_slot(struct slice id);

#endif
