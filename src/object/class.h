/*
 * class: the registry of classes: name, source, version. One for the server; each worker compiles a
 * class in a state of its own when it first needs it (object/runtime.h), and again when the
 * registry has a newer version. Classes come from DO.CLASS LOAD, which stores them on shard 0, and
 * from the files of `class-dir` (object/class_files.h).
 *
 * Threads: any; a lock inside. A `struct class` is never changed once it is published.
 */
#ifndef OBJECT_CLASS_H
#define OBJECT_CLASS_H

#include "base/slice.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CLASS_DIGEST_BYTES 32

/* SHA-256 of a source; all zero: of a file that is not there. */
struct class_digest {
	unsigned char bytes[CLASS_DIGEST_BYTES];
};

struct class
{
	_Atomic uint32_t references;
	_Atomic uint32_t *versions; /* of its name that are in memory, which share this count */
	char name[LIMIT_CLASS_NAME_BYTES + 1];
	/* Counts the loads of this name; a file's is 0 at the start, and one more with each reload.
	 */
	uint64_t version;
	uint64_t
		lsn; /* of the record that stored it: replies of its code wait for it; 0: settled */
	int64_t loaded_ms; /* wall clock */
	bool from_file;
	bool file_known;   /* the next two are */
	struct slice file; /* path of the file of its name in class-dir, empty: there is none */
	struct class_digest file_digest; /* of that file when this class was loaded */
	struct slice source;
};

/* What a class is made from. */
struct class_given {
	struct slice name;
	struct slice source;
	uint64_t version;
	uint64_t lsn;
	int64_t loaded_ms;
	bool from_file;
	bool file_known;
	struct slice file;
	struct class_digest file_digest;
};

struct class_registry;

struct class_registry *class_registry_new(void);
void class_registry_free(struct class_registry **registry);

/* Raised with each change: whoever remembers it knows without the lock that nothing has changed. */
uint64_t class_registry_revision(const struct class_registry *registry);
/* The class as of now with a reference of the caller's; NULL when there is none. */
struct class *class_find(struct class_registry *registry, struct slice name);
/* How many versions of its name are in memory, this one and all that somebody still runs. */
uint32_t class_versions(const struct class *class);
/* Takes and nulls the reference. */
void class_release(struct class **class);
/* Makes this the class of its name from now on. The registry has its own copy of all of it. */
void class_publish(struct class_registry *registry, const struct class_given *given);
/* Forgets it. */
void class_withdraw(struct class_registry *registry, struct slice name);
/* Classes in the order of their names, under the lock. */
typedef void (*class_each_fn)(void *context, const struct class *class);
void class_each(struct class_registry *registry, class_each_fn each, void *context);

/* At the start, before there are other threads: those that shard 0 has. */
void class_load_stored(struct class_registry *registry, struct store *store);

void class_digest(struct slice source, struct class_digest *out);

#endif
