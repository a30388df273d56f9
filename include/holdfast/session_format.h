/*
 * The bytes of what sessions store, so that one could read them without this program. Compiles
 * alone. Where they stand is said in store_format.h and log_format.h.
 *
 *
 * STORE KEYS of sessions. A session and what belongs to it lie in one shard: that of the id by
 * which it was created (store_format.h). Ids that the server makes lie where they are to lie.
 * Numbers in keys are big endian.
 *
 *   09 | hash 5 | form 1 | name             what is known of an id: type 6
 *   0a | user size 2 | user | form 1 | name a live session of a user: type 3, empty
 *   0b                                      how many entries of kind 1 the shard has: type 1
 *
 * form 0: the name is the id, 1 to 2,048 bytes. form 1: the name is the SHA-256 of the id, 32
 * bytes (session-id-hashing). hash: the upper 40 bits of SipHash-1-3 of form and name under
 * the store's secret (store_format.h), which gives SESSION.SCAN an order that a number can name.
 *
 *
 * WHAT IS KNOWN OF AN ID (type 6). Numbers are little endian, times milliseconds since 1970-01-01
 * UTC, signed. The first byte is the kind.
 *
 *   kind 1, a session:
 *   0      1   2           4      8        16        24        32        40       48         56
 *   +------+---+-----------+------+--------+---------+---------+---------+--------+----------+
 *   | kind | 0 | user size | boot | serial | version | created | updated | ttl ms | absolute |
 *   +------+---+-----------+------+--------+---------+---------+---------+--------+----------+
 *   56      64     64 + user size
 *   +-------+------+------+
 *   | bound | user | JSON |
 *   +-------+------+------+
 *
 *   serial    random; stays when the id is changed
 *   ttl ms    the sliding life; absolute: the end that no use moves, 0: none
 *   bound     the session ends no later than this unless it is written again: uses up to there are
 *             kept in memory only
 *   boot      names the run of the server that wrote it: in that run, and unless memory knows of a
 *             later use, the session ends at the value's expiry, in later runs at `bound`
 *
 *   kind 2, an id that was changed (SESSION.ROTATE):
 *   0      1        8           16     17
 *   +------+--------+-----------+------+------+
 *   | kind | serial | grace end | form | name |      the session's name now
 *   +------+--------+-----------+------+------+
 *   serial    the lower 56 bits of the session's, so that no later session of that name is meant
 *   Until `grace end` it means that session; afterwards it is as kind 3. With form 1 the 32 bytes
 * of the new id follow the name, each XORed with SHA-256 of "holdfast successor" and the old id, so
 *   that who has the old id can be told the new one again and nobody else. They are random when the
 *   session was named by its handle: then nobody can be told.
 *
 *   kind 3, a deleted id: the kind byte alone. It is not given to a session while it stands.
 *
 *   kind 4, an id whose session has ended by itself:
 *   0      1     2
 *   +------+-----+
 *   | kind | how |      how 1: by its absolute life, and it is as kind 3
 *   +------+-----+      how 0: by its sliding life; only who says that it means a new one gets it
 *
 * Kinds 2, 3 and 4 stand until the value's expiry.
 */
#ifndef HOLDFAST_SESSION_FORMAT_H
#define HOLDFAST_SESSION_FORMAT_H

#define SESSION_FORMAT_PLAIN  0
#define SESSION_FORMAT_HASHED 1

#define SESSION_FORMAT_KIND_SESSION 1
#define SESSION_FORMAT_KIND_ROTATED 2
#define SESSION_FORMAT_KIND_DELETED 3
#define SESSION_FORMAT_KIND_ENDED   4

#define SESSION_FORMAT_HEADER_BYTES  64
#define SESSION_FORMAT_ROTATED_BYTES 17
#define SESSION_FORMAT_SERIAL_BITS   56
#define SESSION_FORMAT_ENDED_BYTES   2
#define SESSION_FORMAT_HASH_BYTES    5  /* of the id's hash in keys */
#define SESSION_FORMAT_DIGEST_BYTES  32 /* SHA-256 */

#endif
