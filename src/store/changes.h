/*
 * changes: what one turn has written so far, the events that tell of it, and what follows from it
 * in memory: applied whole or not at all. Later writes of a key replace earlier ones. Belongs to
 * one request; its memory is the request's arena.
 */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H

#include "base/arena.h"
#include "log/record.h"
#include "store/value.h"

/* A message for those who subscribe to its channel. */
struct event {
	struct event *next;
	struct slice channel;
	struct slice message;
};

struct turn;

/* What a commit brings with it, beside the data. */
struct consequence {
	struct consequence *next;
	void (*run)(struct turn *turn, void *context);
	void *context;
};

struct changes {
	struct arena *arena;
	struct effect *effects;
	uint32_t count;
	uint32_t capacity;
	size_t bytes;    /* of keys and values, for limits */
	uint32_t *index; /* open addressing over `effects`, built when there are more than a few */
	uint32_t index_size;
	uint32_t index_used; /* of its places, forgotten effects' included */
	struct undo *undos;  /* what later writes replaced, for changes_restore */
	uint32_t *noted;     /* by effect: the mark since which its undo is there */
	uint32_t noted_capacity;
	uint32_t undo_count;
	uint32_t undo_capacity;
	uint32_t marked;      /* effects that the latest mark has: writing these is noted */
	uint32_t mark;        /* its number; 0: none was taken */
	struct event *events; /* in the order they came */
	struct event *events_last;
	size_t event_bytes;               /* of channels and messages, for limits */
	struct consequence *consequences; /* in the order they came */
	struct consequence *consequences_last;
	uint64_t writes; /* times that any of this changed */
};

void changes_init(struct changes *changes, struct arena *arena);
/* The key is copied into the arena; the value's data is borrowed and must stay valid and unchanged
 * until the turn has been committed. */
void changes_put(
	struct changes *changes, uint16_t shard, struct slice key, const struct value *value);
void changes_delete(struct changes *changes, uint16_t shard, struct slice key);
/* Both are copied into the arena. */
void changes_tell(struct changes *changes, struct slice channel, struct slice message);
void changes_follow(
	struct changes *changes, void (*run)(struct turn *turn, void *context), void *context);
/* What had been written and told at a moment. */
struct changes_mark {
	uint32_t count;
	uint32_t undo_count;
	size_t bytes;
	struct event *events_last;
	size_t event_bytes;
	struct consequence *consequences_last;
};
/* Remembers it, for changes_restore, which forgets everything later and may be called again. To
 * remember costs nothing, to go back takes time in what is forgotten. Marks are used last taken,
 * first restored. */
struct changes_mark changes_save(struct changes *changes);
void changes_restore(struct changes *changes, const struct changes_mark *mark);
/* This turn's latest effect on the shard's key, or NULL. Objects' keys are of one shard each; a
 * database's namespace key stands on every shard. */
const struct effect *changes_find(const struct changes *changes, uint16_t shard, struct slice key);

#endif
