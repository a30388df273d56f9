/*
 * damage: bytes under a store key that no turn has written, and the look at them that is a fault.
 */
#ifndef TEST_SUPPORT_DAMAGE_H
#define TEST_SUPPORT_DAMAGE_H

#include "store/store.h"
#include "support/fault_text.h"

/* Nobody waits for it: it is as old as what the store has. */
static inline void damage_put(struct store *store, uint16_t shard, struct slice key, uint8_t type,
	int64_t expire_ms, struct slice bytes)
{
	struct effect effect = {
		.kind = EFFECT_PUT,
		.type = type,
		.shard = shard,
		.expire_ms = expire_ms,
		.key = key,
		.value = bytes,
	};
	store_apply(store, &effect, store_last_lsn(store));
}

#endif
