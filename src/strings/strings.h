/*
 * strings: the handlers of Redis's string and key commands, one a command, with the semantics,
 * reply types and error texts of Redis 7.2. `strings_` work on values, `keys_` on keys whatever
 * they hold.
 *
 * Three commands are other commands by another name and share their handlers: SUBSTR is GETRANGE,
 * UNLINK is DEL (freeing is never slow here), TOUCH is EXISTS (no access times are kept).
 *
 * Every handler runs in a turn that holds the shards its command's route names. A key longer than
 * LIMIT_KEY_BYTES is an error everywhere, in reads too. No handler writes when it only reads.
 */
#ifndef STRINGS_STRINGS_H
#define STRINGS_STRINGS_H

#include "request/turn.h"

/* ROUTE_KEYS: one key, index 1. */
void strings_get(struct turn *turn);
void strings_set(struct turn *turn);
void strings_setex(struct turn *turn);
void strings_psetex(struct turn *turn);
void strings_setnx(struct turn *turn);
void strings_getset(struct turn *turn);
void strings_getdel(struct turn *turn);
void strings_getex(struct turn *turn);
void strings_append(struct turn *turn);
void strings_strlen(struct turn *turn);
void strings_getrange(struct turn *turn); /* and SUBSTR */
void strings_setrange(struct turn *turn);
void strings_incr(struct turn *turn);
void strings_decr(struct turn *turn);
void strings_incrby(struct turn *turn);
void strings_decrby(struct turn *turn);
void strings_incrbyfloat(struct turn *turn);
void keys_type(struct turn *turn);
void keys_move(struct turn *turn); /* the same key of another database is in the same shard */
void keys_expire(struct turn *turn);
void keys_pexpire(struct turn *turn);
void keys_expireat(struct turn *turn);
void keys_pexpireat(struct turn *turn);
void keys_ttl(struct turn *turn);
void keys_pttl(struct turn *turn);
void keys_expiretime(struct turn *turn);
void keys_pexpiretime(struct turn *turn);
void keys_persist(struct turn *turn);

/* ROUTE_KEYS: keys from index 1 to the last. */
void strings_mget(struct turn *turn);
void keys_del(struct turn *turn);    /* and UNLINK */
void keys_exists(struct turn *turn); /* and TOUCH */

/* ROUTE_KEYS: keys from index 1 to the last, every second argument. */
void strings_mset(struct turn *turn);
void strings_msetnx(struct turn *turn);

/* ROUTE_KEYS: keys at index 1 and 2. */
void keys_rename(struct turn *turn);
void keys_renamenx(struct turn *turn);
void keys_copy(struct turn *turn);

/* ROUTE_KEYS: subcommands, the key at index 2. */
void keys_object_encoding(struct turn *turn);
void keys_object_freq(struct turn *turn);
void keys_object_idletime(struct turn *turn);
void keys_object_refcount(struct turn *turn);
void keys_memory_usage(struct turn *turn);

/* ROUTE_WALK. */
void keys_scan(struct turn *turn);
void keys_keys(struct turn *turn);
void keys_randomkey(struct turn *turn);
void keys_dbsize(struct turn *turn);

/* ROUTE_ALL. */
void keys_flushdb(struct turn *turn);
void keys_flushall(struct turn *turn);

#endif
