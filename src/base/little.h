/*
 * little: numbers in bytes on disk, lowest byte first, wherever they stand.
 */
#ifndef BASE_LITTLE_H
#define BASE_LITTLE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Each returns the place behind what it has put. */
static inline char *little_put_16(char *at, uint16_t number)
{
	number = htole16(number);
	memcpy(at, &number, sizeof(number));
	return at + sizeof(number);
}

static inline char *little_put_32(char *at, uint32_t number)
{
	number = htole32(number);
	memcpy(at, &number, sizeof(number));
	return at + sizeof(number);
}

static inline char *little_put_64(char *at, uint64_t number)
{
	number = htole64(number);
	memcpy(at, &number, sizeof(number));
	return at + sizeof(number);
}

static inline uint16_t little_get_16(const char *at)
{
	uint16_t number;
	memcpy(&number, at, sizeof(number));
	return le16toh(number);
}

static inline uint32_t little_get_32(const char *at)
{
	uint32_t number;
	memcpy(&number, at, sizeof(number));
	return le32toh(number);
}

static inline uint64_t little_get_64(const char *at)
{
	uint64_t number;
	memcpy(&number, at, sizeof(number));
	return le64toh(number);
}

#endif
