/*
 * record: see record.h. One record is
 *
 *      +------+---------+----------------------+-----+-------+-----+-----------------+
 *      | size | effects | kind type shard key# | key | value | ... | zeros to 8      |
 *      | u32  | u32     | value# expire        |     |       |     |                 |
 *      +------+---------+----------------------+-----+-------+-----+-----------------+
 *
 * Effects are packed, not aligned: a record of one small effect is the common case, and bytes here
 * are bytes that a disk must take before a client is answered. The reader trusts nothing: what it
 * is given has passed a checksum when it comes from the log, but need not come from there.
 *
 * No state, no threads.
 */
#include "log/record.h"

#include "holdfast/log_format.h"

#include <assert.h>
#include <errno.h>

static size_t round_up(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

size_t record_size(const struct effect *effects, size_t count)
{
	size_t size = LOG_RECORD_HEADER_BYTES + count * LOG_EFFECT_HEADER_BYTES;
	for (size_t i = 0; i < count; i++)
		size += effects[i].key.size + effects[i].value.size;
	return round_up(size);
}

static char *append(char *out, const void *bytes, size_t size)
{
	if (size)
		memcpy(out, bytes, size);
	return out + size;
}

void record_write(char *out, const struct effect *effects, size_t count)
{
	char *next = out + LOG_RECORD_HEADER_BYTES;
	for (size_t i = 0; i < count; i++) {
		const struct effect *effect = &effects[i];
		assert(effect->kind == EFFECT_PUT || effect->kind == EFFECT_DELETE);
		assert(effect->key.size <= UINT32_MAX);
		assert(effect->value.size <= UINT32_MAX);
		struct log_effect_header header = {
			.kind = (uint8_t)effect->kind,
			.type = effect->type,
			.shard = effect->shard,
			.key_bytes = (uint32_t)effect->key.size,
			.value_bytes = (uint32_t)effect->value.size,
			.expire_ms = effect->expire_ms,
		};
		next = append(next, &header, sizeof(header));
		next = append(next, effect->key.data, effect->key.size);
		next = append(next, effect->value.data, effect->value.size);
	}
	size_t used = (size_t)(next - out);
	size_t size = round_up(used);
	assert(size <= UINT32_MAX);
	memset(next, 0, size - used);
	struct log_record_header header = { .size = (uint32_t)size, .effects = (uint32_t)count };
	memcpy(out, &header, sizeof(header));
}

bool record_next(struct slice *bytes, struct record_reader *reader)
{
	struct log_record_header header;
	if (bytes->size < sizeof(header))
		return false;
	memcpy(&header, bytes->data, sizeof(header));
	if (header.size < sizeof(header) || header.size % 8 != 0 || header.size > bytes->size)
		return false;
	size_t body = header.size - sizeof(header);
	if (header.effects > body / LOG_EFFECT_HEADER_BYTES)
		return false;
	reader->left = slice_of(bytes->data + sizeof(header), body);
	reader->effects_left = header.effects;
	*bytes = slice_of(bytes->data + header.size, bytes->size - header.size);
	return true;
}

int record_next_effect(struct record_reader *reader, struct effect *effect)
{
	struct slice left = reader->left;
	if (reader->effects_left == 0)
		return left.size < 8 ? 0 : -EBADMSG;
	struct log_effect_header header;
	if (left.size < sizeof(header))
		return -EBADMSG;
	memcpy(&header, left.data, sizeof(header));
	size_t body = (size_t)header.key_bytes + header.value_bytes;
	if (body > left.size - sizeof(header))
		return -EBADMSG;
	if (header.kind != EFFECT_PUT && header.kind != EFFECT_DELETE)
		return -EBADMSG;
	const char *key = left.data + sizeof(header);
	*effect = (struct effect){
		.kind = header.kind,
		.type = header.type,
		.shard = header.shard,
		.expire_ms = header.expire_ms,
		.key = slice_of(key, header.key_bytes),
		.value = slice_of(key + header.key_bytes, header.value_bytes),
	};
	size_t taken = sizeof(header) + body;
	reader->left = slice_of(left.data + taken, left.size - taken);
	reader->effects_left--;
	return 1;
}
