/*
 * lease_token: see lease_token.h. The function is SipHash-2-4 with 128 bits of output (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF", 2012) of the serial number's eight bytes, the
 * lowest first: more rounds than tables are content with, because a token opens a door.
 *
 * Threads: any; there is no state.
 */
#include "lease/lease_token.h"

#include <assert.h>

struct sip {
	uint64_t v[4];
};

static void rounds(struct sip *sip, int count);
static uint64_t folded(const struct sip *sip);
static char *put_hex(char *out, uint64_t number);

void lease_token_make(struct lease_key key, uint64_t serial, char *out)
{
	/* The constants are the paper's; 0xee in the second word stands for the long output. */
	struct sip sip = { { key.a ^ 0x736f6d6570736575u, key.b ^ 0x646f72616e646f6du ^ 0xee,
		key.a ^ 0x6c7967656e657261u, key.b ^ 0x7465646279746573u } };
	const uint64_t last = (uint64_t)sizeof(serial) << 56; /* no bytes left over, and the size */
	sip.v[3] ^= serial;
	rounds(&sip, 2);
	sip.v[0] ^= serial;
	sip.v[3] ^= last;
	rounds(&sip, 2);
	sip.v[0] ^= last;
	sip.v[2] ^= 0xee;
	rounds(&sip, 4);
	char *end = put_hex(out, folded(&sip));
	sip.v[1] ^= 0xdd;
	rounds(&sip, 4);
	end = put_hex(end, folded(&sip));
	assert(end == out + LEASE_TOKEN_BYTES);
	*end = '\0';
}

bool lease_token_is(const char *token, struct slice given)
{
	if (given.size != LEASE_TOKEN_BYTES)
		return false;
	volatile unsigned char difference = 0;
	for (size_t i = 0; i < LEASE_TOKEN_BYTES; i++)
		difference = difference | (unsigned char)(token[i] ^ given.data[i]);
	return difference == 0;
}

static uint64_t rotated(uint64_t number, int bits)
{
	return number << bits | number >> (64 - bits);
}

static void rounds(struct sip *sip, int count)
{
	uint64_t *v = sip->v;
	for (int i = 0; i < count; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotated(v[1], 13) ^ v[0];
		v[3] = rotated(v[3], 16) ^ v[2];
		v[0] = rotated(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotated(v[1], 17) ^ v[2];
		v[3] = rotated(v[3], 21) ^ v[0];
		v[2] = rotated(v[2], 32);
	}
}

static uint64_t folded(const struct sip *sip)
{
	return sip->v[0] ^ sip->v[1] ^ sip->v[2] ^ sip->v[3];
}

/* Bytes in the order in which the paper writes them out, the lowest first. */
static char *put_hex(char *out, uint64_t number)
{
	static const char digits[] = "0123456789abcdef";
	for (int shift = 0; shift < 64; shift += 8) {
		*out++ = digits[number >> (shift + 4) & 15];
		*out++ = digits[number >> shift & 15];
	}
	return out;
}
