/*
 * The bytes of what objects store, so that one could read them without this program. Compiles
 * alone. Where they stand is said in store_format.h and log_format.h.
 *
 *
 * PACKED VALUES (store values of type 4). A value is one tag byte and what belongs to it:
 *
 *   0      1
 *   +------+
 *   | 0    |                                                          nil
 *   | 1    |                                                          false
 *   | 2    |                                                          true
 *   +------+----------------+
 *   | 3    | zigzag varint  |                                         integer, 64 bits, signed
 *   +------+----------------+
 *   | 4    | 8 bytes        |                                         float, IEEE 754 binary64
 *   +------+----------------+-------+
 *   | 5    | varint: size   | bytes |                                 string, any bytes
 *   +------+----------------+-------+-------+-----------+-----------+
 *   | 6    | varint: items  | varint: pairs | items ... | pairs ... | table
 *   | 7    | varint: items  | varint: pairs | items ... | pairs ... | table that is an object
 *   +------+----------------+---------------+-----------+-----------+
 *   | 8    |                                                          json.null
 *   +------+
 *
 * - varint: an unsigned number of 64 bits, 7 bits a byte, the lowest first; all bytes but the last
 *   have bit 80 set. It is as short as it can be: its last byte is 0 only in the number 0.
 * - zigzag: the unsigned (n << 1) ^ (n >> 63), so that small negative numbers are short: 0, -1, 1,
 *   -2 become 0, 1, 2, 3.
 * - Floats are little endian, every bit pattern is allowed.
 * - A table's items are the values of its keys 1 .. items, in order; nil among them is a key
 * without a value. A pair is a key and a value, one after the other; pairs are in no order. A key
 * is a boolean, an integer, a float other than NaN, or a string. A pair whose value is nil is as
 * good as absent for Lua and a null in JSON.
 * - A table without pairs is an array in JSON, an object is one always.
 * - Integer 1 and float 1.0 are different values; as keys they are the same one.
 * - At most 64 tables lie within each other. A stored value is one value and nothing behind it.
 *
 * Example: { "a", x = -1.5 } is 06 01 01  05 01 61  05 01 78  04 00 00 00 00 00 00 F8 BF.
 *
 *
 * STORE KEYS of objects. An object's lie in the shard of its id (store_format.h). Numbers in keys
 * are big endian; times are milliseconds since 1970-01-01 UTC. A class is 1 to 64 letters, digits
 * and underscores, a letter first; id and storage key are 1 to 2,048 bytes of any kind, a
 * schedule's name has at most 64.
 *
 *   03 | class | 00 | id                                       the record: type 5
 *   04 | class | 00 | id size 2 | id | 01 | name               a schedule: type 4
 *   04 | class | 00 | id size 2 | id | 02 | incarnation 4 | key
 *                                                              a storage value: type 3 or 4
 *   05 | time 8 | kind 1 | class | 00 | id size 2 | id | name  an entry of what is due
 *   06 | class | 00 | time 8 | kind 1 | id size 2 | id | name  a run given up
 *   07 | class                                                 a class, on shard 0
 *   08 | hash of a schedule line 8                             when it ran last, on shard 0
 *   08                                                         what time it was, on each shard
 *
 * Storage values of the record's incarnation are the object's; those of earlier ones are dead and
 * are cleared away bit by bit.
 *
 *
 * THE RECORD (type 5). It stands while the object holds values, an alarm or schedules, or values of
 * earlier incarnations lie about. Numbers are varints as above, unsigned.
 *
 *   +-------+------+-------+---------+---------+--------
 *   | flags | keys | bytes | created | changed | groups
 *   +-------+------+-------+---------+---------+--------
 *
 * flags is one byte. keys counts the storage values, bytes is the sum of the sizes of their keys
 * and values. The groups follow in this order, each when its flag is set, which it is exactly when
 * the first number named is not 0 (of 02: the second):
 *
 *   flag 01  incarnation; without it 0
 *   flag 02  oldest incarnation that may lie about | time of the entry of kind 5; without it the
 *            oldest is the record's own
 *   flag 04  schedules
 *   flag 08  alarm's serial: another one each time an alarm is set
 *   flag 10  alarm: the time it was set to | when it runs, the time of its entry | tries failed
 *   flag 20  life: its end | time of its entry, at most the end | life a touch gives in ms, 0: none
 *
 *
 * A SCHEDULE (type 4) is a packed table of seven items: cron line or "", interval in ms or 0,
 * method, packed argument or "", time of the next run, when it runs (the time of its entry), tries
 * failed.
 *
 *
 * WHAT IS DUE. One entry each for an alarm, a schedule, a life and a sweep:
 *
 *   kind 1  alarm                                    value: see below
 *   kind 2  schedule   name: the schedule's          value: see below
 *   kind 3  wake       name: the method
 *   kind 4  life       value: nothing
 *   kind 5  sweep      value: the store key behind which the sweep goes on, or nothing
 *
 *   kind 3's value is a packed table (type 4) whose items are the call's arguments; those of kinds
 *   1 and 2 are nothing, or the text of the error that the last run ended in.
 *
 *
 * A RUN GIVEN UP (type 4) is a packed table of four items: error, runs that failed, the time it was
 * for, the time it was given up. It expires thirty days later.
 *
 * WHAT TIME IT WAS (type 1): milliseconds, when jobs of the shard were begun last, or up to a
 * minute before: what was filed then may lie in a future that a clock which was set back does not
 * know.
 *
 * WHEN A LINE RAN LAST (type 1): milliseconds. The key's hash is XXH3 of each of the line's words
 * in turn, seeded with the hash of those before; the first with the number of words.
 *
 *
 * A CLASS (type 4) is a packed table of four items: version (1 for the first of this name, one more
 * with each that replaces it), time it was loaded, source, and the SHA-256 of the file of its name
 * in class-dir at that time: zeros when there was none, empty when that is not known. The last may
 * be missing.
 */
#ifndef HOLDFAST_OBJECT_FORMAT_H
#define HOLDFAST_OBJECT_FORMAT_H

/* Tags of packed values; numbers are never reused. */
#define OBJECT_FORMAT_NIL     0
#define OBJECT_FORMAT_FALSE   1
#define OBJECT_FORMAT_TRUE    2
#define OBJECT_FORMAT_INTEGER 3
#define OBJECT_FORMAT_FLOAT   4
#define OBJECT_FORMAT_STRING  5
#define OBJECT_FORMAT_TABLE   6
#define OBJECT_FORMAT_OBJECT  7
#define OBJECT_FORMAT_NULL    8

#define OBJECT_FORMAT_FLOAT_BYTES      8
#define OBJECT_FORMAT_VARINT_BYTES_MAX 10

/* Parts of an object, in its keys. */
#define OBJECT_FORMAT_PART_SCHEDULE 0x01
#define OBJECT_FORMAT_PART_VALUE    0x02

/* Flags of an object's record. */
#define OBJECT_FORMAT_FLAG_INCARNATION 0x01
#define OBJECT_FORMAT_FLAG_SWEEP       0x02
#define OBJECT_FORMAT_FLAG_SCHEDULES   0x04
#define OBJECT_FORMAT_FLAG_SERIAL      0x08
#define OBJECT_FORMAT_FLAG_ALARM       0x10
#define OBJECT_FORMAT_FLAG_LIFE        0x20

#define OBJECT_FORMAT_SCHEDULE_ITEMS 7
#define OBJECT_FORMAT_CLASS_ITEMS    4

#endif
