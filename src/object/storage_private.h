/*
 * storage_private: what storage.c and storage_due.c share.
 */
#ifndef OBJECT_STORAGE_PRIVATE_H
#define OBJECT_STORAGE_PRIVATE_H

#include "object/storage.h"

/* Before each write: notes that there is one, and clears away an object whose life has ended. */
void storage_begin(struct storage *storage);

static inline struct slice storage_nothing(void)
{
	return slice_of("", 0);
}

/* An entry of the index comes or goes. `name` is a schedule's, else empty; `data` is what the entry
 * holds, borrowed until the turn has been committed. */
void storage_file(struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name,
	struct slice data);
void storage_unfile(struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name);
/* The alarm, all schedules and the life go. */
void storage_clear_due(struct storage *storage);
/* Earlier values lie about: they are swept as soon as there is time. */
void storage_file_sweep(struct storage *storage);
/* The object's values, by its record as of now. */
struct collection storage_values(struct storage *storage);

#endif
