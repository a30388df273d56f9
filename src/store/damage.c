/*
 * damage: see damage.h. A key is shown as it would stand in a string of C, cut where it gets long.
 * The id of a session opens it, so a log line may not have it: of tables whose keys may hold one,
 * only the bytes before it are shown. These contain the hash by which the table is ordered, which
 * finds the key again for who has the data.
 *
 * Threads: any.
 */
#include "store/damage.h"

#include "base/fault.h"
#include "store/key.h"

#include <stdio.h>

#define SHOWN_BYTES_MAX 64

/* How many bytes of the key may be shown. */
static size_t shown_bytes(struct slice key)
{
	size_t most = SHOWN_BYTES_MAX;
	switch (key.size > 0 ? (uint8_t)key.data[0] : 0) {
	case TABLE_STRING:
		most = KEY_STRING_PREFIX_BYTES;
		break;
	case TABLE_SESSION:
		most = 1 + KEY_HASH_BITS / 8;
		break;
	case TABLE_SESSION_USER:
		most = 1;
		break;
	}
	return key.size < most ? key.size : most;
}

void damaged(const char *what, uint16_t shard, struct slice key)
{
	char text[4 * SHOWN_BYTES_MAX + 1] = "";
	size_t shown = shown_bytes(key);
	for (size_t i = 0, at = 0; i < shown; i++) {
		uint8_t byte = (uint8_t)key.data[i];
		bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, is_plain ? "%c" : "\\x%02x", byte);
	}
	fault_of_data("%s is damaged: shard %u, table %u, key of %zu bytes \"%s%s\"", what, shard,
		key.size > 0 ? (uint8_t)key.data[0] : 0, key.size, text,
		shown < key.size ? "..." : "");
}
