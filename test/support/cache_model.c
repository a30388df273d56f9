/*
 * cache_model: see cache_model.h. Keys stand in doubly linked lists by number; NONE ends a list.
 *
 *   LRU       one list
 *   SIEVE     one list in order of arrival, a hand that goes from old to new
 *   TINYLFU   a window of a hundredth in order of use; the rest in order of use too, in two lists
 *             (used once there, used again: four fifths); what leaves the window enters the rest
 *             only past victims that a sketch of frequencies knows less often
 */
#include "support/cache_model.h"

#include "base/memory.h"
#include "base/random.h"

#include <assert.h>

#define NONE        UINT32_MAX
#define SKETCH_ROWS 4
#define SKETCH_MAX  15

enum list_name { LIST_FIRST, LIST_ONCE, LIST_AGAIN, LISTS };

struct node {
	uint32_t newer;
	uint32_t older;
	uint32_t bytes; /* 0: not in the cache */
	uint8_t list;
	bool visited;
};

struct list {
	uint32_t newest;
	uint32_t oldest;
	size_t bytes;
};

struct cache_model {
	enum cache_model_kind kind;
	size_t limit;
	struct list lists[LISTS];
	struct node *nodes;
	uint32_t hand;
	uint8_t *sketch;
	uint32_t sketch_width;
	uint32_t sketch_count;
};

struct cache_model *cache_model_new(enum cache_model_kind kind, size_t limit_bytes, uint32_t keys)
{
	struct cache_model *model = memory_zeroed(sizeof(*model));
	model->kind = kind;
	model->limit = limit_bytes;
	model->nodes = memory_zeroed(keys * sizeof(*model->nodes));
	model->hand = NONE;
	for (int i = 0; i < LISTS; i++)
		model->lists[i] = (struct list){ .newest = NONE, .oldest = NONE };
	/* Generous: about eight counters for each entry of 2,000 bytes. */
	model->sketch_width = 1024;
	while (model->sketch_width < limit_bytes / 250)
		model->sketch_width *= 2;
	model->sketch = memory_zeroed((size_t)SKETCH_ROWS * model->sketch_width);
	return model;
}

void cache_model_free(struct cache_model **model_pointer)
{
	struct cache_model *model = *model_pointer;
	*model_pointer = NULL;
	memory_free(model->sketch);
	memory_free(model->nodes);
	memory_free(model);
}

static void take(struct cache_model *model, uint32_t key)
{
	struct node *node = &model->nodes[key];
	struct list *list = &model->lists[node->list];
	*(node->newer != NONE ? &model->nodes[node->newer].older : &list->newest) = node->older;
	*(node->older != NONE ? &model->nodes[node->older].newer : &list->oldest) = node->newer;
	list->bytes -= node->bytes;
}

static void add(struct cache_model *model, uint32_t key, enum list_name name)
{
	struct node *node = &model->nodes[key];
	struct list *list = &model->lists[name];
	node->list = (uint8_t)name;
	node->newer = NONE;
	node->older = list->newest;
	*(list->newest != NONE ? &model->nodes[list->newest].newer : &list->oldest) = key;
	list->newest = key;
	list->bytes += node->bytes;
}

static void drop(struct cache_model *model, uint32_t key)
{
	take(model, key);
	model->nodes[key].bytes = 0;
}

static bool lru_access(struct cache_model *model, uint32_t key, size_t bytes)
{
	bool hit = model->nodes[key].bytes != 0;
	if (hit)
		take(model, key);
	model->nodes[key].bytes = (uint32_t)bytes;
	add(model, key, LIST_FIRST);
	while (model->lists[LIST_FIRST].bytes > model->limit)
		drop(model, model->lists[LIST_FIRST].oldest);
	return hit;
}

static bool sieve_access(struct cache_model *model, uint32_t key, size_t bytes)
{
	struct list *list = &model->lists[LIST_FIRST];
	struct node *node = &model->nodes[key];
	if (node->bytes) {
		node->visited = true;
		return true;
	}
	while (list->bytes && list->bytes + bytes > model->limit) {
		uint32_t at = model->hand != NONE ? model->hand : list->oldest;
		while (model->nodes[at].visited) {
			model->nodes[at].visited = false;
			at = model->nodes[at].newer != NONE ? model->nodes[at].newer : list->oldest;
		}
		model->hand = model->nodes[at].newer;
		drop(model, at);
	}
	node->bytes = (uint32_t)bytes;
	node->visited = false;
	add(model, key, LIST_FIRST);
	return false;
}

static uint8_t *sketch_at(struct cache_model *model, uint32_t key, uint32_t row)
{
	struct random random;
	random_seed(&random, (uint64_t)key << 8 | row);
	uint64_t at = random_next(&random) & (model->sketch_width - 1);
	return &model->sketch[(size_t)row * model->sketch_width + at];
}

static uint8_t frequency(struct cache_model *model, uint32_t key)
{
	uint8_t least = SKETCH_MAX;
	for (uint32_t row = 0; row < SKETCH_ROWS; row++) {
		uint8_t counted = *sketch_at(model, key, row);
		least = counted < least ? counted : least;
	}
	return least;
}

/* Only the least counters grow; all are halved now and then. */
static void sketch_count(struct cache_model *model, uint32_t key)
{
	uint8_t least = frequency(model, key);
	for (uint32_t row = 0; row < SKETCH_ROWS && least < SKETCH_MAX; row++) {
		uint8_t *counter = sketch_at(model, key, row);
		*counter += *counter == least;
	}
	if (++model->sketch_count < model->sketch_width)
		return;
	model->sketch_count = 0;
	for (size_t i = 0; i < (size_t)SKETCH_ROWS * model->sketch_width; i++)
		model->sketch[i] /= 2;
}

/* From the window into the rest, past each victim that is known less often. */
static void admit(struct cache_model *model, uint32_t key)
{
	size_t limit = model->limit - model->limit / 100;
	struct list *once = &model->lists[LIST_ONCE], *again = &model->lists[LIST_AGAIN];
	take(model, key);
	while (once->bytes + again->bytes + model->nodes[key].bytes > limit) {
		uint32_t victim = once->oldest != NONE ? once->oldest : again->oldest;
		if (victim == NONE || frequency(model, key) <= frequency(model, victim)) {
			model->nodes[key].bytes = 0;
			return;
		}
		drop(model, victim);
	}
	add(model, key, LIST_ONCE);
}

static bool tinylfu_access(struct cache_model *model, uint32_t key, size_t bytes)
{
	struct node *node = &model->nodes[key];
	struct list *again = &model->lists[LIST_AGAIN];
	sketch_count(model, key);
	if (node->bytes) {
		take(model, key);
		add(model, key, node->list == LIST_FIRST ? LIST_FIRST : LIST_AGAIN);
		while (again->bytes > model->limit / 100 * 79) {
			uint32_t oldest = again->oldest;
			take(model, oldest);
			add(model, oldest, LIST_ONCE);
		}
		return true;
	}
	node->bytes = (uint32_t)bytes;
	add(model, key, LIST_FIRST);
	while (model->lists[LIST_FIRST].bytes > model->limit / 100)
		admit(model, model->lists[LIST_FIRST].oldest);
	return false;
}

bool cache_model_access(struct cache_model *model, uint32_t key, size_t bytes)
{
	assert(bytes > 0 && bytes <= UINT32_MAX);
	switch (model->kind) {
	case CACHE_MODEL_LRU:
		return lru_access(model, key, bytes);
	case CACHE_MODEL_SIEVE:
		return sieve_access(model, key, bytes);
	case CACHE_MODEL_TINYLFU:
		return tinylfu_access(model, key, bytes);
	}
	return false;
}
