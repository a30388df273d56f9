/*
 * number: text to numbers and back, with Redis's strictness.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/slice.h"

#include <stdint.h>

#define NUMBER_I64_TEXT_MAX   21 /* bytes, sign included, no terminator */
#define NUMBER_FLOAT_TEXT_MAX 5120
/* Sign, 17 digits, point, exponent, a terminator. */
#define NUMBER_DOUBLE_TEXT_MAX 32

/* Decimal, no plus sign, no leading zeros, no blanks, whole slice: Redis's string2ll. */
bool number_parse_i64(struct slice text, int64_t *out);
bool number_parse_u64(struct slice text, uint64_t *out);
/* A finite long double; the whole slice, no leading blanks. */
bool number_parse_float(struct slice text, long double *out);
/* Bytes written to `out`, not terminated. */
size_t number_format_i64(char out[NUMBER_I64_TEXT_MAX], int64_t value);
/* Fixed notation, 17 decimals, trailing zeros cut: what INCRBYFLOAT stores. */
size_t number_format_float(char out[NUMBER_FLOAT_TEXT_MAX], long double value);
/* The shortest of 15 to 17 digits that reads back as the same; `inf`, `-inf`, `nan`: as RESP has
 * doubles. Terminated. */
size_t number_format_double(char out[NUMBER_DOUBLE_TEXT_MAX], double value);
/* `100`, `64kb`, `64k` (1000s), `1mb`, `1gb`: redis.conf's sizes, in bytes. */
bool number_parse_size(struct slice text, int64_t *out);

#endif
