/*
 * damage: what a reader of stored bytes does when it finds what this program cannot have written:
 * it names it and ends the process. Nothing is ever taken for what it might have been.
 *
 * Bytes are looked at where they leave the store: whoever parses a store key or a value says here
 * what does not fit, so that all behind it may trust what it gets (and assert it). The store's own
 * bytes in LMDB are looked at by the tree, which ends the same way (tree_fail).
 */
#ifndef STORE_DAMAGE_H
#define STORE_DAMAGE_H

#include "base/slice.h"

#include <stdint.h>

/* `what` is a noun with its article: "the record of an object". The line shows the shard, the table
 * and the key, but never what may be the id of a session. Any thread. */
_Noreturn void damaged(const char *what, uint16_t shard, struct slice key);

#endif
