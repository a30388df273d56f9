/*
 * cache_model: plain caches of numbered keys to compare the hot tier's policy with. They hold sizes
 * and no bytes, and pay nothing for their own books.
 */
#ifndef TEST_SUPPORT_CACHE_MODEL_H
#define TEST_SUPPORT_CACHE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_model_kind {
	CACHE_MODEL_LRU,
	CACHE_MODEL_SIEVE,   /* Zhang et al., NSDI 2024 */
	CACHE_MODEL_TINYLFU, /* W-TinyLFU: Einziger, Friedman, Manes, TOS 2017 */
};

struct cache_model;

/* Keys are below `keys`. */
struct cache_model *cache_model_new(enum cache_model_kind kind, size_t limit_bytes, uint32_t keys);
void cache_model_free(struct cache_model **model);
/* Asks for the key, of that many bytes, and keeps it when it was not there: whether it was. */
bool cache_model_access(struct cache_model *model, uint32_t key, size_t bytes);

#endif
