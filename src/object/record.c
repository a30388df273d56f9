/*
 * record: see record.h. A byte of flags says which groups follow; every number is a varint, seven
 * bits a byte, the lowest first, the highest bit set on all but the last:
 *
 *   +-------+------+-------+---------+---------+--------
 *   | flags | keys | bytes | created | changed | groups
 *   +-------+------+-------+---------+---------+--------
 *
 * The record is written with each change of its object, so an object of a counter or two should
 * cost some twenty bytes, not the size of the struct. There is one way to write a record: numbers
 * are as short as can be, a group that says nothing is left out. Anything else is damage.
 *
 * The bytes are described in include/holdfast/object_format.h. No state, safe from every thread.
 */
#include "object/record.h"

#include "holdfast/object_format.h"

#include <assert.h>

static uint8_t flags_of(const struct object_record *record);
static void add(char **next, uint64_t number);
static void add_ms(char **next, int64_t time_ms);
static bool take(struct slice *rest, uint64_t *out);
static bool take_u32(struct slice *rest, uint32_t *out);
static bool take_ms(struct slice *rest, int64_t *out);
static bool take_groups(struct slice *rest, uint8_t flags, struct object_record *out);

size_t record_encode(const struct object_record *record, char out[RECORD_BYTES_MAX])
{
	uint8_t flags = flags_of(record);
	char *next = out;
	*next++ = (char)flags;
	add(&next, record->values.count);
	add(&next, record->values.bytes);
	add_ms(&next, record->created_ms);
	add_ms(&next, record->changed_ms);
	if (flags & OBJECT_FORMAT_FLAG_INCARNATION)
		add(&next, record->values.incarnation);
	if (flags & OBJECT_FORMAT_FLAG_SWEEP) {
		add(&next, record->values.oldest);
		add_ms(&next, record->sweep_filed_ms);
	}
	if (flags & OBJECT_FORMAT_FLAG_SCHEDULES)
		add(&next, record->schedules);
	if (flags & OBJECT_FORMAT_FLAG_SERIAL)
		add(&next, record->alarm_serial);
	if (flags & OBJECT_FORMAT_FLAG_ALARM) {
		add_ms(&next, record->alarm_ms);
		add_ms(&next, record->alarm_due_ms);
		add(&next, record->alarm_tries);
	}
	if (flags & OBJECT_FORMAT_FLAG_LIFE) {
		add_ms(&next, record->expire_ms);
		add_ms(&next, record->expire_filed_ms);
		add_ms(&next, record->life_ms);
	}
	assert(next - out <= RECORD_BYTES_MAX);
	return (size_t)(next - out);
}

bool record_decode(struct slice bytes, struct object_record *out)
{
	*out = (struct object_record){ 0 };
	if (bytes.size == 0)
		return false;
	uint8_t flags = (uint8_t)bytes.data[0];
	struct slice rest = slice_of(bytes.data + 1, bytes.size - 1);
	return take(&rest, &out->values.count) && take(&rest, &out->values.bytes) &&
		take_ms(&rest, &out->created_ms) && take_ms(&rest, &out->changed_ms) &&
		take_groups(&rest, flags, out) && rest.size == 0 && flags == flags_of(out) &&
		out->values.oldest <= out->values.incarnation &&
		out->expire_filed_ms <= out->expire_ms;
}

static uint8_t flags_of(const struct object_record *record)
{
	bool sweeps = record->sweep_filed_ms != 0;
	assert(sweeps || record->values.oldest == record->values.incarnation);
	return (record->values.incarnation != 0 ? OBJECT_FORMAT_FLAG_INCARNATION : 0) |
		(sweeps ? OBJECT_FORMAT_FLAG_SWEEP : 0) |
		(record->schedules != 0 ? OBJECT_FORMAT_FLAG_SCHEDULES : 0) |
		(record->alarm_serial != 0 ? OBJECT_FORMAT_FLAG_SERIAL : 0) |
		(record->alarm_ms != 0 ? OBJECT_FORMAT_FLAG_ALARM : 0) |
		(record->expire_ms != 0 ? OBJECT_FORMAT_FLAG_LIFE : 0);
}

static void add(char **next, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*(*next)++ = (char)(uint8_t)(number | 0x80);
	*(*next)++ = (char)(uint8_t)number;
}

static void add_ms(char **next, int64_t time_ms)
{
	assert(time_ms >= 0);
	add(next, (uint64_t)time_ms);
}

static bool take(struct slice *rest, uint64_t *out)
{
	uint64_t number = 0;
	for (size_t i = 0; i < rest->size && i < OBJECT_FORMAT_VARINT_BYTES_MAX; i++) {
		uint8_t byte = (uint8_t)rest->data[i];
		uint64_t part = byte & 0x7f;
		number |= part << (7 * i);
		if (byte & 0x80)
			continue;
		bool shortest = byte != 0 || i == 0;
		bool fits = i < OBJECT_FORMAT_VARINT_BYTES_MAX - 1 || part <= 1;
		*rest = slice_of(rest->data + i + 1, rest->size - i - 1);
		*out = number;
		return shortest && fits;
	}
	return false;
}

static bool take_u32(struct slice *rest, uint32_t *out)
{
	uint64_t number;
	if (!take(rest, &number) || number > UINT32_MAX)
		return false;
	*out = (uint32_t)number;
	return true;
}

static bool take_ms(struct slice *rest, int64_t *out)
{
	uint64_t number;
	if (!take(rest, &number) || number > INT64_MAX)
		return false;
	*out = (int64_t)number;
	return true;
}

static bool take_groups(struct slice *rest, uint8_t flags, struct object_record *out)
{
	if (flags & OBJECT_FORMAT_FLAG_INCARNATION && !take_u32(rest, &out->values.incarnation))
		return false;
	out->values.oldest = out->values.incarnation;
	if (flags & OBJECT_FORMAT_FLAG_SWEEP &&
		(!take_u32(rest, &out->values.oldest) || !take_ms(rest, &out->sweep_filed_ms) ||
			out->sweep_filed_ms == 0))
		return false;
	if (flags & OBJECT_FORMAT_FLAG_SCHEDULES && !take_u32(rest, &out->schedules))
		return false;
	if (flags & OBJECT_FORMAT_FLAG_SERIAL && !take_u32(rest, &out->alarm_serial))
		return false;
	if (flags & OBJECT_FORMAT_FLAG_ALARM &&
		(!take_ms(rest, &out->alarm_ms) || !take_ms(rest, &out->alarm_due_ms) ||
			!take_u32(rest, &out->alarm_tries)))
		return false;
	return !(flags & OBJECT_FORMAT_FLAG_LIFE) ||
		(take_ms(rest, &out->expire_ms) && take_ms(rest, &out->expire_filed_ms) &&
			take_ms(rest, &out->life_ms));
}
