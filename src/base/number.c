/*
 * number: see number.h.
 */
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool number_parse_u64(struct slice text, uint64_t *out)
{
	if (text.size == 0 || text.size > 20)
		return false;
	if (text.data[0] == '0' && text.size > 1)
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
		if (digit > 9)
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return false;
	}
	*out = value;
	return true;
}

bool number_parse_i64(struct slice text, int64_t *out)
{
	bool negative = text.size > 1 && text.data[0] == '-';
	if (negative) {
		text = slice_of(text.data + 1, text.size - 1);
		if (text.data[0] == '0')
			return false;
	}
	uint64_t magnitude;
	if (!number_parse_u64(text, &magnitude))
		return false;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

bool number_parse_float(struct slice text, long double *out)
{
	char copy[NUMBER_FLOAT_TEXT_MAX];
	if (text.size == 0 || text.size >= sizeof(copy) || isspace((unsigned char)text.data[0]))
		return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	char *end;
	errno = 0;
	long double value = strtold(copy, &end);
	if (end != copy + text.size || !isfinite(value) || (errno == ERANGE && value == 0))
		return false;
	*out = value;
	return true;
}

size_t number_format_i64(char out[NUMBER_I64_TEXT_MAX], int64_t value)
{
	char reversed[NUMBER_I64_TEXT_MAX];
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	size_t count = 0, size = 0;
	do {
		reversed[count++] = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude);
	if (value < 0)
		out[size++] = '-';
	while (count)
		out[size++] = reversed[--count];
	return size;
}

size_t number_format_float(char out[NUMBER_FLOAT_TEXT_MAX], long double value)
{
	int size = snprintf(out, NUMBER_FLOAT_TEXT_MAX, "%.17Lf", value);
	if (size < 0 || size >= NUMBER_FLOAT_TEXT_MAX)
		return 0;
	size_t end = (size_t)size;
	if (memchr(out, '.', end)) {
		while (out[end - 1] == '0')
			end--;
		if (out[end - 1] == '.')
			end--;
	}
	if (end == 2 && out[0] == '-' && out[1] == '0') {
		out[0] = '0';
		end = 1;
	}
	return end;
}

size_t number_format_double(char out[NUMBER_DOUBLE_TEXT_MAX], double value)
{
	if (isnan(value))
		return (size_t)snprintf(out, NUMBER_DOUBLE_TEXT_MAX, "nan");
	if (isinf(value))
		return (size_t)snprintf(out, NUMBER_DOUBLE_TEXT_MAX, value > 0 ? "inf" : "-inf");
	int size = 0;
	for (int digits = 15; digits <= 17; digits++) {
		size = snprintf(out, NUMBER_DOUBLE_TEXT_MAX, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	return (size_t)size;
}

bool number_parse_size(struct slice text, int64_t *out)
{
	static const struct {
		const char *suffix;
		int64_t factor;
	} units[] = {
		{ "b", 1 },
		{ "k", 1000 },
		{ "kb", 1 << 10 },
		{ "m", 1000000 },
		{ "mb", 1 << 20 },
		{ "g", 1000000000 },
		{ "gb", 1 << 30 },
		{ "tb", (int64_t)1 << 40 },
		{ "", 1 },
	};
	size_t digits = 0;
	while (digits < text.size &&
		(isdigit((unsigned char)text.data[digits]) || (digits == 0 && text.data[0] == '-')))
		digits++;
	struct slice suffix = slice_of(text.data + digits, text.size - digits);
	int64_t value;
	if (!number_parse_i64(slice_of(text.data, digits), &value))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (slice_is(suffix, units[i].suffix))
			return !__builtin_mul_overflow(value, units[i].factor, out);
	}
	return false;
}
