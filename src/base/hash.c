/*
 * hash: see hash.h.
 *
 * SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with one round a word
 * and three at the end, as the tables of Rust, Python and Ruby have it. XXH3 with a secret of
 * random bytes would be faster, but nobody claims that it withstands who looks for collisions;
 * SipHash was made for that, and no way is known to tell its values apart from random ones.
 *
 * The secret and the CRC table are made before main runs, so that look-ups need no lock.
 */
#include "base/hash.h"

#include "base/random.h"

#include <assert.h>
#include <endian.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct hash_secret process_secret;
static uint16_t crc16_table[256];

__attribute__((constructor)) static void make_secret(void)
{
	random_entropy(&process_secret, sizeof(process_secret));
}

__attribute__((constructor)) static void crc16_fill(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint16_t crc = (uint16_t)(byte << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
		crc16_table[byte] = crc;
	}
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotated(uint64_t number, int bits)
{
	return number << bits | number >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v2 += sip->v3;
	sip->v1 = rotated(sip->v1, 13) ^ sip->v0;
	sip->v3 = rotated(sip->v3, 16) ^ sip->v2;
	sip->v0 = rotated(sip->v0, 32) + sip->v3;
	sip->v2 += sip->v1;
	sip->v3 = rotated(sip->v3, 21) ^ sip->v0;
	sip->v1 = rotated(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotated(sip->v2, 32);
}

static inline void sip_word(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
}

/* The constants are the paper's. */
static inline struct sip sip_start(const struct hash_secret *secret)
{
	return (struct sip){ secret->a ^ 0x736f6d6570736575u, secret->b ^ 0x646f72616e646f6du,
		secret->a ^ 0x6c7967656e657261u, secret->b ^ 0x7465646279746573u };
}

static inline uint64_t word_at(const char *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* The bytes behind `before` others: the last word holds those left over, and how many there were in
 * all. */
static inline uint64_t sip_finish(struct sip sip, struct slice bytes, size_t before)
{
	size_t whole = bytes.size & ~(size_t)7, left = bytes.size & 7;
	for (size_t i = 0; i < whole; i += 8)
		sip_word(&sip, word_at(bytes.data + i));
	uint64_t last = (uint64_t)(before + bytes.size) << 56;
	if (left && whole) {
		/* The word that ends with them, without what has been taken of it. */
		last |= word_at(bytes.data + bytes.size - 8) >> (64 - 8 * left);
	} else {
		for (size_t i = 0; i < left; i++)
			last |= (uint64_t)(unsigned char)bytes.data[i] << (8 * i);
	}
	sip_word(&sip, last);
	sip.v2 ^= 0xff;
	sip_round(&sip);
	sip_round(&sip);
	sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

uint64_t hash_secretly(const struct hash_secret *secret, struct slice bytes)
{
	return sip_finish(sip_start(secret), bytes, 0);
}

uint64_t hash_bytes(struct slice bytes)
{
	return sip_finish(sip_start(&process_secret), bytes, 0);
}

uint64_t hash_bytes_seeded(struct slice bytes, uint64_t seed)
{
	struct sip sip = sip_start(&process_secret);
	sip_word(&sip, seed);
	return sip_finish(sip, bytes, sizeof(seed));
}

void hash_beginnings_init(struct hash_beginnings *beginnings, const char *bytes, uint64_t seed)
{
	struct sip sip = sip_start(&process_secret);
	sip_word(&sip, seed);
	*beginnings = (struct hash_beginnings){ .state = { sip.v0, sip.v1, sip.v2, sip.v3 },
		.bytes = bytes };
}

uint64_t hash_beginnings_at(struct hash_beginnings *beginnings, size_t size)
{
	uint64_t *state = beginnings->state;
	struct sip sip = { state[0], state[1], state[2], state[3] };
	assert(size >= beginnings->taken);
	for (; size - beginnings->taken >= 8; beginnings->taken += 8)
		sip_word(&sip, word_at(beginnings->bytes + beginnings->taken));
	state[0] = sip.v0, state[1] = sip.v1, state[2] = sip.v2, state[3] = sip.v3;
	struct slice left =
		slice_of(beginnings->bytes + beginnings->taken, size - beginnings->taken);
	return sip_finish(sip, left, sizeof(uint64_t) + beginnings->taken);
}

void hash_set_process_secret(struct hash_secret secret)
{
	process_secret = secret;
}

uint64_t hash_checksum(struct slice bytes, uint64_t seed)
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
