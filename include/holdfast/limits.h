/*
 * Every cap of the server, with its unit and its reason. What an operator may change stands in the
 * parameter table instead (src/config/parameters.c), with these as the outer bounds.
 */
#ifndef HOLDFAST_LIMITS_H
#define HOLDFAST_LIMITS_H

/* Bytes of an object's id, a plain key or a storage key: the original's limit for storage keys, and
 * twice what the greediest known middleware uses for keys (1,024). */
#define LIMIT_KEY_BYTES 2048

/* Bytes of a whole store key: two ids' worth and the encoding around them. */
#define LIMIT_STORE_KEY_BYTES 4608

/* Bytes of one value: Redis's proto-max-bulk-len is the outer bound for `max-value-size`. */
#define LIMIT_VALUE_BYTES ((size_t)512 << 20)

/* Arguments of one command: Redis's bound for a multibulk length (1,024 x 1,024). */
#define LIMIT_ARGUMENTS (1024 * 1024)

/* Arguments of a command that its connection's loop runs at once: COMMAND DOCS writes some
 * kilobytes for one. And of those about channels. */
#define LIMIT_ARGUMENTS_LOCAL    256
#define LIMIT_ARGUMENTS_CHANNELS 65536

/* Before authentication, as in Redis: 10 arguments of 16 KiB. */
#define LIMIT_ARGUMENTS_UNAUTHENTICATED 10
#define LIMIT_ARGUMENT_UNAUTHENTICATED  16384

/* Bytes of an inline command or of a length line without its end: Redis's PROTO_INLINE_MAX_SIZE. */
#define LIMIT_INLINE_BYTES (64 * 1024)

/* Bytes fed to the parser at a time: its cost per byte grows with what it holds. */
#define LIMIT_FEED_BYTES (16 * 1024)

/* Databases that SELECT knows: Redis's default. */
#define LIMIT_DATABASES 16

/* Shards of a data directory: each is one LMDB sub-database and one bit range of a SCAN cursor. */
#define LIMIT_SHARDS 1024

/* Worker threads, connection-only loops included. */
#define LIMIT_WORKERS 128

/* Effects of one record; a record is one atomic change. */
#define LIMIT_RECORD_EFFECTS (4 * 1024 * 1024)

/* Bytes of the events of one turn, channels and messages: they are held in memory until the turn is
 * committed. */
#define LIMIT_EVENT_BYTES ((size_t)8 << 20)

/* Bytes that one turn reads of values and adds to its reply before the thread does something else:
 * copying so much takes about as long as a hundred small commands. */
#define LIMIT_TURN_BYTES ((size_t)1 << 20)

/* Steps of one turn before the thread does something else: keys of a command with many, entries
 * that a count of keys looks up. Each may be a look-up in the tree. */
#define LIMIT_TURN_STEPS 4096

/* Entries of an overlay that one turn puts in order: some milliseconds. */
#define LIMIT_TURN_ORDER 16384

/* Bytes of published messages that loops have not yet handed to their subscribers; beyond it
 * PUBLISH and writes wait. Loops empty their inboxes at each tick, so this is far above what they
 * leave. */
#define LIMIT_MESSAGES_WAITING_BYTES ((size_t)64 << 20)

/* Bytes of a pattern as KEYS and PSUBSCRIBE have it, and of a channel's name: what a message is
 * compared with takes time in the product of the two. */
#define LIMIT_PATTERN_BYTES 4096
#define LIMIT_CHANNEL_BYTES 1024

/* Bytes that one client's subscriptions may take: names of channels and patterns, and 256 a
 * subscription for what stands around it: some 50,000 of usual names. */
#define LIMIT_SUBSCRIPTIONS_BYTES ((size_t)16 << 20)

/* Bytes, counted likewise, of all patterns that somebody subscribes to, each once: every message's
 * channel is compared with every one of them, which for so many takes tens of milliseconds. */
#define LIMIT_PATTERNS_BYTES ((size_t)8 << 20)

/* Bytes of the names that PUBSUB CHANNELS goes through, times 64 bytes of its pattern: half a
 * million of usual ones. */
#define LIMIT_CHANNELS_WORK ((uint64_t)16 << 20)

/* `env` and `schedule` lines of a configuration: each is looked at by every class that is made and
 * at every wake. */
#define LIMIT_CONFIG_LINES 10000

/* Bytes of a class's name and of a method's: they stand in keys and error messages. */
#define LIMIT_CLASS_NAME_BYTES 64

/* Versions of a class that are in memory beside one a worker: calls that wait end in the version in
 * which they began, and each has a heap of its own on its worker. */
#define LIMIT_CLASS_VERSIONS 4u

/* Bytes of a class's source: compiling it is work that no budget bounds. */
#define LIMIT_CLASS_SOURCE_BYTES ((size_t)1 << 20)

/* Tables within tables in a stored or sent value: packing and JSON recurse. */
#define LIMIT_PACKED_DEPTH 64

/* Bytes of JSON that json.decode and imports take: reading is not interrupted, and an import holds
 * all values in memory at once: 22 times the text for [0,0,...], 80 times for [{},{},...], which
 * must stay below 1 GiB. */
#define LIMIT_JSON_BYTES ((size_t)8 << 20)

/* Strings, numbers, words, arrays and objects in one text of JSON, names not counted: reading and
 * merging take up to a microsecond for each. In an import for each of the object's values, of which
 * one of LIMIT_STORED_PARTS takes up to two and a half times as many. */
#define LIMIT_JSON_VALUES (128 * 1024)

/* Tables, keys and values within one value that a class stores: it is written to clients in one
 * step. */
#define LIMIT_STORED_PARTS 50000

/* Arrays and objects within each other in JSON that is kept as text: merging recurses, and others
 * read the text after us: serde_json ends at the same depth, most other parsers beyond it. */
#define LIMIT_JSON_DEPTH 128

/* The same in an import, where a table of depth LIMIT_PACKED_DEPTH takes up to three levels for
 * each of its own. */
#define LIMIT_IMPORT_DEPTH 256

/* Objects that wait for each other by objects.call, first to last. */
#define LIMIT_CALL_DEPTH 16

/* Keys of one storage:get, DO.GET or list page within a class: what one turn holds at once. */
#define LIMIT_LIST_KEYS 100000

/* Ids of one DO.OBJECTS, entries of one DO.ALARMS: what one reply gathers in memory. */
#define LIMIT_OBJECTS_PAGE 100000
#define LIMIT_ALARMS_PAGE  10000

/* Schedules of one object, and bytes of a schedule's name. */
#define LIMIT_SCHEDULES           256
#define LIMIT_SCHEDULE_NAME_BYTES 64

/* Milliseconds between two runs of a schedule: each is a turn and a write. */
#define LIMIT_SCHEDULE_EVERY_LEAST_MS 100

/* Milliseconds of one http.fetch, of one objects.call, of one sleep, and of a whole call with all
 * of its waits: the original's limit for an alarm handler is the last, 15 minutes. */
#define LIMIT_FETCH_TIMEOUT_MS 120000
#define LIMIT_CALL_TIMEOUT_MS  30000
#define LIMIT_SLEEP_MS         600000
#define LIMIT_CALL_LIFE_MS     900000

/* Bytes of a URL to fetch (servers commonly take 8 KiB), and of the headers that one fetch sends or
 * one answer brings: what either needs is far below. */
#define LIMIT_FETCH_URL_BYTES    (16 * 1024)
#define LIMIT_FETCH_HEADER_BYTES (64 * 1024)

/* A life given to an object, in seconds: ten years. */
#define LIMIT_LIFE_S (10ll * 365 * 86400)

/* Bytes of a session's JSON: it is checked and merged within one turn, at about a gigabyte a
 * second. */
#define LIMIT_SESSION_BYTES ((size_t)8 << 20)

/* Bytes of the name of a session's user: it stands in keys. */
#define LIMIT_USER_BYTES 2048

/* Bytes of what a lease is for, as in SESSION.LEASE: the purpose is a name, such as a provider's.
 */
#define LIMIT_LEASE_PURPOSE_BYTES 255

/* MAXPER of SESSION.CREATE: so many sessions are looked at for each one that is made. */
#define LIMIT_SESSIONS_PER_USER 10000

/* Milliseconds of a lease: while a holder lives and hangs, everybody else is kept from the work for
 * as long. And of a wait for one: who waits is a client with a time-out of its own. */
#define LIMIT_LEASE_MS      3600000
#define LIMIT_LEASE_WAIT_MS 60000

/* Leases that are held at the same time, by all and in all shards: some 250 bytes each, and what
 * one client holds ends in a turn a shard. A shard has its part of them, LIMIT_LEASES_SHARD at the
 * least. */
#define LIMIT_LEASES       262144
#define LIMIT_LEASES_SHARD 1024

/* Requests that wait for one lease: each holds its arguments. */
#define LIMIT_LEASE_WAITERS 100000

/* Entries that one SESSION.SCAN looks at. */
#define LIMIT_SESSION_SCAN 10000

/* The age to which an entry of the cache may be served, in milliseconds: 366 days. Invalidations
 * are remembered as long, because no entry is older. */
#define LIMIT_CACHE_AGE_MS (366ll * 86400 * 1000)

/* How long an origin's Retry-After keeps it from being asked, in milliseconds: an hour. What it
 * says may be a slip of its clock or of its configuration, and nobody would notice it sooner. */
#define LIMIT_CACHE_RETRY_MS (3600ll * 1000)

/* Refreshes by the server itself that stand in line on a worker, of each kind: each holds its key
 * and some memory of its own, and more than a few thousand cannot be had in the time of a lease. */
#define LIMIT_CACHE_ORDERS 10000

/* Keys whose refresh has failed that a worker remembers, to leave each alone for a while: 400 KB.
 */
#define LIMIT_CACHE_PAUSES 10000

/* Tags of one entry of the cache and bytes of a tag: an entry is checked against each of its tags
 * after every invalidation. */
#define LIMIT_CACHE_TAGS      32
#define LIMIT_CACHE_TAG_BYTES 255

/* Lengths of invalidated prefixes of more than so many bytes that are told apart: a key is looked
 * up once for each length. When there are so many, longer prefixes of other lengths are cut to a
 * multiple of it: they cover more. */
#define LIMIT_CACHE_PREFIX_LENGTHS 64

/* Groups of keys (up to the first colon) that the cache keeps figures of, a shard. */
#define LIMIT_CACHE_GROUPS      1000
#define LIMIT_CACHE_GROUP_BYTES 64

/* Keys of one CACHE.SCAN or CACHE.MGET. */
#define LIMIT_CACHE_SCAN 10000
#define LIMIT_CACHE_MGET 10000

/* Bytes of the message of CACHE.FAIL, kept with the entry in memory. */
#define LIMIT_CACHE_MESSAGE_BYTES 256

/* How long a given-up run is remembered for DO.ALARMS, in milliseconds: thirty days. */
#define LIMIT_FAILED_LIFE_MS (30ll * 86400 * 1000)

/* Bytes of a line that a class logs, and of one crypto.random: keys and tokens are far shorter. */
#define LIMIT_LOG_LINE_BYTES 1024
#define LIMIT_RANDOM_BYTES   4096

/* Codes of errors that INFO counts one by one, Redis's number: classes and scripts choose codes of
 * their own, and more are counted together. And bytes of one that are told apart. */
#define LIMIT_ERROR_CODES 128
#define ERROR_CODE_BYTES  32

/* Bytes of an error message that a class raised: it goes to the client and into DO.INFO. */
#define LIMIT_ERROR_BYTES 512

#endif
