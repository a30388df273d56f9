/*
 * tree_check: what can be seen of damage to the data file before LMDB trusts it.
 */
#ifndef STORE_TREE_CHECK_H
#define STORE_TREE_CHECK_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

/* Before LMDB opens the file. 1: there is none, or an empty one; 0: its head is sound; or negative
 * errno (-EBADMSG: damage) and what is wrong in `problem`. */
int tree_check_head(const char *path, char *problem, size_t problem_size);

/* Behind mdb_env_open, before any page is read through the map: the file has all pages in use, or
 * touching the map would kill the process. 0, or negative errno and what is wrong. */
int tree_check_length(MDB_env *env, char *problem, size_t problem_size);

/* Pages of number `first` and above that hold nothing. 0, or negative errno. */
int tree_check_free(MDB_env *env, uint64_t first, uint64_t *count);

#endif
