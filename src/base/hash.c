/*
 * hash: see hash.h. The CRC table is computed at first use of the process, before threads exist
 * (a constructor), so look-ups need no lock.
 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint16_t crc16_table[256];

__attribute__((constructor)) static void crc16_fill(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint16_t crc = (uint16_t)(byte << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
		crc16_table[byte] = crc;
	}
}

uint64_t hash_bytes(struct slice bytes)
{
	return XXH3_64bits(bytes.data, bytes.size);
}

uint64_t hash_bytes_seeded(struct slice bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

/* What of the id is hashed: see hash_slot. */
static struct slice hash_tag(struct slice id)
{
	const char *open = id.size ? memchr(id.data, '{', id.size) : NULL;
	if (open == NULL)
		return id;
	const char *start = open + 1;
	size_t left = id.size - (size_t)(start - id.data);
	const char *close = left ? memchr(start, '}', left) : NULL;
	return close && close > start ? slice_of(start, (size_t)(close - start)) : id;
}

uint16_t hash_slot(struct slice id)
{
	struct slice tag = hash_tag(id);
	uint16_t crc = 0;
	for (size_t i = 0; i < tag.size; i++)
		crc = (uint16_t)((crc << 8) ^ crc16_table[(crc >> 8) ^ (uint8_t)tag.data[i]]);
	return crc % HASH_SLOTS;
}
